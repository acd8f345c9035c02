"""Comparing candidates in full: exact Jaccard of their shingles, a bounded amount of text at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from lc_data.dedup.shingles import count_shared, shingle_set

TEXT_BYTES = 64 << 20
"""Text of which all n-grams are held at a time."""


def split_pairs(
    pairs: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    budget_bytes: int,
) -> Iterator[slice]:
    """Cut sorted pairs into runs whose different documents hold at most ``budget_bytes`` of text together.

    ``sizes`` is the text size of each document, and pairs are indices to it. A pair that exceeds the budget is a run of
    its own.
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
    pairs: npt.NDArray[np.int64], texts: Mapping[int, npt.NDArray[np.uint8]], ngram_words: int
) -> npt.NDArray[np.float64]:
    """The exact Jaccard similarity of each pair by its sets of word n-grams: float64[pairs].

    0 where both sets are empty, since nothing shows that they are alike.
    """
    return jaccard(*count_pairs(pairs, texts, ngram_words))


def jaccard(shared: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The similarity of pairs of sets from what :func:`count_pairs` says of them: float64[pairs]."""
    similarities: npt.NDArray[np.float64] = shared / np.maximum(sizes.sum(axis=1) - shared, 1)
    return similarities


def count_pairs(
    pairs: npt.NDArray[np.int64], texts: Mapping[int, npt.NDArray[np.uint8]], ngram_words: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How many different word n-grams each pair shares, and how many its two have: int64[pairs] and int64[pairs, 2].

    Texts of more than 64 MB together, two books say, are read several times, each time for a part of their n-grams, so
    that no more than that is held.
    """
    parts = max(1, -(-sum(len(text) for text in texts.values()) // TEXT_BYTES))
    shared, sizes = np.zeros(len(pairs), np.int64), np.zeros((len(pairs), 2), np.int64)
    for part in range(parts):
        more, part_sizes = count_sets(
            pairs, {document: shingle_set(text, ngram_words, part, parts) for document, text in texts.items()}
        )
        shared += more
        sizes += part_sizes
    return shared, sizes


def count_sets(
    pairs: npt.NDArray[np.int64], sets: Mapping[int, npt.NDArray[np.uint64]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How many values each pair of sorted sets shares, and how many its two have: int64[pairs] and int64[pairs, 2]."""
    rows = pairs.tolist()
    shared = np.array([count_shared(sets[left], sets[right]) for left, right in rows], np.int64)
    sizes = np.array([(len(sets[left]), len(sets[right])) for left, right in rows], np.int64)
    return shared, sizes.reshape(-1, 2)
