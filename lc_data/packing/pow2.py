"""Pieces of 2^k tokens, rows of one size: Dataset Decomposition (Pouransari et al., arXiv:2405.13226).

A row of seq_len tokens holds seq_len / 2^k pieces of one length, so it is a batch of equally long sequences and every
step costs the same tokens. Six documents in ten that would fit a row are cut; what is lost is each one's tail below the
least piece.
"""

from __future__ import annotations

import numpy as np

from lc_data.mixing.stream import Pieces
from lc_data.packing.hashing import random_words
from lc_data.packing.rows import Rows


def pack_pow2(pieces: Pieces, seq_len: int, key: int) -> Rows:
    """Cut pieces into powers of two and put those of a size together, shuffled by ``key``.

    Of each size at most one row is not full; it is unfinished. ``seq_len`` is a power of two.
    """
    pieces = expand(pieces)
    words = random_words(key, len(pieces))
    order = np.lexsort((words, -pieces.length))
    pieces = pieces.select(order)
    sizes, begins, counts = np.unique(-pieces.length.astype(np.int64), return_index=True, return_counts=True)
    per_row = seq_len // -sizes
    rows = -(-counts // per_row)
    first_row = np.cumsum(rows) - rows
    nth = np.arange(len(pieces)) - np.repeat(begins, counts)
    row = np.repeat(first_row, counts) + nth // np.repeat(per_row, counts)
    unfinished = np.zeros(int(rows.sum()), bool)
    unfinished[(first_row + rows - 1)[counts % per_row != 0]] = True
    return Rows.of(pieces, row, len(unfinished), unfinished)


def expand(pieces: Pieces) -> Pieces:
    """Cut each piece into the powers of two that its length is the sum of, the largest first."""
    length = pieces.length.astype(np.int64)
    bits = np.arange(int(length.max(initial=1)).bit_length())[::-1]
    has = (length[:, None] >> bits & 1).astype(bool)
    owner, column = np.nonzero(has)
    size = np.int64(1) << bits[column]
    before = np.cumsum(size) - size
    counts = has.sum(axis=1)
    firsts = np.cumsum(counts) - counts
    nth = np.arange(len(owner)) - firsts[owner]
    return Pieces(
        document=pieces.document[owner],
        start=pieces.start[owner] + before - (before[firsts[owner]] if len(owner) else before),
        length=size.astype(np.int32),
        part=(pieces.part[owner] + nth).astype(np.int32),
        draw=pieces.draw[owner],
    )
