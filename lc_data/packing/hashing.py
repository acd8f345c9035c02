"""Random numbers that no library update can change: splitmix64, the same on every machine and in every version.

numpy and numba do not promise that a seed gives the same stream in their next release; a plan must still replay then.
"""

from __future__ import annotations

import numpy as np

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def mix(value: int) -> int:
    """Return the splitmix64 output for one state (Steele, Lea and Flood, OOPSLA 2014)."""
    z = (value + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def child_key(key: int, *numbers: int) -> int:
    """Return the key of a numbered purpose, unrelated to that of any other."""
    for number in numbers:
        key = mix(mix(key) ^ (number & _MASK))
    return key


def random_words(key: int, count: int) -> np.ndarray:
    """Return ``count`` uniform words, uint64: element i is ``mix(key + i * golden)``, the splitmix64 sequence."""
    with np.errstate(over="ignore"):
        return mix_words(np.uint64(key & _MASK) + np.arange(count, dtype=np.uint64) * np.uint64(_GOLDEN))


def mix_words(states: np.ndarray) -> np.ndarray:
    """Return :func:`mix` of each state, uint64 [n]."""
    with np.errstate(over="ignore"):
        z = states + np.uint64(_GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
