"""One document a row: no document sees another, whatever the attention, and most of every row is padding."""

from __future__ import annotations

import numpy as np

from lc_data.mixing.stream import Pieces
from lc_data.packing.rows import Rows


def pack_one_per_row(pieces: Pieces) -> Rows:
    """Give every piece a row of its own."""
    return Rows.of(pieces, np.arange(len(pieces)), len(pieces))
