"""What each Unicode character is to us, as two tables indexed by code point.

Looking a character up costs one load, whatever its script, and the kernels need no Unicode library. The tables come
from Python's own ``unicodedata``: a cluster must run one Python version, as it must for Ray anyway.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

SPACE = 1
"""White space, as ``str.isspace`` has it."""
UNSPACED = 2
"""A character of a script written without spaces (Han, kana): a word of its own."""
ALPHA = 4
"""A letter, as ``str.isalpha`` has it."""
WORD = 8
"""A letter, digit or combining mark: what words are made of once punctuation is left out."""
SYMBOL = 16
"""Punctuation, symbols and control characters."""
LINE_BREAK = 32
"""Ends a line, as ``str.splitlines`` has it."""

_LINE_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_UNSPACED_RANGES = (
    (0x3005, 0x3007),  # iteration mark, closing mark, zero
    (0x3041, 0x3096),  # hiragana
    (0x309D, 0x309F),
    (0x30A1, 0x30FA),  # katakana
    (0x30FC, 0x30FF),
    (0x31F0, 0x31FF),  # small katakana
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9D),  # half-width katakana
    (0x20000, 0x3FFFD),  # Han, extensions B and later
)


@cache
def character_classes() -> npt.NDArray[np.uint8]:
    """The classes of every code point, as a sum of the constants above: uint8[0x110000]."""
    major = np.frombuffer(
        "".join(unicodedata.category(chr(point))[0] for point in range(sys.maxunicode + 1)).encode(), np.uint8
    )
    classes = np.zeros(sys.maxunicode + 1, np.uint8)
    classes[major == ord("L")] |= ALPHA | WORD
    classes[(major == ord("N")) | (major == ord("M"))] |= WORD
    classes[(major == ord("P")) | (major == ord("S")) | (major == ord("C"))] |= SYMBOL
    for low, high in _UNSPACED_RANGES:
        classes[low : high + 1] |= UNSPACED
    # White space is no longer a symbol: tabs and line ends are control characters to Unicode.
    classes[[point for point in range(0x3001) if chr(point).isspace()]] = SPACE
    classes[[ord(character) for character in _LINE_BREAKS]] |= LINE_BREAK
    classes.flags.writeable = False
    return classes


@cache
def lower_case() -> npt.NDArray[np.uint32]:
    """The lower-case code point of every code point (itself where there is none of one character): uint32[0x110000]."""
    table = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    for point in np.flatnonzero(character_classes() & ALPHA):
        lowered = chr(point).lower()
        if len(lowered) == 1:
            table[point] = ord(lowered)
    table.flags.writeable = False
    return table
