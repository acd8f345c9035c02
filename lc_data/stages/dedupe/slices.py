"""Rows for whoever needs them: a work file in the order of a number, of which each reader takes its range.

What a task has found concerns documents anywhere. Written once in their order it needs no batch for each reader, and a
reader that maps the file touches the rows of its range and the few between which it looks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.scratch import pick_batches, write_batches


@dataclass(frozen=True)
class Range:
    """The numbers from ``first`` to before ``last``."""

    first: int
    last: int


def sorted_rows(rows: pa.RecordBatch, by: str) -> pa.RecordBatch:
    """Rows by a number; those of the same number in the order in which they are."""
    return rows.take(pa.array(np.argsort(rows.column(by).to_numpy(), kind="stable")))


def write_sorted(uri: str, rows: pa.RecordBatch, by: str) -> None:
    """Write rows for :func:`read_slices`."""
    write_batches(uri, rows.schema, [sorted_rows(rows, by)])


def slice_rows(rows: pa.RecordBatch, by: str, wanted: Range) -> pa.RecordBatch:
    """The rows of a range, from rows that are sorted by it."""
    numbers = rows.column(by).to_numpy()
    largest = np.iinfo(numbers.dtype).max
    # Of the type of the column: of another one the whole column would be converted.
    start, end = (
        int(np.searchsorted(numbers, numbers.dtype.type(number))) if number <= largest else len(numbers)
        for number in (wanted.first, wanted.last)
    )
    return rows.slice(start, end - start)


def read_slices(
    uris: Iterable[str], by: str, wanted: Range, columns: tuple[str, ...] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a range from each file of :func:`write_sorted`, file by file; ``columns`` holds ``by``."""
    for uri in uris:
        (rows,) = pick_batches(uri, [0], columns)
        yield slice_rows(rows, by, wanted)


def one_batch(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of a schema as one."""
    joined = pa.Table.from_batches(list(batches), schema).combine_chunks().to_batches()
    return joined[0] if joined else pa.RecordBatch.from_pylist([], schema=schema)


def even_ranges(rows: int, most: int, end: int) -> list[Range]:
    """Equal ranges of the numbers below ``end``, so many that of rows spread evenly each has at most ``most``."""
    count = max(1, -(-rows // most))
    borders = [end * number // count for number in range(count + 1)]
    return [Range(first, last) for first, last in pairwise(borders)]


def find_ranges(numbers: npt.NDArray[np.int64], borders: tuple[int, ...]) -> Iterator[tuple[int, slice]]:
    """For sorted numbers: each range between two borders that holds some, and their place."""
    places = np.searchsorted(numbers, np.array(borders))
    for part, (start, end) in enumerate(zip(places[:-1].tolist(), places[1:].tolist(), strict=True)):
        if start < end:
            yield part, slice(start, end)
