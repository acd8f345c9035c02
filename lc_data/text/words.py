"""Words as 64-bit hashes, block by block, straight from UTF-8 bytes.

Two readings of the same text. *Spaced words*, for quality rules, are what stands between white space, with its
punctuation and case. *Content words*, for comparing documents, are runs of letters, digits and marks in lower case, so
that re-wrapping, mark-up and punctuation do not matter. In both, a Han or kana character is a word of its own.

Text never becomes Python strings: those cost 50 bytes and 100 ns a word, and made datatrove's signatures a hundred
times slower than reading. A block of a few thousand hashes bounds the memory whatever the size of the document.
"""

from __future__ import annotations

import numpy as np

from lc_data.text.characters import ALPHA, SPACE, SYMBOL, UNSPACED, WORD
from lc_data.text.compile import Bytes, Counts, Hashes, Numbers, kernel

BLOCK_WORDS = 4096
"""Words that the callers of the block kernels take at a time."""

_SEED = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x00000100000001B3)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)


@kernel
def mix64(value: np.uint64) -> np.uint64:
    """Spread every bit of a 64-bit value over all others (the finaliser of MurmurHash3)."""
    value ^= value >> _SHIFT
    value *= _MIX_1
    value ^= value >> _SHIFT
    value *= _MIX_2
    value ^= value >> _SHIFT
    return value


@kernel
def code_point(text: Bytes, at: int) -> tuple[np.int64, int]:
    """The code point that starts at a byte of valid UTF-8, and its size in bytes."""
    first = np.int64(text[at])
    if first < 0x80:
        return first, 1
    second = np.int64(text[at + 1]) & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | second, 2
    third = np.int64(text[at + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, 3
    return (first & 0x07) << 18 | second << 12 | third << 6 | (np.int64(text[at + 3]) & 0x3F), 4


@kernel
def content_words(text: Bytes, at: int, classes: Bytes, lower: Numbers, hashes: Hashes) -> tuple[int, int]:
    """Hash content words from byte ``at`` on, until ``hashes`` (uint64) is full or the text ends.

    Returns the byte to go on from (``len(text)`` at the end) and the number of words written.
    """
    count, size, capacity = 0, len(text), len(hashes)
    value = _SEED
    inside = False
    while at < size and count < capacity:
        point, width = code_point(text, at)
        kind = classes[point]
        if kind & WORD and not kind & UNSPACED:
            value = (value ^ np.uint64(lower[point])) * _PRIME
            inside = True
        elif inside:
            hashes[count] = mix64(value)
            count += 1
            value = _SEED
            inside = False
            continue
        elif kind & UNSPACED:
            hashes[count] = mix64((_SEED ^ np.uint64(point)) * _PRIME)
            count += 1
        at += width
    if inside and count < capacity:
        hashes[count] = mix64(value)
        count += 1
    return at, count


@kernel
def spaced_words(
    text: Bytes, at: int, classes: Bytes, hashes: Hashes, lengths: Counts, kinds: Bytes
) -> tuple[int, int]:
    """Hash spaced words from byte ``at`` on, until the arrays are full or the text ends.

    ``hashes`` (uint64), ``lengths`` (int64, characters) and ``kinds`` (uint8: ``ALPHA`` when a letter is in the word,
    ``SYMBOL`` when nothing but symbols is, ``UNSPACED`` when it is a Han or kana character) are filled in step.
    Returns the byte to go on from (``len(text)`` at the end) and the number of words written.
    """
    count, size, capacity = 0, len(text), len(hashes)
    value, length = _SEED, 0
    any_class, all_classes = np.uint8(0), np.uint8(255)
    while at < size and count < capacity:
        point, width = code_point(text, at)
        kind = classes[point]
        if not kind & (SPACE | UNSPACED):
            value = (value ^ np.uint64(point)) * _PRIME
            length += 1
            any_class |= kind
            all_classes &= kind
        elif length:
            hashes[count], lengths[count] = mix64(value), length
            kinds[count] = (any_class & ALPHA) | (all_classes & SYMBOL)
            count += 1
            value, length = _SEED, 0
            any_class, all_classes = np.uint8(0), np.uint8(255)
            continue
        elif kind & UNSPACED:
            hashes[count], lengths[count] = mix64((_SEED ^ np.uint64(point)) * _PRIME), 1
            kinds[count] = kind & (ALPHA | SYMBOL | UNSPACED)
            count += 1
        at += width
    if length and count < capacity:
        hashes[count], lengths[count] = mix64(value), length
        kinds[count] = (any_class & ALPHA) | (all_classes & SYMBOL)
        count += 1
    return at, count


@kernel
def count_spaced_words(data: Bytes, offsets: Counts, classes: Bytes, counts: Counts) -> None:
    """Count the spaced words of each row of a text column into ``counts`` (int64)."""
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        inside = False
        while at < end:
            point, width = code_point(data, at)
            kind = classes[point]
            counts[row] += (kind & UNSPACED != 0) or (not inside and kind & (SPACE | UNSPACED) == 0)
            inside = kind & (SPACE | UNSPACED) == 0
            at += width


@kernel
def count_content_words(text: Bytes, classes: Bytes) -> tuple[int, int]:
    """The content words of a text, and how many of them are Han or kana characters."""
    words = unspaced = at = 0
    inside = False
    while at < len(text):
        point, width = code_point(text, at)
        kind = classes[point]
        if kind & UNSPACED:
            words += 1
            unspaced += 1
            inside = False
        elif kind & WORD:
            words += not inside
            inside = True
        else:
            inside = False
        at += width
    return words, unspaced


@kernel
def skip_space(text: Bytes, at: int, end: int, classes: Bytes) -> int:
    """The first byte from ``at`` on that is not white space."""
    while at < end:
        point, width = code_point(text, at)
        if not classes[point] & SPACE:
            break
        at += width
    return at
