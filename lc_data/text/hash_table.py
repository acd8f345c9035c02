"""An open-addressing table from 64-bit keys to numbers in order of first sight, for use inside kernels.

A numba dictionary does the same at a fifth of the speed. The table is two arrays, ``keys`` (0 marks a free slot) and
``numbers`` (uint32), of one power-of-two size; the caller grows it when it is seven tenths full.
"""

from __future__ import annotations

import numpy as np

from lc_data.text.compile import Hashes, Numbers, kernel
from lc_data.text.words import mix64


@kernel
def find_slot(keys: Hashes, key: np.uint64) -> np.uint64:
    """The slot that holds ``key``, or the free slot where it belongs. ``key`` is never 0."""
    mask = np.uint64(len(keys) - 1)
    slot = mix64(key) & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@kernel
def grow(keys: Hashes, numbers: Numbers) -> tuple[Hashes, Numbers]:
    """The same table with twice the slots."""
    wider_keys = np.zeros(2 * len(keys), np.uint64)
    wider_numbers = np.empty(2 * len(keys), np.uint32)
    for old in range(len(keys)):
        if keys[old] != 0:
            slot = find_slot(wider_keys, keys[old])
            wider_keys[slot] = keys[old]
            wider_numbers[slot] = numbers[old]
    return wider_keys, wider_numbers


@kernel
def is_crowded(used: int, keys: Hashes) -> bool:
    """Whether the table should grow before the next key comes in."""
    return 10 * used >= 7 * len(keys)


@kernel
def make_room(used: int, coming: int, keys: Hashes, numbers: Numbers) -> tuple[Hashes, Numbers]:
    """The table, grown until so many more keys fit."""
    while 10 * (used + coming) >= 7 * len(keys):
        keys, numbers = grow(keys, numbers)
    return keys, numbers


@kernel
def number_keys(batch: Hashes, used: int, keys: Hashes, numbers: Numbers, slots: Hashes, found: Numbers) -> int:
    """Put the number of each key of a batch into ``found``, new ones numbered from ``used`` on; give the next number.

    The table has room for the batch; ``slots`` is scratch. All first slots are looked at before any is followed, so
    that the processor waits for memory once for many keys: a fifth of the time of a table that its cache cannot hold.
    """
    mask = np.uint64(len(keys) - 1)
    for index in range(len(batch)):
        slots[index] = mix64(batch[index]) & mask
        found[index] = keys[slots[index]] == batch[index]
    for index in range(len(batch)):
        slot = slots[index]
        if not found[index]:
            while keys[slot] != 0 and keys[slot] != batch[index]:
                slot = (slot + np.uint64(1)) & mask
            if keys[slot] == 0:
                keys[slot] = batch[index]
                numbers[slot] = np.uint32(used)
                used += 1
        found[index] = numbers[slot]
    return used
