"""Containment: how much of one document stands in another, found from a sample of n-grams and measured on the texts.

MinHash compares sets of like size: an excerpt of two fifths of a book has a Jaccard similarity of 0.4, one of a
fiftieth 0.02, and no threshold tells them from chance. A sample that keeps every n-gram whose hash lies below a bound
(FracMinHash; Irber et al. 2022) grows with the document instead, so shares of it are unbiased in both directions. It
says which documents belong together; what they share, the texts must say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lc_data.dedup.shingles import count_shared, next_shingles
from lc_data.text.characters import character_classes, lower_case
from lc_data.text.compile import Bytes, Counts, Hashes, Numbers, kernel
from lc_data.text.words import BLOCK_WORDS


@dataclass(frozen=True)
class Overlaps:
    """Pairs of documents and how many sampled keys they share."""

    pairs: npt.NDArray[np.int64]
    """int64[pairs, 2], the smaller number first, sorted, each once."""
    shared: npt.NDArray[np.int64]


def count_overlaps(
    keys: npt.NDArray[np.uint64], documents: npt.NDArray[np.int64], max_documents: int, max_pairs: int
) -> Iterator[Overlaps]:
    """What documents share, counted over all keys that at most ``max_documents`` of them have.

    In pieces of about ``max_pairs`` pairs, so that memory is bounded whatever is shared by whom: the same pair may be
    in several of them, and its counts are to be added up. A document has each key once.
    """
    order = np.lexsort((documents, keys))
    keys, documents = keys[order], documents[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(starts, len(keys)))
    telling = (sizes > 1) & (sizes <= max_documents)
    starts, sizes = starts[telling], sizes[telling]
    pairs = np.cumsum(sizes * (sizes - 1) // 2)
    first = 0
    while first < len(starts):
        before = int(pairs[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(pairs, before + max_pairs, side="right")))
        found = np.empty((int(pairs[last - 1]) - before, 2), np.int64)
        _meet(documents, starts[first:last], sizes[first:last], found)
        yield add_up(Overlaps(found, np.ones(len(found), np.int64)))
        first = last


def add_up(overlaps: Overlaps) -> Overlaps:
    """The same, each pair once and in order."""
    order = np.lexsort((overlaps.pairs[:, 1], overlaps.pairs[:, 0]))
    pairs, shared = overlaps.pairs[order], overlaps.shared[order]
    if not len(pairs):
        return Overlaps(pairs, shared)
    starts = np.flatnonzero(np.concatenate([[True], (pairs[1:] != pairs[:-1]).any(axis=1)]))
    return Overlaps(pairs[starts], np.add.reduceat(shared, starts))


def measure_containment(shingles: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]) -> float:
    """The share of a document's different n-grams that another has too; both as sorted sets."""
    return count_shared(shingles, others) / len(shingles) if len(shingles) else 0.0


def measure_coverage(text: npt.NDArray[np.uint8], others: npt.NDArray[np.uint64], ngram_words: int) -> float:
    """The share of a text's words that stand in an n-gram of a document with the sorted set ``others``."""
    hashes = np.empty(BLOCK_WORDS + ngram_words - 1, np.uint64)
    scratch = np.empty(BLOCK_WORDS, np.uint64)
    covered, words = _count_covered(text, others, (character_classes(), lower_case()), hashes, scratch)
    return covered / words


@kernel
def _meet(documents: Counts, starts: Counts, sizes: Counts, out: Counts) -> None:
    count = 0
    for group in range(len(starts)):
        for right in range(starts[group] + 1, starts[group] + sizes[group]):
            for left in range(starts[group], right):
                out[count, 0], out[count, 1] = documents[left], documents[right]
                count += 1


@kernel
def _count_covered(
    text: Bytes, others: Hashes, tables: tuple[Bytes, Numbers], hashes: Hashes, shingles: Hashes
) -> tuple[int, int]:
    """The words of a text that stand in shared shingles, and all of its words, as many as one shingle has at least."""
    ngram = len(hashes) - len(shingles) + 1
    at, held, total, covered, covered_to = 0, 0, 0, 0, 0
    while at < len(text):
        at, held, count = next_shingles(text, at, held, tables, hashes, shingles)
        for index in range(count):
            place = np.searchsorted(others, shingles[index])
            if place < len(others) and others[place] == shingles[index]:
                end = total + index + ngram
                covered += end - max(covered_to, end - ngram)
                covered_to = end
        total += count
    return covered, total + ngram - 1
