"""Chunk interleaving (LongSkywork's CIP): the first chunks of several documents, then all their second ones, and so on.

What goes on after a chunk stands several documents away. Nothing is added, loss counts everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lc_data.augment.chunks import cut_chunks
from lc_data.augment.parts import SOURCE, Parts
from lc_data.recipe.augment import Interleave


def interleave(
    document: npt.NDArray[np.int64],
    length: npt.NDArray[np.int64],
    chunks: npt.NDArray[np.int64],
    options: Interleave,
    key: int,
) -> Parts:
    """Return the parts of the row that these documents make; one with fewer chunks than others ends earlier."""
    owner, start, tokens = cut_chunks(length, chunks, options, key)
    place = np.arange(len(owner)) - (np.cumsum(chunks) - chunks)[owner]
    order = np.lexsort((owner, place))
    return Parts(
        np.full(len(order), SOURCE, np.uint8),
        document[owner[order]].astype(np.int64),
        start[order],
        tokens[order].astype(np.int32),
    )
