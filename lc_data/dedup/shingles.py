"""Shingles: the word n-grams of a text as 64-bit hashes, of which sets are made and compared.

A shingle's hash depends on its words and their order alone, so equal n-grams have equal hashes in every document, and
the sets of hashes stand for the sets of n-grams up to collisions of one in 2^64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lc_data.text.characters import character_classes, lower_case
from lc_data.text.compile import Bytes, Hashes, Numbers, kernel
from lc_data.text.words import BLOCK_WORDS, content_words, mix64

BASE = np.uint64(0x9E3779B97F4A7C15)
"""An n-gram's hash is the polynomial of its words' hashes at this base, mixed."""


def shingle_set(text: npt.NDArray[np.uint8], ngram_words: int, part: int = 0, parts: int = 1) -> npt.NDArray[np.uint64]:
    """The different shingles of a text (UTF-8 bytes), sorted: uint64. Empty where it has fewer words than a shingle.

    Takes 8 bytes a shingle: 1.5 times the size of an English text, 2.7 times that of a Chinese one. Where that is too
    much only those of one of ``parts`` equal ranges of hashes are given.
    """
    lowest, highest = np.uint64((part << 64) // parts), np.uint64(((part + 1 << 64) // parts) - 1)
    tables = character_classes(), lower_case()
    hashes = np.empty(BLOCK_WORDS + ngram_words - 1, np.uint64)
    # A word takes two bytes on average at least; memory that is never written is never used.
    shingles = np.empty(len(text) // 2 + 1 + BLOCK_WORDS, np.uint64)
    at = held = total = 0
    while at < len(text):
        block = shingles[total : total + BLOCK_WORDS]
        at, held, count = next_shingles(text, at, held, tables, hashes, block)
        total += count if parts == 1 else _keep_range(block[:count], lowest, highest)
    shingles[:total].sort()
    shingles.resize(drop_repeats(shingles[:total]), refcheck=False)
    return shingles


@kernel
def next_shingles(
    text: Bytes, at: int, held: int, tables: tuple[Bytes, Numbers], hashes: Hashes, shingles: Hashes
) -> tuple[int, int, int]:
    """Fill ``shingles`` with those that end in the next words of a text.

    ``hashes`` carries words from call to call, ``held`` of them at its start; it is n - 1 longer than ``shingles``.
    Returns the byte to go on from, the words now held, and the shingles written.
    """
    ngram = len(hashes) - len(shingles) + 1
    at, count = content_words(text, at, tables[0], tables[1], hashes[held:])
    words = held + count
    written = words - ngram + 1
    if written <= 0:
        return at, words, 0
    power = np.uint64(1)
    for _ in range(ngram - 1):
        power *= BASE
    rolling = np.uint64(0)
    for index in range(words):
        if index >= ngram:
            rolling -= hashes[index - ngram] * power
        rolling = rolling * BASE + hashes[index]
        if index >= ngram - 1:
            shingles[index - ngram + 1] = mix64(rolling)
    for index in range(ngram - 1):
        hashes[index] = hashes[written + index]
    return at, ngram - 1, written


@kernel
def _keep_range(hashes: Hashes, lowest: np.uint64, highest: np.uint64) -> int:
    """Move the values of a range to the front; returns how many there are."""
    count = 0
    for index in range(len(hashes)):
        if lowest <= hashes[index] <= highest:
            hashes[count] = hashes[index]
            count += 1
    return count


@kernel
def drop_repeats(ordered: Hashes) -> int:
    """Move the different values of a sorted array to its front; returns how many there are."""
    count = 0
    for index in range(len(ordered)):
        if index == 0 or ordered[index] != ordered[index - 1]:
            ordered[count] = ordered[index]
            count += 1
    return count


@kernel
def count_shared(left: Hashes, right: Hashes) -> int:
    """How many values two sorted sets share."""
    i, j, shared = 0, 0, 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            shared += 1
            i += 1
            j += 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    return shared
