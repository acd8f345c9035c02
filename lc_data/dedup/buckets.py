"""From keys to pairs: documents that share a key are candidates for being the same.

Sorting does what a dictionary of lists would, at ten times the speed and a quarter of the memory. A bucket of m
documents has m(m-1)/2 pairs; one page footer shared by a million documents must not become 10^12 of them, so in large
buckets each document meets only the first ones, of which the keeper will be, and its neighbours in order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lc_data.text.compile import Counts, Hashes, kernel

_REACH = 8


@dataclass(frozen=True)
class Keyed:
    """Documents under their keys, one row for each document and key."""

    keys: npt.NDArray[np.uint64]
    documents: npt.NDArray[np.int64]
    weight: npt.NDArray[np.int64]
    """Who is met in large buckets: the heaviest. Its text size, unless the recipe prefers otherwise."""

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Keyed:
        """Some of the rows."""
        return Keyed(self.keys[rows], self.documents[rows], self.weight[rows])


def candidate_pairs(keyed: Keyed, all_pairs_up_to: int) -> npt.NDArray[np.int64]:
    """Pairs of different documents that share a key, the smaller number first, sorted and each once: int64[pairs, 2].

    In buckets of more than ``all_pairs_up_to`` documents each is paired with the 8 heaviest and with the 8 next heavier
    than itself.
    """
    order = np.lexsort((keyed.documents, -keyed.weight, keyed.keys))
    keys, documents = keyed.keys[order], keyed.documents[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.int64)
    borders = np.append(starts, len(keys))
    pairs = np.empty((_pair(documents, borders, all_pairs_up_to, np.empty((0, 2), np.int64)), 2), np.int64)
    _pair(documents, borders, all_pairs_up_to, pairs)
    return unique_pairs(pairs)


def unique_pairs(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Pairs with the smaller number first, sorted, each once and none of a document with itself."""
    pairs = np.sort(pairs, axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    first = np.ones(len(pairs), bool)
    first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[first]


def partition_of(keys: npt.NDArray[np.uint64], partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each key by its highest bits; ``partitions`` is a power of two."""
    bits = partitions.bit_length() - 1
    if partitions != 1 << bits:
        raise ValueError(f"{partitions} partitions: a power of two is needed")
    return (keys >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(keys), np.int64)


@kernel
def _pair(documents: Counts, borders: Counts, all_pairs_up_to: int, out: Counts) -> int:
    """Write the pairs of each bucket into ``out`` where it has room; returns how many there are."""
    count = 0
    for bucket in range(len(borders) - 1):
        first, last = borders[bucket], borders[bucket + 1]
        small = last - first <= all_pairs_up_to
        for right in range(first + 1, last):
            for left in range(first, right):
                if small or left < first + _REACH or left >= right - _REACH:
                    if count < len(out):
                        out[count, 0], out[count, 1] = documents[left], documents[right]
                    count += 1
    return count


def group_equal(keys: Hashes) -> npt.NDArray[np.int64]:
    """A number for each row of uint64[rows, columns], the same for equal rows: int64[rows]."""
    order = np.lexsort(keys.T[::-1])
    ordered = keys[order]
    new = np.ones(len(keys), np.int64)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    groups = np.empty(len(keys), np.int64)
    groups[order] = np.cumsum(new) - 1
    return groups
