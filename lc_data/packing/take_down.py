"""Take-down: documents leave a plan, and every pack that held none of them stays what it is, byte for byte.

Planning anew without them would move every later document to another pack: no step of a run could be repeated, and
nothing could be said about what an unfinished training has seen. So the plan is made as if nothing were excluded, and
mended block by block. The holes are filled, as well as they can be, with documents of the same strata that lie in their
streams right after what was planned, and so were in no pack; where there are none left before a stream would repeat,
rows are padded instead. A pack that lost everything must still be a pack: it gets one document that is in the plan
already.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle

import numpy as np

from lc_data.mixing.stream import DocumentStream, Pieces
from lc_data.packing.plan import PlanBlock
from lc_data.packing.planner import PlannedBlock
from lc_data.packing.pow2 import expand
from lc_data.packing.subject import Subject
from lc_data.recipe.packing import PackSection

_CHOICE_ROWS = 8
"""Rows' worth of documents of each stratum to choose from, so that holes are filled well."""


@dataclass(frozen=True)
class Spare:
    """A stratum's stream, and how much of it is in the plan."""

    stream: DocumentStream
    planned_tokens: int


@dataclass
class TakeDown:
    """What was taken out of a plan and what was put in; arrays are int64 [n_strata]."""

    removed_documents: np.ndarray
    """Documents whose beginning was taken out, each repeat counted."""
    removed_tokens: np.ndarray
    replaced_documents: np.ndarray
    replaced_tokens: np.ndarray
    """Drawn beyond what was planned."""
    repeated_documents: np.ndarray
    repeated_tokens: np.ndarray
    """Drawn once more, for packs that had lost everything."""
    removed_pieces: int = 0
    changed: list[int] = field(default_factory=list)
    """Packs that hold other pieces than were planned, ascending."""
    packs_emptied: int = 0

    @classmethod
    def none(cls, strata: int) -> TakeDown:
        """Return the books of a plan that nothing has been taken out of yet."""
        sums = np.zeros((6, strata), np.int64)
        return cls(sums[0], sums[1], sums[2], sums[3], sums[4], sums[5])

    @property
    def added_tokens(self) -> np.ndarray:
        """Tokens put in, less tokens taken out: int64 [n_strata]."""
        return self.replaced_tokens + self.repeated_tokens - self.removed_tokens


class Mender:
    """Takes excluded documents out of a plan, block after block."""

    def __init__(self, subject: Subject, spares: Mapping[int, Spare], packing: PackSection) -> None:
        """``spares`` are by stratum, where there are any."""
        self._excluded, self._stratum, self._packing = subject.excluded, subject.stratum, packing
        self._reserves = {
            number: _Reserve(number, spare, subject.excluded, packing) for number, spare in spares.items()
        }
        self.count = TakeDown.none(subject.strata)
        self._debt = np.zeros(subject.strata, np.int64)
        """Tokens taken out of each stratum and not yet replaced."""

    def mend(self, blocks: Iterable[PlannedBlock]) -> Iterator[PlannedBlock]:
        """Pass blocks on, those without excluded documents as they are.

        Raises ValueError when a pack has lost everything and no document is left to put there.
        """
        for planned in blocks:
            gone = self._excluded[planned.block.document]
            yield replace(planned, block=self._mend(planned.block, gone)) if gone.any() else planned

    def _mend(self, block: PlanBlock, gone: np.ndarray) -> PlanBlock:
        holes = block.take(gone)
        stays = block.take(~gone)
        self._count_removed(holes)
        packs = np.unique(holes.pack)
        used = np.bincount(stays.pack - block.first_pack, weights=stays.length, minlength=block.packs).astype(np.int64)
        if self._packing.method == "pow2":
            slots = list(zip(holes.length.tolist(), holes.pack.tolist(), strict=True))
        else:
            free = self._packing.row_tokens - used[packs - block.first_pack]
            slots = list(zip(free.tolist(), packs.tolist(), strict=True))
            if self._packing.method == "one_per_row":
                slots = [slot for slot in slots if slot[0] == self._packing.row_tokens]
        pack, pieces = self._place(slots)
        emptied = np.setdiff1d(packs[used[packs - block.first_pack] == 0], pack)
        again = self._again(holes, emptied)
        self.count.changed += packs.tolist()
        self.count.packs_emptied += len(emptied)
        return _merge(stays, np.concatenate((pack, emptied)), Pieces.concatenate([pieces, again]))

    def _count_removed(self, holes: PlanBlock) -> None:
        stratum = self._stratum[holes.document]
        tokens = _sums(stratum, holes.length, len(self._debt))
        self.count.removed_pieces += holes.pieces
        self.count.removed_tokens += tokens
        self.count.removed_documents += np.bincount(stratum[holes.start == 0], minlength=len(self._debt))
        self._debt += tokens

    def _place(self, slots: list[tuple[int, int]]) -> tuple[np.ndarray, Pieces]:
        """Put new pieces into (free tokens, pack) slots: the longest that fits of a stratum that lacks tokens.

        A slot takes as many pieces as fit, but for powers of two (one of exactly its size) and one document a row.
        """
        extra = _CHOICE_ROWS * self._packing.row_tokens
        lacking = [number for number in sorted(self._reserves) if self._debt[number] > 0]
        drawn = [self._reserves[number].draw(int(self._debt[number]) + extra) for number in lacking]
        pieces = Pieces.concatenate([Pieces.none(), *drawn])
        waiting = sorted(zip(pieces.length.tolist(), range(len(pieces)), strict=True))
        pack = np.full(len(pieces), -1, np.int64)
        for free, target in sorted(slots, reverse=True):
            room = free
            while room:
                at = bisect_left(waiting, (room + 1, -1)) - 1
                if at < 0 or (self._packing.method == "pow2" and waiting[at][0] != room):
                    break
                length, piece = waiting.pop(at)
                if self._debt[pieces.draw[piece]] <= 0:
                    continue
                self._debt[pieces.draw[piece]] -= length
                pack[piece] = target
                room = room - length if self._packing.method in ("best_fit", "concat") else 0
        placed = pack >= 0
        for number in np.unique(pieces.draw[~placed]).tolist():
            self._reserves[number].give_back(pieces.select(~placed & (pieces.draw == number)))
        pack, pieces = pack[placed], pieces.select(placed)
        strata = len(self._debt)
        self.count.replaced_tokens += _sums(pieces.draw, pieces.length, strata)
        self.count.replaced_documents += np.bincount(pieces.draw[pieces.start == 0], minlength=strata)
        return pack, pieces

    def _again(self, holes: PlanBlock, emptied: np.ndarray) -> Pieces:
        """Return a piece for each emptied pack: of a document of the stratum that it lost, or else of any other."""
        lost = self._stratum[holes.document[np.searchsorted(holes.pack, emptied)]].tolist()
        pieces = Pieces.concatenate([Pieces.none(), *map(self._repeat, lost)])
        self.count.repeated_tokens += _sums(pieces.draw, pieces.length, len(self._debt))
        self.count.repeated_documents += np.bincount(pieces.draw, minlength=len(self._debt))
        return pieces

    def _repeat(self, stratum: int) -> Pieces:
        for number in [stratum, *sorted(self._reserves)]:
            found = self._reserves[number].repeat() if number in self._reserves else None
            if found is not None:
                return found
        raise ValueError("nothing is left to plan: every document of this purpose that could be drawn is excluded")


