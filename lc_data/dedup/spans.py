"""Where two texts say the same: runs of equal words, as ranges of bytes on both sides.

Word n-grams say how much two documents share, not where. A run of 50 equal words is no accident of the language and
needs no alignment: the 50-grams of one text are sorted, those of the other looked up as it is read, and each hit is
followed until the words differ. Takes 16 bytes a word of the text that is indexed, three times its size, and nothing
for the other one; the places of words are counted anew from every 64th for the few that are asked for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lc_data.dedup.shingles import BASE
from lc_data.text.characters import UNSPACED, WORD, character_classes, lower_case
from lc_data.text.compile import Bytes, Counts, Hashes, Numbers, kernel
from lc_data.text.words import code_point, content_words, mix64

_MARK = 64
_UPPER = np.uint64(0xFFFFFFFF00000000)


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
        # A word takes two bytes on average at least; memory that is never written is never used.
        words, marks = np.empty(len(text) // 2 + 2, np.uint64), np.empty(len(text) // (2 * _MARK) + 1, np.int64)
        self.words = words[: _read_words(text, character_classes(), lower_case(), words, marks)]
        self._marks = marks
        self.grams = np.empty(max(len(self.words) - span_words + 1, 0), np.uint64)
        """The upper half of the hash of every ``span_words`` words in a row, and in the lower half their place."""
        _place_grams(self.words, span_words, self.grams)
        self.grams.sort()

    def bytes_of(self, first: int, length: int) -> tuple[int, int]:
        """The bytes of some words, from the first letter to after the last."""
        start = _skip_to_word(self.text, self._end_of(first), character_classes())
        return int(start), int(self._end_of(first + length))

    def _end_of(self, words: int) -> int:
        """The byte after so many words."""
        marked, rest = divmod(words, _MARK)
        at = int(self._marks[marked - 1]) if marked else 0
        if rest:
            at, _ = content_words(self.text, at, character_classes(), lower_case(), np.empty(rest, np.uint64))
        return at


def shared_spans(text: npt.NDArray[np.uint8], other: IndexedText) -> list[Span]:
    """The runs of at least ``other.span_words`` equal content words, in the order of ``text``.

    None overlaps another in ``text``. Where the other text has a run more than once, its first place is given.
    """
    tables = character_classes(), lower_case()
    runs = np.empty((len(text) // (2 * other.span_words) + 1, 4), np.int64)
    count = _follow(text, tables, (other.words, other.grams), other.span_words, runs)
    return [
        Span(start, end, *other.bytes_of(other_first, length))
        for start, end, other_first, length in runs[:count].tolist()
    ]


@kernel
def _read_words(text: Bytes, classes: Bytes, lower: Numbers, hashes: Hashes, marks: Counts) -> int:
    """Hash the content words of a text, and mark the byte after every 64th; returns how many words there are."""
    at, total = 0, 0
    while at < len(text):
        at, count = content_words(text, at, classes, lower, hashes[total : total + _MARK])
        total += count
        if count == _MARK:
            marks[total // _MARK - 1] = at
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
def _gram_power(n: int) -> np.uint64:
    power = np.uint64(1)
    for _ in range(n - 1):
        power *= BASE
    return power


@kernel
def _place_grams(words: Hashes, n: int, grams: Hashes) -> None:
    """Write the upper half of the hash of every n words in a row, and below it the place of the first of them."""
    power, rolling = _gram_power(n), np.uint64(0)
    for index in range(len(words)):
        if index >= n:
            rolling -= words[index - n] * power
        rolling = rolling * BASE + words[index]
        if index >= n - 1:
            grams[index - n + 1] = (mix64(rolling) & _UPPER) | np.uint64(index - n + 1)


@kernel
def _find(gram: np.uint64, window: Hashes, oldest: int, lookup: tuple[Hashes, Hashes]) -> np.int64:
    """The first place of the words in a ring, or -1: half a hash proposes, the words decide."""
    others, ordered = lookup
    found = np.searchsorted(ordered, gram & _UPPER)
    while found < len(ordered) and (ordered[found] ^ gram) & _UPPER == 0:
        place = np.int64(ordered[found] & ~_UPPER)
        same = 0
        while same < len(window) and others[place + same] == window[(oldest + same) % len(window)]:
            same += 1
        if same == len(window):
            return place
        found += 1
    return np.int64(-1)


@kernel
def _follow(
    text: Bytes, tables: tuple[Bytes, Numbers], lookup: tuple[Hashes, Hashes], span_words: int, runs: Counts
) -> int:
    """Write first and last byte, first word of the other text, and length of each run; returns how many there are."""
    others = lookup[0]
    word, window = np.empty(1, np.uint64), np.empty(span_words, np.uint64)
    befores = np.empty(span_words, np.int64)
    power, rolling = _gram_power(span_words), np.uint64(0)
    count, at, held, length, there = 0, 0, 0, 0, np.int64(-1)
    while at < len(text):
        before = at
        at, read = content_words(text, at, tables[0], tables[1], word)
        if not read:
            break
        if there >= 0:
            if there + length < len(others) and others[there + length] == word[0]:
                length += 1
                runs[count, 1], runs[count, 3] = at, length
                continue
            count, held, there, rolling = count + 1, 0, np.int64(-1), np.uint64(0)
        place = held % span_words
        if held >= span_words:
            rolling -= window[place] * power
        rolling = rolling * BASE + word[0]
        window[place], befores[place] = word[0], before
        held += 1
        if held >= span_words:
            oldest = held % span_words
            there, length = _find(mix64(rolling), window, oldest, lookup), span_words
            if there >= 0:
                runs[count, 0] = _skip_to_word(text, befores[oldest], tables[0])
                runs[count, 1], runs[count, 2], runs[count, 3] = at, there, length
    return count + 1 if there >= 0 else count
