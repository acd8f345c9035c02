"""What comes before length when it is decided which copy stays, as one number for each document."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.recipe.dedupe import Preference

_VALUE_BITS = 8
_DATE_BITS = 22
_DATE = re.compile(r"\s*(\d{4})(?:-?(0[1-9]|1[0-2])(?:-?(0[1-9]|[12]\d|3[01]))?)?(?!\d)")


def rank_documents(documents: pa.RecordBatch, keep: Sequence[Preference]) -> npt.NDArray[np.int64]:
    """The rank of each document by the recipe's preferences, the smaller first: int64[rows], all 0 without any."""
    ranks = np.zeros(documents.num_rows, np.int64)
    for preference in keep:
        if preference.by == "date":
            numbers = [_date_number(text, preference) for text in documents.column("metadata").to_pylist()]
            ranks <<= _DATE_BITS
        else:
            values = documents.column(preference.by).to_pylist()
            numbers = [_place(value, preference) for value in values]
            ranks <<= _VALUE_BITS
        ranks |= np.array(numbers, np.int64)
    return ranks


def _place(value: str | None, preference: Preference) -> int:
    """The place of a value in the order; after the last one where it has none."""
    for place, named in enumerate(preference.order):
        if value == named or (preference.by == "source" and re.match(rf"{re.escape(named)}[/@:]", value or "")):
            return place
    return (1 << _VALUE_BITS) - 1


def _date_number(metadata: str | None, preference: Preference) -> int:
    """Days of the calendar, months taken as 31 days; a date without month or day is the first there is of it."""
    last = (1 << _DATE_BITS) - 1
    found = _DATE.match(str(json.loads(metadata).get(preference.field, ""))) if metadata else None
    if found is None:
        return last
    year, month, day = (int(part or 1) for part in found.groups())
    number = (year * 12 + month - 1) * 31 + day - 1
    return number if preference.first == "oldest" else last - 1 - number
