"""Cutting a stratum into shards by ranges of its order keys.

The documents of a stratum are shuffled by sorting them on a seeded hash of their id. A shard is a range of keys, so
every worker can find its documents in any partial result by binary search, and neither the number of workers nor how
the input was partitioned can change what a shard holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class KeyRange(NamedTuple):
    """The documents of one shard: those with keys from ``first`` to ``last``, both inclusive."""

    first: int
    last: int
    tokens: int


def cut_key_ranges(keys: npt.NDArray[np.uint64], lengths: npt.NDArray[np.uint32], shard_tokens: int) -> list[KeyRange]:
    """The shards of a stratum, whose ``keys`` ascend.

    A shard takes documents as long as it holds at most ``shard_tokens``, and at least the documents of one key: equal
    keys are never parted, because nothing here orders them.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    ranges = []
    start = 0
    while start < len(keys):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + shard_tokens, side="right"))
        if stop < len(keys):
            stop = int(np.searchsorted(keys, keys[stop], side="left"))
        if stop <= start:
            stop = int(np.searchsorted(keys, keys[start], side="right"))
        ranges.append(KeyRange(int(keys[start]), int(keys[stop - 1]), int(ends[stop - 1]) - before))
        start = stop
    return ranges
