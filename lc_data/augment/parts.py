"""What a derived document is made of: ordered parts of source documents, and made tokens with a role.

The parts are the provenance as well as the recipe: writer, verification and trace all turn the same table into tokens,
so what a trace says about a row is what the row was made from. This module imports no numba.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

SOURCE, HEAD, TAIL, ASK, ANSWER, STOP = range(6)
ROLES = ("source", "head knot", "tail knot", "trace", "answer", "end of answer")
"""Name of each role: a stretch of a document; a knot before a chunk, with its id; one behind a chunk, with the id of
the chunk that goes on; what asks for the ids of a document's chunks; one of these ids; what ends them."""

CARRY_IDS = (HEAD, TAIL, ANSWER)
"""Roles of made tokens that say a chunk's id."""

_LOSS = np.array([True, False, False, False, True, True])
"""Of which roles loss counts."""


@dataclass(frozen=True)
class Parts:
    """The parts of one derived document in their order: arrays of equal length."""

    role: npt.NDArray[np.uint8]
    source: npt.NDArray[np.int64]
    """document number; -1 for made tokens"""
    start: npt.NDArray[np.int64]
    """first token in the source; for made tokens the chunk id that they carry, or 0"""
    length: npt.NDArray[np.int32]
    """tokens"""

    def take(self, rows: slice | npt.NDArray[np.int64]) -> Parts:
        """Return some of the parts."""
        return Parts(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def made_tokens(self) -> int:
        """Tokens that come from no document."""
        return int(self.length[self.role != SOURCE].sum())


@dataclass(frozen=True)
class KnotTokens:
    """Token ids of what knots are made of."""

    head: int
    tail: int
    trace: int
    end: int
    digits: tuple[int, ...]
    """of 0 to 9"""
    id_digits: int
    """digits of a chunk id"""

    def write(self, parts: Parts, target: npt.NDArray[np.integer]) -> None:
        """Write the made tokens of a derived document into ``target``, where they stand among its parts.

        Raises ValueError for a part that is not as long as what it says.
        """
        width = self.id_digits
        expected = np.array([0, width + 2, width + 2, 1, width, 1])[parts.role]
        if (parts.length != expected)[parts.role != SOURCE].any():
            raise ValueError(f"made parts of other lengths than those of ids of {width} digits")
        begins = np.cumsum(parts.length, dtype=np.int64) - parts.length
        ids, knots = np.isin(parts.role, CARRY_IDS), np.isin(parts.role, (HEAD, TAIL))
        digits, first = np.array(self.digits), begins[ids] + knots[ids]
        for place in range(width):
            target[first + place] = digits[parts.start[ids] // 10 ** (width - 1 - place) % 10]
        target[begins[knots] + width + 1] = self.end
        for role, token in ((HEAD, self.head), (TAIL, self.tail), (ASK, self.trace), (STOP, self.end)):
            target[begins[parts.role == role]] = token


ReadTokens = Callable[[int, int, int], npt.NDArray[np.integer]]
"""Tokens of a document: its number, the first, how many."""


def write_tokens(parts: Parts, read: ReadTokens, knots: KnotTokens | None, target: npt.NDArray[np.integer]) -> None:
    """Write the tokens of a derived document into ``target``.

    Raises ValueError where it is not exactly as long as the parts together, and for made parts without knot tokens.
    """
    ends = np.cumsum(parts.length, dtype=np.int64)
    if not len(ends) or ends[-1] != len(target):
        raise ValueError(f"{ends[-1] if len(ends) else 0} tokens in the parts of a document of {len(target)}")
    sources = parts.role == SOURCE
    columns = (ends[sources], parts.source[sources], parts.start[sources], parts.length[sources])
    for end, source, start, length in zip(*(column.tolist() for column in columns), strict=True):
        target[end - length : end] = read(source, start, length)
    if sources.all():
        return
    if knots is None:
        raise ValueError("made parts, and no knot tokens are given")
    knots.write(parts, target)


def target_spans(parts: Parts) -> Sequence[tuple[int, int]] | None:
    """Return where loss counts, (start, end) pairs in order; None where it counts everywhere."""
    counts = _LOSS[parts.role]
    if counts.all():
        return None
    ends = np.cumsum(parts.length, dtype=np.int64)
    edges = np.flatnonzero(np.diff(counts.astype(np.int8), prepend=0, append=0))
    first, stop = edges[::2], edges[1::2]
    begins = ends[first] - parts.length[first]
    return list(zip(begins.tolist(), ends[stop - 1].tolist(), strict=True))
