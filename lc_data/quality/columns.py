"""Arrow columns with some of their values replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa


def replace_values(column: pa.Array, values: Mapping[int, Any]) -> pa.Array:
    """The column with new values in some rows.

    A large document is a batch of its own: where every row is replaced, no more than the new values is in memory.
    """
    if not values:
        return column
    if len(values) == len(column):
        return pa.array([values[row] for row in range(len(column))], column.type)
    order = np.arange(len(column))
    order[list(values)] = len(column) + np.arange(len(values))
    return pa.concat_arrays([column, pa.array(list(values.values()), column.type)]).take(pa.array(order))
