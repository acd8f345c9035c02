"""Concat-and-chunk: documents one after the other, cut wherever a row ends.

Every row is full and planning costs next to nothing; one document in nine that would fit a row is cut, and what stands
after the cut has lost its beginning. It is here to be compared with.
"""

from __future__ import annotations

import numpy as np

from lc_data.mixing.stream import Pieces
from lc_data.packing.hashing import random_words
from lc_data.packing.rows import Rows


def pack_concat(pieces: Pieces, seq_len: int, carried: int, key: int) -> Rows:
    """Lay pieces end to end and cut them into rows of seq_len; the last row is unfinished unless it is full.

    The first ``carried`` pieces are rows of the block before, whole ones first, and stay in their order; the others
    are put together to documents, and these shuffled by ``key``. Parts of a document are counted from its beginning; in
    one that two mixture stages share, the second stage leaves a gap in the count.
    """
    documents = _join(pieces.select(np.arange(carried, len(pieces))), seq_len)
    shuffled = np.argsort(random_words(key, len(documents)), kind="stable")
    pieces = Pieces.concatenate([pieces.select(np.arange(carried)), documents.select(shuffled)])
    length = pieces.length.astype(np.int64)
    end = np.cumsum(length)
    begin = end - length
    first_row, last_row = begin // seq_len, (end - 1) // seq_len
    count = last_row - first_row + 1
    nth = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    row = np.repeat(first_row, count) + nth
    starts_at = np.maximum(np.repeat(begin, count), row * seq_len)
    ends_at = np.minimum(np.repeat(end, count), (row + 1) * seq_len)
    cut = Pieces(
        document=np.repeat(pieces.document, count),
        start=np.repeat(pieces.start, count) + starts_at - np.repeat(begin, count),
        length=(ends_at - starts_at).astype(np.int32),
        part=(np.repeat(pieces.part, count) + nth).astype(np.int32),
        draw=np.repeat(pieces.draw, count),
    )
    tokens = int(end[-1]) if len(end) else 0
    rows = -(-tokens // seq_len)
    unfinished = np.zeros(rows, bool)
    unfinished[tokens // seq_len :] = True
    return Rows.of(cut, row, rows, unfinished)


def _join(pieces: Pieces, seq_len: int) -> Pieces:
    """Put neighbouring pieces that follow each other in a document together."""
    ends = pieces.start + pieces.length
    follows = np.zeros(len(pieces), bool)
    follows[1:] = (pieces.document[1:] == pieces.document[:-1]) & (pieces.start[1:] == ends[:-1])
    first = np.flatnonzero(~follows)
    length = np.add.reduceat(pieces.length, first) if len(first) else pieces.length
    joined = pieces.select(first)
    # What lies before a piece has been cut at row ends into at most so many parts.
    part = np.where(joined.start > 0, joined.start // seq_len + 2, 0)
    return Pieces(joined.document, joined.start, length.astype(np.int32), part.astype(np.int32), joined.draw)
