"""Measures of documents as columns beside the index: what a mixture may choose by.

The filter leaves its measures (coherence, gzip ratio) as JSON in a document's metadata, where planning would have to
open every document. Here those that the recipe names become float32 columns in the order of the index, four bytes a
document: a column of 24 million documents is 96 MB, mapped.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

COLUMNS_FILE = "columns.arrow"
"""Beside the index, with as many rows; there only where the recipe names columns."""

NOTES_KEY = "lc_data"
"""Where in a document's metadata the filter writes what it measured."""

_LARGEST = float(np.finfo(np.float32).max)

MOST_NAMES = 64
"""Names of measures that are remembered to be listed when a wanted one is not there."""


def columns_schema(names: Sequence[str]) -> pa.Schema:
    """One float32 column a name, null where a document lacks it."""
    return pa.schema([pa.field(name, pa.float32()) for name in names])


def column_field(name: str) -> str:
    """The field that holds a column in the stage's own work files, beside fields of other names."""
    return f"column:{name}"


class ColumnReader:
    """Reads columns out of metadata, batch by batch, and counts what it met."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.documents: Counter[str] = Counter()
        """How many documents have each of the columns."""
        self._seen: set[str] = set()

    @property
    def seen(self) -> list[str]:
        """Names under which any document has a number, sorted: the first ``MOST_NAMES`` of them."""
        return sorted(self._seen)[:MOST_NAMES]

    def read(self, metadata: Sequence[str | None]) -> npt.NDArray[np.float32]:
        """The values, float32 [documents, names]: NaN where a document has no finite number under a name.

        A name is looked up among the filter's notes first, then among the document's own entries. ValueError for
        metadata that is no JSON object.
        """
        values = np.full((len(metadata), len(self.names)), np.nan, np.float32)
        if not self.names:
            return values
        for row, text in enumerate(metadata):
            numbers = _numbers(json.loads(text)) if text else {}
            self._seen.update(numbers)
            for place, name in enumerate(self.names):
                if name in numbers:
                    values[row, place] = numbers[name]
                    self.documents[name] += 1
        return values


def missing_columns(names: Sequence[str], documents: Counter[str], seen: Sequence[str]) -> str | None:
    """What to tell a user whose columns no document has, or None where each has one."""
    absent = [name for name in names if not documents[name]]
    if not absent:
        return None
    there = f"those there are {', '.join(seen[:MOST_NAMES])}" if seen else "no document has any"
    return (
        f"bucket.columns: no document has a number under {', '.join(map(repr, absent))}; {there}. Filter rules such as "
        "coherence and gzip_band write them; fields.metadata of a source keeps a record's own"
    )


def _numbers(metadata: Any) -> dict[str, float]:
    """The finite numbers of one document; what float32 cannot hold counts as missing."""
    if not isinstance(metadata, dict):
        raise ValueError(f"metadata is {type(metadata).__name__}, not a JSON object")
    notes = metadata.get(NOTES_KEY)
    layers = (metadata, notes if isinstance(notes, dict) else {})
    return {name: float(value) for entries in layers for name, value in entries.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LARGEST
