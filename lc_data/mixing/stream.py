"""The stream of one stratum: its documents cut into pieces, one after the other, again from the start when they end.

A place in the stream is a number of tokens, so what a block of the plan draws is an interval between two piece ends,
found by binary search: no cursor, no state, no Python per document. An over-long document lies in the stream as full
pieces and a tail; its pieces may fall into neighbouring blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numba import njit


@dataclass(frozen=True)
class Pieces:
    """Pieces in the order drawn; arrays of equal length, one element per piece."""

    document: np.ndarray
    """int64: row of the index"""
    start: np.ndarray
    """int64: first token in the document"""
    length: np.ndarray
    """int32, at least 1"""
    part: np.ndarray
    """int32: 0-based piece of its document"""
    draw: np.ndarray
    """int32: which draw it came from"""

    def __len__(self) -> int:
        return len(self.document)

    def select(self, rows: np.ndarray) -> Pieces:
        """Return some of the pieces, by mask or by row numbers."""
        return Pieces(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def concatenate(cls, several: Sequence[Pieces]) -> Pieces:
        """Return all pieces, in order."""
        return cls(*(np.concatenate([getattr(pieces, field.name) for pieces in several]) for field in fields(cls)))

    @classmethod
    def none(cls) -> Pieces:
        """Return no pieces."""
        return cls(*(np.empty(0, dtype) for dtype in (np.int64, np.int64, np.int32, np.int32, np.int32)))


@dataclass(frozen=True)
class DocumentStream:
    """Documents in drawing order with their cumulative lengths, and the length at which they are cut."""

    document: np.ndarray
    """int64 [n]: rows of the index"""
    ends: np.ndarray
    """int64 [n]: cumulative tokens, strictly ascending (an empty document has no piece)"""
    piece_tokens: int
    """longest piece: seq_len"""

    @classmethod
    def of(cls, document: np.ndarray, length: np.ndarray, piece_tokens: int) -> DocumentStream:
        """Make a stream of documents with their trainable lengths; empty ones are left out."""
        some = length > 0
        return cls(document[some], np.cumsum(length[some], dtype=np.int64), piece_tokens)

    @property
    def tokens(self) -> int:
        """Tokens in one repeat."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def nearest_end(self, tokens: int) -> int:
        """Return the piece end nearest to a place in the stream, at most half a piece away; later repeats included."""
        if tokens == 0:
            return 0
        repeat, offset = divmod(tokens, self.tokens)
        at = int(np.searchsorted(self.ends, offset, side="right"))
        begin, end = self._bounds(at)
        low = begin + (offset - begin) // self.piece_tokens * self.piece_tokens
        high = min(low + self.piece_tokens, end)
        return repeat * self.tokens + (high if 2 * offset >= low + high else low)

    def documents_before(self, tokens: int) -> int:
        """Return how many documents begin before a place in the stream, each repeat counted."""
        if tokens == 0:
            return 0
        repeat, offset = divmod(tokens - 1, self.tokens)
        return repeat * len(self.ends) + int(np.searchsorted(self.ends, offset, side="right")) + 1

    def draw(self, begin: int, end: int, label: int) -> Pieces:
        """Return the pieces between two piece ends, labelled with the number of the draw."""
        if begin == end:
            return Pieces.none()
        first, stop = self.documents_before(begin + 1) - 1, self.documents_before(end)
        document, start, length, part = _cut(self.document, self.ends, self.piece_tokens, begin, end, first, stop)
        return Pieces(document, start, length, part, np.full(len(part), label, np.int32))

    def _bounds(self, at: int) -> tuple[int, int]:
        return (int(self.ends[at - 1]) if at else 0), int(self.ends[at])


@njit(cache=True)
def _cut(  # noqa: PLR0913, PLR0917 - a kernel takes arrays and numbers
    document: np.ndarray, ends: np.ndarray, piece_tokens: int, begin: int, end: int, first: int, stop: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cut documents ``first`` to ``stop`` of a stream, repeats counted, into their pieces from ``begin`` to ``end``.

    Returns the columns of :class:`Pieces` but for the last. A block draws from dozens of streams, a few hundred
    documents each: whole-array steps over so few took four times as long.
    """
    tokens, most = ends[-1], 0
    for ordinal in range(first, stop):
        at = ordinal % len(ends)
        most += (ends[at] - (ends[at - 1] if at else 0) + piece_tokens - 1) // piece_tokens
    documents, starts = np.empty(most, np.int64), np.empty(most, np.int64)
    lengths, parts = np.empty(most, np.int32), np.empty(most, np.int32)
    pieces = 0
    for ordinal in range(first, stop):
        repeat, at = divmod(ordinal, len(ends))
        origin = repeat * tokens + (ends[at - 1] if at else 0)
        whole = ends[at] - (ends[at - 1] if at else 0)
        start = max(begin - origin, 0) // piece_tokens * piece_tokens
        while start < min(end - origin, whole):
            documents[pieces], starts[pieces] = document[at], start
            lengths[pieces], parts[pieces] = min(whole - start, piece_tokens), start // piece_tokens
            start += piece_tokens
            pieces += 1
    return documents[:pieces], starts[:pieces], lengths[:pieces], parts[:pieces]


def stratum_streams(
    stratum: np.ndarray, length: np.ndarray, excluded: np.ndarray, piece_tokens: int, rank: np.ndarray | None = None
) -> dict[int, DocumentStream]:
    """Make the stream of each stratum that has tokens: its documents in corpus order, without those ``excluded``.

    ``length`` is the trainable length of each document. ``rank`` (float32 [n]) draws the lowest first, ties in corpus
    order. Memory: 16 bytes per document, beside the sort's 8.
    """
    usable = np.flatnonzero(~excluded)
    own = stratum[usable]
    counts = np.bincount(own)
    order = usable[np.argsort(own, kind="stable")]
    bounds = np.cumsum([0, *counts]).tolist()
    streams = {}
    for identity in np.flatnonzero(counts).tolist():
        documents = order[bounds[identity] : bounds[identity + 1]]
        if rank is not None:
            documents = documents[np.argsort(rank[documents], kind="stable")]
        stream = DocumentStream.of(documents, length[documents], piece_tokens)
        if stream.tokens:
            streams[identity] = stream
    return streams
