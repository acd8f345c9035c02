"""Growing curricula of Dataset Decomposition: in every cycle short sequences crowd the beginning, long ones the end.

One long warm-up from short to long failed for Index-1.9B (validation loss 1.57 to 1.87), whose authors suspect that the
domains drifted with the lengths; cycles are what the method needs, and the plan's facts show the drift.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from lc_data.packing.hashing import random_words

Growth = Literal["natural", "grow_linear", "grow_p2"]


def order_cycle(longest: np.ndarray, curriculum: Growth, key: int) -> np.ndarray:
    """Return an order of a cycle's rows, int64 [n_rows].

    Rows of one length, ``longest`` [n_rows], keep the order in which they are given. At every place a length is drawn
    among those that have rows left, with odds that fall from the shortest to the longest: 6, 5, ... 1 (grow_linear) or
    32, 16, ... 1 (grow_p2), for six lengths. So every cycle uses up every length.
    """
    if curriculum == "natural":
        return np.arange(len(longest))
    sizes, kind = np.unique(longest, return_inverse=True)
    waiting = [np.flatnonzero(kind == number).tolist()[::-1] for number in range(len(sizes))]
    ranks = np.arange(len(sizes), 0, -1)
    odds = ranks if curriculum == "grow_linear" else 1 << (ranks - 1)
    order = []
    alive = [number for number in range(len(sizes)) if waiting[number]]
    ends = np.cumsum(odds[alive])
    for word in (random_words(key, len(longest)) >> np.uint64(11)).tolist():
        # 53 bits are even enough for odds whose sum is at most 2^24.
        number = alive[int(np.searchsorted(ends, word % int(ends[-1]), side="right"))]
        order.append(waiting[number].pop())
        if not waiting[number]:
            alive.remove(number)
            ends = np.cumsum(odds[alive])
    return np.array(order, np.int64)
