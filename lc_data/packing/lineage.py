"""A hash of each pack of a plan, by which two plans are compared pack by pack.

A plan's own hash says only whether it is another one. Whoever has consumed packs of a plan that has been mended or
continued since wants to know whether those packs still are what they were: eight bytes a pack answer it for any two
plans, whatever made the one of the other.
"""

from __future__ import annotations

import numpy as np

from lc_data.packing.hashing import mix_words
from lc_data.packing.plan import PlanBlock

_COLUMNS = ("document", "start", "length", "part", "span")


def pack_hashes(block: PlanBlock) -> np.ndarray:
    """Return the hash of each pack of a block, uint64 [packs]: over its pieces in their order, not over its number."""
    if not block.pieces:
        return np.empty(0, np.uint64)
    begins = np.flatnonzero(np.diff(block.pack, prepend=-1))
    sizes = np.diff(begins, append=block.pieces)
    words = mix_words((np.arange(block.pieces) - np.repeat(begins, sizes)).astype(np.uint64))
    for name in _COLUMNS:
        words = mix_words(words ^ getattr(block, name).astype(np.int64).view(np.uint64))
    with np.errstate(over="ignore"):
        return np.add.reduceat(words, begins)
