"""The kernels behind the rules on repeated lines and paragraphs."""

from __future__ import annotations

import numpy as np

from lc_data.text.characters import SPACE
from lc_data.text.compile import Bytes, Counts, kernel
from lc_data.text.hash_table import find_slot, grow, is_crowded
from lc_data.text.words import code_point, mix64, skip_space

_SEED = np.uint64(0xCBF29CE484222325)
_ZERO, _ONE, _BYTE = np.uint64(0), np.uint64(1), np.uint64(8)
_FIRST_SLOTS = 256
_NEW_LINE = 10


@kernel
def duplicate_paragraphs(data: Bytes, offsets: Counts, classes: Bytes, out: Counts) -> None:
    """Per row: paragraphs (parted by empty lines), those that occurred before, and their characters."""
    for row in range(len(offsets) - 1):
        start = skip_space(data, offsets[row], offsets[row + 1], classes)
        end = at = offsets[row + 1]
        while at > start:
            at -= 1
            if data[at] & 0xC0 != 0x80:
                point, _ = code_point(data, at)
                if not classes[point] & SPACE:
                    break
                end = at
        _duplicate_segments(data[start:end], 2, out[row])


@kernel
def duplicate_lines(data: Bytes, offsets: Counts, out: Counts) -> None:
    """Per row: lines (empty ones left out), those that occurred before, their characters, and all characters."""
    for row in range(len(offsets) - 1):
        text = data[offsets[row] : offsets[row + 1]]
        _duplicate_segments(text, 1, out[row])
        chars = 0
        for byte in text:
            chars += byte & 0xC0 != 0x80
        out[row, 3] = chars


@kernel
def _duplicate_segments(text: Bytes, least_new_lines: int, out: Counts) -> None:
    """Segments parted by at least so many line ends: their number, the number and characters of repeated ones.

    Only whole separators may stand at the end of the text, so paragraphs are given stripped.
    """
    keys, numbers = np.zeros(_FIRST_SLOTS, np.uint64), np.zeros(_FIRST_SLOTS, np.uint32)
    used = 0
    at, size = 0, len(text)
    value, held, length, chars = _SEED, _ZERO, 0, 0
    while True:
        while at < size and text[at] != _NEW_LINE:
            value, held, length = _take_in(text[at], value, held, length)
            chars += text[at] & 0xC0 != 0x80
            at += 1
        run = 0
        while at + run < size and text[at + run] == _NEW_LINE:
            run += 1
        if at + run < size and run < least_new_lines:
            for _ in range(run):  # part of the segment
                value, held, length = _take_in(np.uint8(_NEW_LINE), value, held, length)
            chars += run
            at += run
            continue
        if is_crowded(used, keys):
            keys, numbers = grow(keys, numbers)
        key = mix64(mix64(value ^ held) ^ np.uint64(length)) | _ONE
        slot = find_slot(keys, key)
        out[0] += 1
        if keys[slot] == key:
            out[1] += 1
            out[2] += chars
        else:
            keys[slot] = key
            used += 1
        if run == 0:
            return
        at += run
        value, held, length, chars = _SEED, _ZERO, 0, 0


@kernel
def _take_in(byte: np.uint8, value: np.uint64, held: np.uint64, length: int) -> tuple[np.uint64, np.uint64, int]:
    """One more byte of a hash. Eight are mixed in at a time: mixing takes five times as long as holding a byte."""
    held = held << _BYTE | np.uint64(byte)
    length += 1
    if length & 7 == 0:
        return mix64(value ^ held), _ZERO, length
    return value, held, length
