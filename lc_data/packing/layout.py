"""Where everything lies in the rows of one plan block, worked out for all of its packs at once.

A pack has a handful of pieces, so what takes time when one is filled is not its tokens but the dozens of small numpy
calls around them. Done for the 4,096 packs of a block together they vanish: filling went from 239 to 97 microseconds
a row of 32,768 tokens, and to about 50 where a row is handed lists that were made once for the block.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lc_data.packing.plan import PlanBlock
from lc_data.recipe.packing import Mask, Positions

PADDING = -1
"""document, part and domain id of the padding segment."""
ANCHOR = -2
"""document, part and domain id of the segment that is a row's anchor: its first token, which all segments see."""


class RowLayout(NamedTuple):
    """Where everything lies in one row; its arrays are views of the block's. A tuple, because one is made for each row.

    A segment is an attention span: one piece, or several that share a span (its ids are then those of its first
    piece). Padding, if any, is the last segment; an anchor, if any, the first.
    """

    pack_index: int
    seq_len: int
    used: int
    """tokens in pieces and of the anchor; what follows is padding"""
    pieces: slice
    """where the row's pieces stand in its block"""
    start: list[int]
    """first token of each piece in its document"""
    length: list[int]
    """tokens of each piece"""
    cu_seqlens: np.ndarray
    """int32 [n_segments + 1]; from 0 to seq_len"""
    max_seqlen: int
    """length of the longest segment, padding included, as varlen attention needs it"""
    ids: np.ndarray
    """int64 [3, n_segments]: document, part and domain of each segment; -1 for padding, -2 for the anchor"""
    counted: list[int]
    """lengths of the stretches in each of which positions count from 0; they add up to seq_len"""
    piece_ids: np.ndarray | None = None
    """int64 [3, n_pieces]: the same of each piece, where the row has no mask; None where segments are pieces"""
    anchor_id: int | None = None
    """token that stands before the pieces; None where there is none"""
    first_position: int = 0
    """what is added to the positions of documents"""


class BlockLayout:
    """The rows of one plan block."""

    def __init__(
        self,
        block: PlanBlock,
        domain: np.ndarray,
        seq_len: int,
        mask: Mask = "document",
        positions: Positions = "reset",
        anchor_id: int | None = None,
    ) -> None:
        """Lay out a block; ``domain`` is the domain code of each piece's document.

        ``mask``, ``positions`` and ``anchor_id`` are the plan's. They say which borders the rows tell of, where
        positions restart, and which token, if any, stands before the pieces of every row, as a segment of its own; what
        attends to what stands in the block's spans.

        Raises ValueError for pieces that do not fit rows of seq_len, for an empty piece, and when the pieces of a span
        are not neighbours: such a plan was not made for this seq_len, or not by this package.
        """
        self.seq_len, self._block, self._anchor_id = seq_len, block, anchor_id
        lead = int(anchor_id is not None)
        self._first_pack = block.first_pack if block.pieces else 0
        pack = block.pack - self._first_pack
        length = block.length.astype(np.int64)
        counts = np.bincount(pack, minlength=block.packs)
        pieces = np.concatenate(([0], np.cumsum(counts)))
        _check(block, length, pack)
        begin = np.cumsum(length) - length
        begin -= np.repeat(begin[pieces[:-1]], counts)
        used = np.zeros(block.packs, np.int64)
        np.add.at(used, pack, length)
        if block.packs and used.max() > seq_len - lead:
            worst = int(used.argmax())
            raise ValueError(
                f"the pieces of pack {self._first_pack + worst} hold {used[worst]} tokens, "
                + ("seq_len is " if not lead else "a row without its anchor ")
                + f"{seq_len - lead}: plan and seq_len differ"
            )
        used, begin = used + lead, begin + lead
        opening = np.flatnonzero(np.diff(block.span, prepend=-1) | np.diff(pack, prepend=-1))
        ids = (block.document, block.part, domain)
        self._piece_ids = np.array(ids, np.int64).reshape(3, -1) if mask == "none" else None
        self._pieces: list[int] = pieces.tolist()
        self._used: list[int] = used.tolist()
        self._start: list[int] = block.start.tolist()
        self._length: list[int] = block.length.tolist()
        self._lay_segments(opening, pack[opening], begin[opening], used, domain)
        self._first_position = lead if positions == "reset" else 0
        self._stretches = "used" if positions == "continuous" else "pieces" if mask == "none" else "segments"

    def row(self, pack: int) -> RowLayout:
        """Return the layout of a pack, by its global index."""
        at = pack - self._first_pack
        pieces = slice(self._pieces[at], self._pieces[at + 1])
        begin, end = self._segments[at], self._segments[at + 1]
        length = self._length[pieces]
        return RowLayout(
            pack,
            self.seq_len,
            self._used[at],
            pieces,
            self._start[pieces],
            length,
            # Every pack before this one has one border more than it has segments.
            self._borders[begin + at : end + at + 1],
            self._longest[at],
            self._ids[:, begin:end],
            self._sizes[begin:end] if self._stretches == "segments" else self._count(at, length),
            None if self._piece_ids is None else self._piece_ids[:, pieces],
            self._anchor_id,
            self._first_position,
        )

    def _count(self, at: int, length: list[int]) -> list[int]:
        """Return the stretches of a row in which positions do not restart where its segments do."""
        used = self._used[at]
        padding = [self.seq_len - used] if used < self.seq_len else []
        return [used, *padding] if self._stretches == "used" else length + padding

    def _lay_segments(
        self, opening: np.ndarray, pack: np.ndarray, begin: np.ndarray, used: np.ndarray, domain: np.ndarray
    ) -> None:
        """Enter the segments, each given by the piece that opens it, its pack and its first token in the row."""
        packs, lead = len(used), int(self._anchor_id is not None)
        padded = used < self.seq_len
        ends = np.cumsum(np.bincount(pack, minlength=packs) + padded + lead)
        segments = int(ends[-1]) if packs else 0
        place = np.arange(len(pack)) + (np.cumsum(padded) - padded)[pack] + lead * (pack + 1)
        self._ids = np.full((3, segments), PADDING, np.int64)
        for row, values in enumerate((self._block.document, self._block.part, domain)):
            self._ids[row, place] = values[opening]
        self._borders = np.empty(segments + packs, np.int32)
        at = np.arange(packs)
        self._borders[place + pack] = begin
        if lead:
            first = np.concatenate(([0], ends[:-1]))[:packs]
            self._ids[:, first] = ANCHOR
            self._borders[first + at] = 0
        self._borders[(ends - 1 + at)[padded]] = used[padded]
        self._borders[ends + at] = self.seq_len
        self._segments: list[int] = [0, *ends.tolist()]
        sizes = np.delete(np.diff(self._borders), (ends + at)[:-1]) if packs else np.empty(0, np.int32)
        self._sizes: list[int] = sizes.tolist()
        self._longest: list[int] = np.maximum.reduceat(sizes, self._segments[:-1]).tolist() if packs else []


def _check(block: PlanBlock, length: np.ndarray, pack: np.ndarray) -> None:
    if len(length) and length.min() < 1:
        raise ValueError("a piece of a pack is empty: plans never hold empty pieces")
    back = (np.diff(block.span) < 0) & (np.diff(pack) == 0)
    if back.any() or (len(length) and block.span.min() < 0):
        raise ValueError("span ids must be non-negative and must not decrease inside a pack")
