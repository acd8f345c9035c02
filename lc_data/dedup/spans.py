"""Where two texts say the same: runs of equal words, as ranges of bytes on both sides.

Word n-grams say how much two documents share, not where. A run of 50 equal words is no accident of the language and
needs no alignment: the 50-grams of one text are sorted, those of the other looked up, and each hit is followed until
the words differ. Takes 32 bytes a word of the text that is indexed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lc_data.dedup.shingles import BASE
from lc_data.text.characters import UNSPACED, WORD, character_classes, lower_case
from lc_data.text.compile import Bytes, Counts, Hashes, Numbers, kernel
from lc_data.text.words import code_point, content_words, mix64


class Span(NamedTuple):
    """A run of equal words: bytes ``start`` to ``end`` of one text and the same of the other one."""

    start: int
    end: int
    other_start: int
    other_end: int


class IndexedText:
    """A text in which other texts' runs of words are looked up."""

    def __init__(self, text: npt.NDArray[np.uint8], span_words: int) -> None:
        """``span_words`` is the length of a run that counts."""
        self.text, self.span_words = text, span_words
        self.words, self.ends = _read_words(text)
        grams = _grams(self.words, span_words)
        self.places = np.argsort(grams, kind="stable")
        self.grams = grams[self.places]


def shared_spans(text: npt.NDArray[np.uint8], other: IndexedText) -> list[Span]:
    """The runs of at least ``other.span_words`` equal content words, in the order of ``text``.

    None overlaps another in ``text``. Where the other text has a run more than once, its first place is given.
    """
    words, ends = _read_words(text)
    grams = _grams(words, other.span_words)
    runs = np.empty((len(words) // other.span_words + 1, 3), np.int64)
    count = _follow((grams, other.grams, other.places), words, other.words, other.span_words, runs)
    return [
        Span(*_bytes(text, ends, first, length), *_bytes(other.text, other.ends, other_first, length))
        for first, other_first, length in runs[:count].tolist()
    ]


def _read_words(text: Bytes) -> tuple[Hashes, Counts]:
    """The content words of a text, and the byte after each."""
    # A word takes two bytes on average at least; memory that is never written is never used.
    hashes, ends = np.empty(len(text) // 2 + 2, np.uint64), np.empty(len(text) // 2 + 2, np.int64)
    count = _place_words(text, character_classes(), lower_case(), hashes, ends)
    return hashes[:count], ends[:count]


def _bytes(text: Bytes, ends: Counts, first: int, length: int) -> tuple[int, int]:
    """The bytes of some words, from the first letter on."""
    after = int(ends[first - 1]) if first else 0
    return int(_skip_to_word(text, after, character_classes())), int(ends[first + length - 1])


@kernel
def _place_words(text: Bytes, classes: Bytes, lower: Numbers, hashes: Hashes, ends: Counts) -> int:
    at, total = 0, 0
    while at < len(text):
        at, count = content_words(text, at, classes, lower, hashes[total : total + 1])
        if count:
            ends[total] = at
            total += 1
    return total


@kernel
def _skip_to_word(text: Bytes, at: int, classes: Bytes) -> int:
    while at < len(text):
        point, width = code_point(text, at)
        if classes[point] & (WORD | UNSPACED):
            break
        at += width
    return at


@kernel
def _grams(words: Hashes, n: int) -> Hashes:
    """The hash of every n words in a row."""
    if len(words) < n:
        return np.empty(0, np.uint64)
    power = np.uint64(1)
    for _ in range(n - 1):
        power *= BASE
    grams = np.empty(len(words) - n + 1, np.uint64)
    rolling = np.uint64(0)
    for index in range(len(words)):
        if index >= n:
            rolling -= words[index - n] * power
        rolling = rolling * BASE + words[index]
        if index >= n - 1:
            grams[index - n + 1] = mix64(rolling)
    return grams


@kernel
def _follow(lookup: tuple[Hashes, Hashes, Counts], words: Hashes, others: Hashes, span_words: int, runs: Counts) -> int:
    """Write first word, first word of the other text, and length of each run; returns how many there are."""
    grams, ordered, places = lookup
    count, at = 0, 0
    while at < len(grams):
        found = np.searchsorted(ordered, grams[at])
        if found == len(ordered) or ordered[found] != grams[at]:
            at += 1
            continue
        there, length = places[found], span_words
        while (
            at + length < len(words) and there + length < len(others) and words[at + length] == others[there + length]
        ):
            length += 1
        runs[count, 0], runs[count, 1], runs[count, 2] = at, there, length
        count += 1
        at += length
    return count
