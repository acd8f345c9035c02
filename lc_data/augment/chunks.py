"""How many chunks a document is cut into, and where."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lc_data.packing.hashing import child_key, random_words
from lc_data.recipe.augment import Cutting

_COUNT, _PLACE = range(2)


def count_chunks(length: npt.NDArray[np.int64], cutting: Cutting, key: int) -> npt.NDArray[np.int64]:
    """Return the chunks of each document, int64 [n]: evenly drawn, fewer where they would be too short."""
    low, high = cutting.chunks
    words = random_words(child_key(key, _COUNT), len(length)) >> np.uint64(32)
    drawn = low + (words % np.uint64(high - low + 1)).astype(np.int64)
    return np.maximum(np.minimum(drawn, length // cutting.min_chunk_tokens), 1)


def cut_chunks(
    length: npt.NDArray[np.int64], chunks: npt.NDArray[np.int64], cutting: Cutting, key: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return of every chunk, by document and place in it: its document, first token and tokens, int64 [chunks]."""
    document = np.repeat(np.arange(len(length)), chunks)
    first = np.cumsum(chunks) - chunks
    place = np.arange(len(document)) - first[document]
    if cutting.cut == "equal":
        start = place * length[document] // chunks[document]
    else:
        # Every chunk has its least; what is beyond is cut at sorted random places.
        beyond = length - chunks * np.minimum(cutting.min_chunk_tokens, length // chunks)
        words = random_words(child_key(key, _PLACE), len(document)) >> np.uint64(32)
        drawn = (words % (beyond[document] + 1).astype(np.uint64)).astype(np.int64)
        drawn[first] = -1  # sorts first: the first chunk begins with the document
        drawn = drawn[np.lexsort((drawn, document))]
        least = np.minimum(cutting.min_chunk_tokens, length // chunks)
        start = np.where(place == 0, 0, place * least[document] + drawn)
    stop = np.append(start[1:], 0)
    last = first + chunks - 1
    stop[last] = length
    return document, start, stop - start
