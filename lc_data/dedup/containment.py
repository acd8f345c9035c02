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

from lc_data.dedup.buckets import Groups, unpack_pairs
from lc_data.dedup.shingles import next_shingles
from lc_data.text.characters import character_classes, lower_case
from lc_data.text.compile import Bytes, Counts, Hashes, Numbers, kernel
from lc_data.text.words import BLOCK_WORDS

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_KEY_ERRORS = 2
_SIGNATURE_ERRORS = 3
_SIZE_ERROR = 1.25
_GATHER = np.uint64(pow(int(_SPREAD), -1, 1 << 64))


@dataclass(frozen=True)
class Overlaps:
    """Pairs of documents and how many sampled keys they share."""

    pairs: npt.NDArray[np.uint64]
    """Each pair as one number of :func:`spread_pairs`, sorted, each once."""
    shared: npt.NDArray[np.uint32]


def spread_pairs(packed: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Pairs of :func:`lc_data.dedup.buckets.pack_pairs`, one to one as numbers that fill all of 64 bits evenly.

    Ranges of these numbers hold like shares of the pairs, whatever documents they are of.
    """
    return packed * _SPREAD


def gather_pairs(spread: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """The pairs of documents from their numbers of :func:`spread_pairs`: int64[pairs, 2]."""
    return unpack_pairs(spread * _GATHER)


def count_overlaps(groups: Groups, max_documents: int, max_pairs: int) -> Iterator[Overlaps]:
    """What documents share, counted over all keys that at most ``max_documents`` of them have.

    In pieces of about ``max_pairs`` pairs, so that memory is bounded whatever is shared by whom: the same pair may be
    in several of them, and its counts are to be added up. A document has each key once.
    """
    starts, sizes = groups.borders[:-1], np.diff(groups.borders)
    telling = sizes <= max_documents
    starts, sizes = starts[telling], sizes[telling]
    pairs = np.cumsum(sizes * (sizes - 1) // 2)
    first = 0
    while first < len(starts):
        before = int(pairs[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(pairs, before + max_pairs, side="right")))
        found = np.empty(int(pairs[last - 1]) - before, np.uint64)
        _meet(groups.documents, starts[first:last], sizes[first:last], found)
        found *= _SPREAD
        found.sort()
        places = _run_starts(found)
        yield Overlaps(found[places], np.diff(np.append(places, len(found))).astype(np.uint32))
        first = last


def add_up(overlaps: Overlaps) -> Overlaps:
    """The same in order and each pair once, where some are there several times."""
    order = np.argsort(overlaps.pairs)
    pairs = overlaps.pairs[order]
    if not len(pairs):
        return overlaps
    places = _run_starts(pairs)
    return Overlaps(pairs[places], np.add.reduceat(overlaps.shared[order], places))


def _run_starts(ordered: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Where runs of equal values start in a sorted array."""
    return np.flatnonzero(np.concatenate([np.ones(min(len(ordered), 1), bool), ordered[1:] != ordered[:-1]]))


def least_shared(sampled: npt.NDArray[np.int64], threshold: float) -> npt.NDArray[np.float64]:
    """How many keys two documents share at least, for one that may hold ``threshold`` of the other: float64, 1 or more.

    Of ``sampled`` keys of the smaller sample each is shared with that probability. What lies more than two standard
    errors below the mean is left out: at a threshold of a half one key is enough of 6, and 5 are needed of 20. Three
    would be half as much text again to read on real documents, for 1% more pairs.
    """
    mean = sampled * threshold
    return np.maximum(mean - _KEY_ERRORS * np.sqrt(mean * (1 - threshold)), 1)


def may_contain(left: npt.NDArray[np.uint32], right: npt.NDArray[np.uint32], threshold: float) -> npt.NDArray[np.bool_]:
    """Whether paired signatures leave it possible that one document holds ``threshold`` of the other one: bool[pairs].

    What two documents share follows from their similarity and their sizes, and a signature tells both (sizes by the
    mean of its values; Cohen 1997). Within three standard errors of the similarity and two of the ratio of the sizes;
    where one is more than twenty times the other nothing can be excluded. Of pairs of real documents that share a few
    keys of short samples this leaves one in five.
    """
    permutations = left.shape[1]
    similarity = (left == right).mean(axis=1)
    spread = np.sqrt(np.maximum(similarity, 1 / permutations) * (1 - similarity) / permutations)
    highest = np.minimum(similarity + _SIGNATURE_ERRORS * spread, 1)
    # The least of n even values is 1/n of the range on average: sums go as one over the sizes.
    ratio = left.sum(axis=1, dtype=np.float64) / np.maximum(right.sum(axis=1, dtype=np.float64), 1)
    ratio = np.maximum(ratio, 1 / np.maximum(ratio, 1e-9)) * _SIZE_ERROR
    found: npt.NDArray[np.bool_] = highest / (1 + highest) * (1 + ratio) >= threshold
    return found


def measure_coverage(text: npt.NDArray[np.uint8], others: npt.NDArray[np.uint64], ngram_words: int) -> float:
    """The share of a text's words that stand in an n-gram of a document with the sorted set ``others``."""
    hashes = np.empty(BLOCK_WORDS + ngram_words - 1, np.uint64)
    scratch = np.empty(BLOCK_WORDS, np.uint64)
    covered, words = _count_covered(text, others, (character_classes(), lower_case()), hashes, scratch)
    return covered / words


@kernel
def _meet(documents: Numbers, starts: Counts, sizes: Counts, out: Hashes) -> None:
    """Write all pairs of each group, packed as :func:`lc_data.dedup.buckets.pack_pairs` has them."""
    count = 0
    for group in range(len(starts)):
        for right in range(starts[group] + 1, starts[group] + sizes[group]):
            for left in range(starts[group], right):
                low, high = min(documents[left], documents[right]), max(documents[left], documents[right])
                out[count] = np.uint64(low) << np.uint64(32) | np.uint64(high)
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
