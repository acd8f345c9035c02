"""Which documents are held out of training.

The documents of a stratum stand in seeded shuffled order, so its first ones are a random sample of it: no random
numbers are needed here, and a larger share holds out the same documents and more.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np

from lc_data.recipe.mixture import HeldOut


def hold_out(stratum: np.ndarray, rule: HeldOut) -> np.ndarray:
    """Mark the held-out documents: bool [n], given each document's stratum in corpus order.

    Each stratum of at least min_documents_per_stratum documents gives its first ceil(share * n), and always keeps one.
    """
    documents = np.bincount(stratum)
    share = Fraction(str(rule.share))
    taken = np.array([min(ceil(share * int(n)), int(n) - 1) for n in documents], np.int64)
    taken[documents < rule.min_documents_per_stratum] = 0
    order = np.argsort(stratum, kind="stable")
    begins = np.cumsum(documents) - documents
    marks = np.zeros(len(stratum), bool)
    for begin, count in zip(begins.tolist(), taken.tolist(), strict=True):
        marks[order[begin : begin + count]] = True
    return marks