class _Reserve:
    """The documents of one stream that may stand in for others."""

    def __init__(self, stratum: int, spare: Spare, excluded: np.ndarray, packing: PackSection) -> None:
        self._stratum, self._stream, self._packing = stratum, spare.stream, packing
        self._allowed = ~excluded[spare.stream.document]
        begun = spare.stream.documents_before(spare.planned_tokens)
        self._next = begun % len(self._allowed)
        # A stream whose last document has been drawn would only repeat itself.
        self._done = begun > 0 and self._next == 0
        self._pending = Pieces.none()
        self._again: Iterator[int] = cycle(np.flatnonzero(self._allowed).tolist())

    def draw(self, tokens: int) -> Pieces:
        """Return whole documents of at least so many tokens together while there are any, what was given back first."""
        found, missing = [self._pending], tokens - int(self._pending.length.sum())
        self._pending = Pieces.none()
        while not self._done and missing > 0:
            ends = self._stream.ends
            begin = int(ends[self._next - 1]) if self._next else 0
            stop = min(int(np.searchsorted(ends, begin + missing)) + 1, len(ends))
            pieces = self._stream.draw(begin, int(ends[stop - 1]), self._stratum)
            place = self._next + np.cumsum(pieces.start == 0) - 1
            pieces = pieces.select(self._allowed[place])
            found.append(expand(pieces) if self._packing.method == "pow2" else pieces)
            missing -= int(pieces.length.sum())
            self._next = stop
            self._done = stop == len(ends)
        return Pieces.concatenate(found)

    def give_back(self, pieces: Pieces) -> None:
        """Keep pieces that found no place for the next draw."""
        self._pending = pieces

    def repeat(self) -> Pieces | None:
        """Return the first piece of the next document, from the beginning of the stream, again and again."""
        at = next(self._again, None)
        if at is None:
            return None
        begin = int(self._stream.ends[at - 1]) if at else 0
        end = min(begin + self._stream.piece_tokens, int(self._stream.ends[at]))
        piece = self._stream.draw(begin, end, self._stratum)
        return expand(piece).select(np.arange(1)) if self._packing.method == "pow2" else piece


def _merge(stays: PlanBlock, pack: np.ndarray, pieces: Pieces) -> PlanBlock:
    """Return a block with new pieces behind those that stay; the spans of the packs that changed are numbered anew."""
    order = np.argsort(np.concatenate((stays.pack, pack)), kind="stable")
    columns = {
        name: np.concatenate((getattr(stays, name), getattr(pieces, name)))[order]
        for name in ("document", "start", "length", "part")
    }
    packs = np.concatenate((stays.pack, pack))[order]
    sizes = np.unique(packs, return_counts=True)[1]
    span = np.arange(len(packs)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return PlanBlock(pack=packs, span=span.astype(np.int32), **columns)


def _sums(stratum: np.ndarray, length: np.ndarray, strata: int) -> np.ndarray:
    """Return the tokens of each stratum, int64 [strata]."""
    return np.bincount(stratum, weights=length, minlength=strata).astype(np.int64)
