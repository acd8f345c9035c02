"""Comparing candidates in full: exact Jaccard of their shingles, a bounded amount of text at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from lc_data.dedup.shingles import jaccard


def split_pairs(
    pairs: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    budget_bytes: int,
) -> Iterator[slice]:
    """Cut sorted pairs into runs whose different documents hold at most ``budget_bytes`` of text together.

    ``sizes`` is the text size of every document by number. A pair that exceeds the budget is a run of its own.
    """
    start, held, held_bytes = 0, set[int](), 0
    for row, (left, right) in enumerate(pairs.tolist()):
        new = {left, right} - held
        new_bytes = sum(int(sizes[document]) for document in new)
        if held and held_bytes + new_bytes > budget_bytes:
            yield slice(start, row)
            start, held, held_bytes = row, set(), 0
            new, new_bytes = {left, right}, int(sizes[left] + sizes[right])
        held |= new
        held_bytes += new_bytes
    if held:
        yield slice(start, len(pairs))


def measure_pairs(
    pairs: npt.NDArray[np.int64], shingle_sets: Mapping[int, npt.NDArray[np.uint64]]
) -> npt.NDArray[np.float64]:
    """The exact Jaccard similarity of each pair: float64[pairs]."""
    return np.array([jaccard(shingle_sets[left], shingle_sets[right]) for left, right in pairs.tolist()], np.float64)
