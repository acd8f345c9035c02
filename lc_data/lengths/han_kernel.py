"""The loop of :mod:`lc_data.lengths.han_marks`: 300 MB/s."""

from __future__ import annotations

import numpy as np
from numba import njit

from lc_data.lengths.han_marks import FIRST_FACTOR, FIRST_HAN, HASH_BITS, LAST_HAN, SECOND_FACTOR

_SHIFT = np.uint64(64 - HASH_BITS)
_LOW, _MIDDLE, _HIGH = np.uint64(63), np.uint64(6), np.uint64(12)


@njit(cache=True, nogil=True)
def insert_marks(data: np.ndarray, is_joined: np.ndarray, marker: np.ndarray, marked: np.ndarray) -> int:
    """Copy a text with the marker between Han characters that nothing joins; the number of bytes written."""
    size, place, previous = 0, 0, np.uint64(0)
    while place < len(data):
        number = np.uint64(0)
        if 0xE4 <= data[place] <= 0xE9:
            high, middle = np.uint64(data[place]) & np.uint64(15), np.uint64(data[place + 1]) & _LOW
            number = (high << _HIGH) | (middle << _MIDDLE) | (np.uint64(data[place + 2]) & _LOW)
            if number < FIRST_HAN or number > LAST_HAN:
                number = np.uint64(0)
        width = 1
        if number:
            width = 3
            if previous and not is_joined[((previous * FIRST_FACTOR) ^ (number * SECOND_FACTOR)) >> _SHIFT]:
                for byte in marker:
                    marked[size] = byte
                    size += 1
        for offset in range(width):
            marked[size] = data[place + offset]
            size += 1
        place += width
        previous = number
    return size
