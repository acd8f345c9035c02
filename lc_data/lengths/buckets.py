"""Length buckets: bucket k holds the documents with exactly k edges at or below their length."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt


def assign_buckets(lengths: npt.ArrayLike, edges_tokens: Sequence[int]) -> npt.NDArray[np.uint8]:
    """The bucket of each length, uint8 [n]: 0 below the first edge, ``len(edges_tokens)`` from the last edge on.

    ``edges_tokens`` ascend and are at most 255, as the recipe guarantees.
    """
    return np.searchsorted(np.asarray(edges_tokens), np.asarray(lengths), side="right").astype(np.uint8)


def bucket_names(edges_tokens: Sequence[int]) -> list[str]:
    """A name for each bucket: ``<1K``, ``1K-2K``, ..., ``128K+``, where K is 1,024."""
    names = [_short(edge) for edge in edges_tokens]
    between = [f"{low}-{high}" for low, high in pairwise(names)]
    return [f"<{names[0]}", *between, f"{names[-1]}+"]


def _short(tokens: int) -> str:
    for size, unit in ((1 << 20, "M"), (1 << 10, "K")):
        if tokens >= size and tokens % size == 0:
            return f"{tokens // size}{unit}"
    return str(tokens)
