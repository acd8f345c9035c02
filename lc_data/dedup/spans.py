"""Where two texts say the same: runs of equal words, as ranges of bytes on both sides.

Word n-grams say how much two documents share, not where. A run of 50 equal words is no accident of the language and
needs no alignment: the 50-grams of one text are put into buckets, those of the other looked up as it is read, and each
hit is followed until the words differ. Takes 9 to 10 bytes a word of the text that is indexed, twice its size, and
nothing for the other one. For that, words are compared by 32 bits of their hashes (at one end of a run in four billion
one word too many is taken for equal), and the bytes of the few places that are asked for are counted from every 64th
word on.
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
        words, marks = np.empty(len(text) // 2 + 2, np.uint32), np.empty(len(text) // (2 * _MARK) + 1, np.int64)
        self.words = words[: _read_words(text, character_classes(), lower_case(), words, marks)]
        self._marks = marks
        grams = max(len(self.words) - span_words + 1, 0)
        self.ends = np.zeros(1 << (grams // 4).bit_length(), np.uint32)
        """Where each bucket ends, and the next one starts, among the places."""
        self.places = np.empty(grams, np.uint32)
        """The first word of every ``span_words`` in a row, bucket by bucket and in order."""
        _place_grams(self.words, span_words, self.ends, self.places)

    def bytes_of(self, runs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The bytes of runs of words (the first, and how many), from the first letter to after the last: [runs, 2]."""
        places = np.empty((len(runs), 2), np.int64)
        _locate(self.text, (character_classes(), lower_case()), self._marks, runs, places)
        return places


def shared_spans(text: npt.NDArray[np.uint8], other: IndexedText) -> list[Span]:
    """The runs of at least ``other.span_words`` equal content words, in the order of ``text``.

    None overlaps another in ``text``. Where the other text has a run more than once, its first place is given.
    """
    tables = character_classes(), lower_case()
    runs = np.empty((len(text) // (2 * other.span_words) + 1, 4), np.int64)
    count = _follow(text, tables, (other.words, other.ends, other.places), other.span_words, runs)
    places = np.concatenate([runs[:count, :2], other.bytes_of(runs[:count, 2:])], axis=1)
    return [Span(*place) for place in places.tolist()]


@kernel
def _read_words(text: Bytes, classes: Bytes, lower: Numbers, words: Numbers, marks: Counts) -> int:
    """Write 32 bits of every content word's hash, and the byte after every 64th; returns how many words there are."""
    at, total = 0, 0
    hashes = np.empty(_MARK, np.uint64)
    while at < len(text):
        at, count = content_words(text, at, classes, lower, hashes)
        for index in range(count):
            words[total + index] = np.uint32(hashes[index])
        total += count
        if count == _MARK:
            marks[total // _MARK - 1] = at
    return total


@kernel
def _end_of(text: Bytes, tables: tuple[Bytes, Numbers], marks: Counts, words: int, hashes: Hashes) -> int:
    """The byte after so many words; ``hashes`` has room for one less than from a mark to the next."""
    at = marks[words // _MARK - 1] if words >= _MARK else 0
    if words % _MARK:
        at, _ = content_words(text, at, tables[0], tables[1], hashes[: words % _MARK])
    return at


@kernel
def _locate(text: Bytes, tables: tuple[Bytes, Numbers], marks: Counts, runs: Counts, places: Counts) -> None:
    hashes = np.empty(_MARK, np.uint64)
    for row in range(len(runs)):
        first, length = runs[row]
        places[row, 0] = _skip_to_word(text, _end_of(text, tables, marks, first, hashes), tables[0])
        places[row, 1] = _end_of(text, tables, marks, first + length, hashes)


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
def _bucket_shift(buckets: int) -> np.uint64:
    """How far a hash is shifted right to leave its bucket; by one bit less than all of them where there is one."""
    bits = 1
    while 1 << bits < buckets:
        bits += 1
    return np.uint64(64 - bits)


@kernel
def _place_grams(words: Numbers, n: int, ends: Numbers, places: Numbers) -> None:
    """Put the place of every n words in a row into the bucket of their hash: counted first, then written."""
    shift, power = _bucket_shift(len(ends)), _gram_power(n)
    for writing in range(2):
        rolling = np.uint64(0)
        for index in range(len(words)):
            if index >= n:
                rolling -= np.uint64(words[index - n]) * power
            rolling = rolling * BASE + np.uint64(words[index])
            if index < n - 1:
                continue
            bucket = np.int64(mix64(rolling) >> shift) & (len(ends) - 1)
            if writing:
                places[ends[bucket]] = index - n + 1
            ends[bucket] += np.uint32(1)
        if not writing:
            start = np.uint32(0)
            for row in range(len(ends)):
                size = ends[row]
                ends[row] = start
                start += size


@kernel
def _find(gram: np.uint64, window: Numbers, oldest: int, lookup: tuple[Numbers, Numbers, Numbers]) -> np.int64:
    """The first place of the words in a ring, or -1: a bucket proposes, the words decide."""
    others, ends, places = lookup
    bucket = np.int64(gram >> _bucket_shift(len(ends))) & (len(ends) - 1)
    for row in range(np.int64(ends[bucket - 1]) if bucket else 0, np.int64(ends[bucket])):
        place = np.int64(places[row])
        same = 0
        while same < len(window) and others[place + same] == window[(oldest + same) % len(window)]:
            same += 1
        if same == len(window):
            return place
    return np.int64(-1)


@kernel
def _follow(
    text: Bytes, tables: tuple[Bytes, Numbers], lookup: tuple[Numbers, Numbers, Numbers], span_words: int, runs: Counts
) -> int:
    """Write first and last byte, first word of the other text, and length of each run; returns how many there are."""
    others = lookup[0]
    read, window = np.empty(1, np.uint64), np.empty(span_words, np.uint32)
    befores = np.empty(span_words, np.int64)
    power, rolling = _gram_power(span_words), np.uint64(0)
    count, at, held, length, there = 0, 0, 0, 0, np.int64(-1)
    while at < len(text):
        before = at
        at, words = content_words(text, at, tables[0], tables[1], read)
        if not words:
            break
        word = np.uint32(read[0])
        if there >= 0:
            if there + length < len(others) and others[there + length] == word:
                length += 1
                runs[count, 1], runs[count, 3] = at, length
                continue
            count, held, there, rolling = count + 1, 0, np.int64(-1), np.uint64(0)
        place = held % span_words
        if held >= span_words:
            rolling -= np.uint64(window[place]) * power
        rolling = rolling * BASE + np.uint64(word)
        window[place], befores[place] = word, before
        held += 1
        if held >= span_words:
            oldest = held % span_words
            there, length = _find(mix64(rolling), window, oldest, lookup), span_words
            if there >= 0:
                runs[count, 0] = _skip_to_word(text, befores[oldest], tables[0])
                runs[count, 1], runs[count, 2], runs[count, 3] = at, there, length
    return count + 1 if there >= 0 else count
