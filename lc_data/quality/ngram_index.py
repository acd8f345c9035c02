"""Which text an n-gram comes from: an index of 64-bit n-gram hashes, and where documents hit it.

The index is an open-addressing table of 12 bytes a slot, at most seven tenths full, as two plain arrays: built once,
written to a file, and mapped by every process. Texts never become Python words: a core scans 300 MB/s for one n and
110 MB/s for three, where a set of Python strings did 1 to 4. N-grams are those of
:func:`lc_data.dedup.shingles.shingle_set`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.dedup.shingles import BASE
from lc_data.text.buffers import text_buffers
from lc_data.text.characters import UNSPACED, WORD, character_classes, lower_case
from lc_data.text.compile import Bytes, Counts, Hashes, Numbers, kernel
from lc_data.text.hash_table import find_slot
from lc_data.text.words import BLOCK_WORDS, code_point, content_words, mix64

SLOT_BYTES = 12


@dataclass(frozen=True)
class NgramHits:
    """N-grams of documents that are in an index, in the order of the documents and of their ends."""

    rows: npt.NDArray[np.int64]
    """Which document."""
    first_words: npt.NDArray[np.int64]
    """The number of the n-gram's first word in its document."""
    words: npt.NDArray[np.int64]
    """The n of each n-gram."""
    numbers: npt.NDArray[np.uint32]
    """What the index has for it."""


@dataclass(frozen=True)
class NgramIndex:
    """A number for every n-gram that is looked for."""

    keys: npt.NDArray[np.uint64]
    """uint64[slots], 0 where a slot is free; ``slots`` is a power of two."""
    numbers: npt.NDArray[np.uint32]
    """uint32[slots]."""
    lengths: npt.NDArray[np.int64]
    """The different n of its n-grams, ascending."""

    @cached_property
    def marks(self) -> npt.NDArray[np.uint64]:
        """A bit at the hash of every key, 16 bits for each slot: uint64[slots / 4].

        It fits where the table does not, near the processor, and answers for most n-grams of a document alone: twice
        the speed at 150,000 n-grams.
        """
        marks = np.zeros(len(self.keys) // 4, np.uint64)
        _mark(self.keys, marks)
        return marks

    def find(self, texts: pa.Array) -> NgramHits:
        """Every n-gram of a column of texts that is in the index."""
        data, offsets = text_buffers(texts)
        tables = character_classes(), lower_case()
        if not len(self.lengths) or not self.keys.any():
            nothing = np.zeros(0, np.int64)
            return NgramHits(nothing, nothing, nothing, np.zeros(0, np.uint32))
        count, found = _find_ngrams(data, offsets, tables, (self.keys, self.numbers, self.marks), self.lengths)
        rows, first_words, words, numbers = found[:, :count]
        return NgramHits(rows, first_words, words, numbers.astype(np.uint32))


def build_index(
    keys: npt.NDArray[np.uint64], numbers: npt.NDArray[np.uint32], lengths: npt.NDArray[np.int64]
) -> NgramIndex:
    """An index of n-gram hashes (different, none 0) and the number of each."""
    slots = count_slots(len(keys))
    index = NgramIndex(np.zeros(slots, np.uint64), np.zeros(slots, np.uint32), lengths)
    _insert(keys, numbers, index.keys, index.numbers)
    return index


def count_slots(ngrams: int) -> int:
    """The size of the table for so many n-grams."""
    return int(1 << max(10 * ngrams // 7, 3).bit_length())


def locate_words(text: npt.NDArray[np.uint8], wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where words of a text lie, given their numbers, ascending: int64[n, 2], the bytes of start and end."""
    places = np.empty((len(wanted), 2), np.int64)
    _locate(text, wanted, (character_classes(), lower_case()), places)
    return places


@kernel
def _insert(keys: Hashes, numbers: Numbers, table_keys: Hashes, table_numbers: Numbers) -> None:
    for index in range(len(keys)):
        slot = find_slot(table_keys, keys[index])
        table_keys[slot] = keys[index]
        table_numbers[slot] = numbers[index]


@kernel
def _mark(keys: Hashes, marks: Hashes) -> None:
    for key in keys:
        if key != 0:
            marks[(key >> np.uint64(6)) & np.uint64(len(marks) - 1)] |= np.uint64(1) << (key & np.uint64(63))


@kernel
def _find_ngrams(
    data: Bytes, offsets: Counts, tables: tuple[Bytes, Numbers], index: tuple[Hashes, Numbers, Hashes], lengths: Counts
) -> tuple[int, Counts]:
    """All hits of all rows, as columns row, first word, n and number; and how many there are."""
    longest = lengths[-1]
    hashes = np.empty(BLOCK_WORDS + longest - 1, np.uint64)
    found = np.empty((4, 64), np.int64)
    count = 0
    for row in range(len(offsets) - 1):
        text = data[offsets[row] : offsets[row + 1]]
        at = held = first = 0
        while at < len(text):
            at, read = content_words(text, at, tables[0], tables[1], hashes[held:])
            words = held + read
            for length in lengths:
                count, found = _probe(hashes[:words], held, length, index, (count, found, row, first))
            kept = min(words, longest - 1)
            for place in range(kept):
                hashes[place] = hashes[words - kept + place]
            first += words - kept
            held = kept
    return count, found


@kernel
def _probe(
    hashes: Hashes, fresh: int, length: int, index: tuple[Hashes, Numbers, Hashes], so_far: tuple[int, Counts, int, int]
) -> tuple[int, Counts]:
    """Look up the n-grams of a block that end at word ``fresh`` or later."""
    count, found, row, first = so_far
    keys, numbers, marks = index
    last_mark = np.uint64(len(marks) - 1)
    start = max(fresh - length + 1, 0)
    power = np.uint64(1)
    for _ in range(length - 1):
        power *= BASE
    rolling = np.uint64(0)
    for word in range(start, len(hashes)):
        if word - start >= length:
            rolling -= hashes[word - length] * power
        rolling = rolling * BASE + hashes[word]
        if word - start < length - 1:
            continue
        key = mix64(rolling)
        if not marks[(key >> np.uint64(6)) & last_mark] >> (key & np.uint64(63)) & np.uint64(1):
            continue
        slot = find_slot(keys, key)
        if keys[slot] == 0:
            continue
        if count == found.shape[1]:
            wider = np.empty((4, 2 * count), np.int64)
            wider[:, :count] = found
            found = wider
        found[0, count], found[1, count] = row, first + word - length + 1
        found[2, count], found[3, count] = length, numbers[slot]
        count += 1
    return count, found


@kernel
def _locate(text: Bytes, wanted: Counts, tables: tuple[Bytes, Numbers], places: Counts) -> None:
    hashes = np.empty(BLOCK_WORDS, np.uint64)
    at = word = 0
    for index in range(len(wanted)):
        while word < wanted[index]:
            ahead = min(wanted[index] - word, BLOCK_WORDS)
            at, read = content_words(text, at, tables[0], tables[1], hashes[:ahead])
            word += read
        point, width = code_point(text, at)
        while not tables[0][point] & (WORD | UNSPACED):
            at += width
            point, width = code_point(text, at)
        places[index, 0] = at
        at, _ = content_words(text, at, tables[0], tables[1], hashes[:1])
        places[index, 1] = at
        word += 1
