"""How many bands of how many rows: the trade between pairs that are missed and pairs that are looked at in vain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_STEPS = 1000


def find_probability(similarity: float, bands: int, rows: int) -> float:
    """The probability that two documents of a Jaccard similarity share a band (Leskovec et al., section 3.4)."""
    return float(1 - (1 - similarity**rows) ** bands)


def choose_banding(threshold: float, permutations: int, miss_weight: float = 0.5) -> tuple[int, int]:
    """Bands and rows, together at most ``permutations`` values, that find pairs above a threshold and no others.

    The least of ``miss_weight`` times the probability of missing, over all similarities above the threshold, and of
    the rest times that of finding, over those below, as datasketch weighs them. Where candidates are verified a miss
    costs more than a vain look, and a weight of 0.9 or more is right.
    """
    best, chosen = np.inf, (1, 1)
    below, above = _midpoints(0, threshold), _midpoints(threshold, 1)
    for bands in range(1, permutations + 1):
        for rows in range(1, permutations // bands + 1):
            vain = (1 - (1 - below**rows) ** bands).mean() * threshold
            missed = ((1 - above**rows) ** bands).mean() * (1 - threshold)
            cost = (1 - miss_weight) * vain + miss_weight * missed
            if cost < best:
                best, chosen = float(cost), (bands, rows)
    return chosen


def _midpoints(low: float, high: float) -> npt.NDArray[np.float64]:
    return low + (high - low) * (np.arange(_STEPS) + 0.5) / _STEPS
