"""The planner: draws from streams of documents, block by block, packed and put in order.

A block of a few thousand packs is all the look-ahead best fit needs: planning a whole corpus at once fills rows no
better and takes its memory. A block keeps whole global batches; what is left of it, packs at the end of its order and
rows that are not full, is carried into the next one, also where that is the first of the next mixture stage. So rows
are padded only at the very end of the plan, every stage begins at a whole batch, and what is carried has the block's
own shares: carrying the emptiest packs, say, would take the domains of short documents out of every block.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from lc_data.mixing.continued import Stream
from lc_data.mixing.stream import DocumentStream, Pieces
from lc_data.packing.best_fit import pack_best_fit
from lc_data.packing.concat import pack_concat
from lc_data.packing.curriculum import order_cycle
from lc_data.packing.hashing import child_key, random_words
from lc_data.packing.one_per_row import pack_one_per_row
from lc_data.packing.order import by_place, by_work_in_batches, by_work_in_windows, spread
from lc_data.packing.plan import PlanBlock
from lc_data.packing.pow2 import pack_pow2
from lc_data.packing.rows import Rows
from lc_data.recipe.packing import PackSection

_WITHIN, _SPREAD, _METHOD, _CURRICULUM, _WINDOW = range(5)
"""What a block's random numbers are for."""
STRETCH_BLOCKS = 32
"""Blocks that are planned apart from others: 131,072 rows, 4.3 billion tokens of 32K each."""
_BUCKET_WEIGHT = 0.25
"""What an uneven length bucket weighs in the order of packs, against an uneven domain."""


@dataclass(frozen=True)
class Draw:
    """Tokens ``begin`` to ``begin + tokens`` of a stream: both piece ends of it (see DocumentStream.nearest_end)."""

    stream: Stream
    tokens: int
    domain: int
    bucket: int
    begin: int = 0

    def pieces(self, block: int, blocks: int, label: int, whole_documents: bool = False) -> Pieces:
        """Return this draw's part of a block: up to the piece end nearest to (block + 1) / blocks of its tokens.

        With ``whole_documents``, up to the nearest end of a document.
        """
        stream = self.stream
        if whole_documents and isinstance(stream, DocumentStream):
            stream = replace(stream, piece_tokens=1 << 62)
        end = self.begin + self.tokens
        edges = [self.begin + (2 * at * self.tokens + blocks) // (2 * blocks) for at in (block, block + 1)]
        low, high = (edge if edge in (self.begin, end) else stream.nearest_end(edge) for edge in edges)
        return self.stream.draw(max(low, self.begin), min(max(high, self.begin), end), label)


@dataclass(frozen=True)
class PlannedBlock:
    """A block of the plan, and which mixture stage and which block (or cycle) of that stage it was planned in."""

    stage: int
    cycle: int
    block: PlanBlock


@dataclass(frozen=True)
class _Kinds:
    """What is spread evenly over the plan: domains and, at a lower weight, length buckets, of each draw."""

    domain: np.ndarray
    bucket: np.ndarray

    @classmethod
    def of(cls, draws: Sequence[Draw]) -> _Kinds:
        return cls(*(np.array([getattr(draw, name) for draw in draws], np.int64) for name in ("domain", "bucket")))

    @property
    def count(self) -> int:
        return int(self.domain.max(initial=0)) + int(self.bucket.max(initial=0)) + 2

    def shares(self, draws: Sequence[Draw], label: int) -> np.ndarray:
        """Return the share of each kind in the tokens of a stage, whose draws are labelled from ``label`` on."""
        tokens, mine = np.array([draw.tokens for draw in draws], np.float64), slice(label, label + len(draws))
        kinds = (self.domain, self.bucket)
        sums = [np.bincount(kind[mine], weights=tokens, minlength=int(kind.max()) + 1) for kind in kinds]
        return np.concatenate(sums) / tokens.sum()

    def compare(self, rows: Rows, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the queue of each row, [n_rows], and how much more of each kind it holds than its share of its tokens.

        The second, [n_rows, count], is in tokens of an average row, and so weighed that an uneven domain counts most.
        """
        by_domain, by_bucket = rows.tokens_by_kind(self.domain), rows.tokens_by_kind(self.bucket)
        queue = by_domain.argmax(axis=1) * by_bucket.shape[1] + by_bucket.argmax(axis=1)
        tokens = by_domain.sum(axis=1, keepdims=True)
        off = np.hstack((by_domain, by_bucket)) - tokens * shares
        off[:, by_domain.shape[1] :] *= _BUCKET_WEIGHT
        off /= max(tokens.mean(), 1.0) if rows.count else 1.0
        return queue, off


@dataclass(frozen=True)
class Rest:
    """What blocks leave to the ones after them."""

    pieces: Pieces
    """in rows that are not full or no whole batch, in their order"""
    ahead: np.ndarray
    """float64 [kinds]: how much more than its share of each kind the rows before hold, in rows"""

    @classmethod
    def none(cls, kinds: int) -> Rest:
        """Return nothing."""
        return cls(Pieces.none(), np.zeros(kinds))


class Planning:
    """A plan that is to be made, as stretches that are planned apart, each with a block that joins it to the next.

    A block needs what the one before it left over, so blocks alone cannot be planned side by side. Stretches of
    ``STRETCH_BLOCKS`` can: all but the last block of each is planned from nothing, in any process, and the last one,
    planned when its turn comes, takes up what its own stretch and the one before have left over. So rows are as full as
    in one long chain, nothing moves by more than a stretch, and one block in 32 is planned after the other.
    """

    def __init__(self, stages: Sequence[Sequence[Draw]], packing: PackSection, seed: int) -> None:
        self._stages, self._packing, self._seed = stages, packing, seed
        self._kinds = _Kinds.of([draw for stage in stages for draw in stage])
        self._schedule = [
            (number, block, blocks)
            for number, stage in enumerate(stages)
            for blocks in [_block_count(stage, packing)]
            for block in range(blocks)
        ]
        # Text that is cut at row ends cannot be laid behind other text, and a curriculum's few blocks are its cycles.
        is_chain = packing.method == "concat" or packing.curriculum != "natural"
        most = max(len(self._schedule), 1) if is_chain else STRETCH_BLOCKS
        self._begins = range(0, len(self._schedule), most)

    @property
    def stretches(self) -> int:
        """In how many stretches it is planned."""
        return len(self._begins)

    def plan_stretch(self, number: int) -> Generator[PlannedBlock, None, Rest]:
        """Plan a stretch but for its last block; its packs are numbered from 0. Returns what is left over."""
        rest, first_pack = Rest.none(self._kinds.count), 0
        for ordinal in self._ordinals(number)[:-1]:
            planned, rest = self._plan_block(ordinal, rest)
            yield _renumber(planned, first_pack)
            first_pack += planned.block.packs
        return rest

    def join(
        self, stretches: Iterable[Generator[PlannedBlock, None, Rest]], first_pack: int = 0
    ) -> Iterator[PlannedBlock]:
        """Yield the blocks of the whole plan, from :meth:`plan_stretch` of every stretch in their order."""
        left = Rest.none(self._kinds.count)
        for number, stretch in enumerate(stretches):
            rest, begin = None, first_pack
            while rest is None:
                try:
                    planned = next(stretch)
                except StopIteration as end:
                    rest = end.value
                else:
                    first_pack += planned.block.packs
                    yield from _cut(_renumber(planned, begin), self._packing)
            planned, left = self._plan_block(self._ordinals(number)[-1], self._both(number, left, rest))
            yield from _cut(_renumber(planned, first_pack), self._packing)
            first_pack += planned.block.packs

    def _ordinals(self, number: int) -> range:
        begin = self._begins[number]
        return range(begin, min(begin + self._begins.step, len(self._schedule)))

    def _both(self, number: int, before: Rest, own: Rest) -> Rest:
        """Add up what the stretch before has left and what this one has; other stages have their own shares."""
        ordinals = self._ordinals(number)
        anew = any(self._schedule[ordinal][1] == 0 for ordinal in ordinals)
        pieces = Pieces.concatenate([before.pieces, own.pieces])
        return Rest(pieces, own.ahead if anew else before.ahead + own.ahead)

    def _plan_block(self, ordinal: int, rest: Rest) -> tuple[PlannedBlock, Rest]:
        """Plan a block, its packs numbered from 0, behind what others have left; what it leaves is the second."""
        stage, block, blocks = self._schedule[ordinal]
        packing, draws = self._packing, self._stages[stage]
        key, label = child_key(self._seed, ordinal), sum(map(len, self._stages[:stage]))
        ahead = rest.ahead if block else np.zeros_like(rest.ahead)
        whole = packing.method == "concat"
        drawn = [draw.pieces(block, blocks, label + i, whole) for i, draw in enumerate(draws)]
        rows = _fill(Pieces.concatenate([rest.pieces, *drawn]), len(rest.pieces), packing, key)
        queue, off = self._kinds.compare(rows, self._kinds.shares(draws, label))
        order = spread(queue, off, ahead, child_key(key, _SPREAD))
        if ordinal < len(self._schedule) - 1:
            order = order[~rows.unfinished[order]]
            order = order[: len(order) // packing.global_batch_packs * packing.global_batch_packs]
        kept = np.zeros(rows.count, bool)
        kept[order] = True
        written = _write_down(rows, _training_order(rows, order, packing, key), packing, key, 0)
        left = Rest(rows.pieces.select(~kept[rows.row]), ahead + off[order].sum(axis=0))
        return PlannedBlock(stage, block, written), left


def plan_packs(
    stages: Sequence[Sequence[Draw]], packing: PackSection, seed: int, first_pack: int = 0
) -> Iterator[PlannedBlock]:
    """Plan the training order of what the draws of each mixture stage hold, every piece exactly once.

    All draws of a stage advance in step: by the end of every block each has given its part, to within half a piece.
    The same draws, packing and seed give the same plan on any machine. Blocks without packs are left out; none has more
    than ``block_packs`` packs, a whole number of batches, and with a growing curriculum several may make up a cycle.
    Packs are numbered from ``first_pack``.
    """
    planning = Planning(stages, packing, seed)
    return planning.join(map(planning.plan_stretch, range(planning.stretches)), first_pack)


def plan_longest_first(document: np.ndarray, length: np.ndarray, packing: PackSection) -> Iterator[PlannedBlock]:
    """Plan documents once, the longest in the first packs: who evaluates on a few packs sees the longest documents."""
    order = np.argsort(-length.astype(np.int64), kind="stable")
    stream = DocumentStream.of(document[order], length[order], packing.row_tokens)
    draw = Draw(stream, stream.tokens, 0, 0)
    first_pack, blocks = 0, _block_count([draw], packing)
    for block in range(blocks):
        rows = pack_best_fit(draw.pieces(block, blocks, 0), packing.row_tokens)
        if rows.count:
            planned = _emit(rows, np.arange(rows.count), np.arange(len(rows.pieces)), first_pack)
            first_pack += rows.count
            yield PlannedBlock(0, block, planned)


def _block_count(draws: Sequence[Draw], packing: PackSection) -> int:
    """Return in how many blocks a stage is planned: cycles of a growing curriculum, or about block_packs rows each."""
    tokens = sum(draw.tokens for draw in draws)
    if packing.curriculum != "natural":
        return packing.cycles if tokens else 0
    rows = -(-tokens // packing.row_tokens)
    if packing.method == "one_per_row":
        stops = [(draw.stream.documents_before(at) for at in (draw.begin + draw.tokens, draw.begin)) for draw in draws]
        rows += sum(end - begin for end, begin in stops)
    return -(-rows // packing.block_packs)


def _fill(pieces: Pieces, carried: int, packing: PackSection, key: int) -> Rows:
    """Put the pieces of a block, the first of them ``carried`` from the one before, into rows."""
    match packing.method:
        case "best_fit":
            return pack_best_fit(pieces, packing.row_tokens)
        case "concat":
            return pack_concat(pieces, packing.row_tokens, carried, child_key(key, _METHOD))
        case "one_per_row":
            return pack_one_per_row(pieces)
        case "pow2":
            return pack_pow2(pieces, packing.seq_len, child_key(key, _METHOD))


def _training_order(rows: Rows, order: np.ndarray, packing: PackSection, key: int) -> np.ndarray:
    """Return the order in which the rows of a block, evenly spread in ``order``, are trained on."""
    if packing.curriculum != "natural":
        order = order[order_cycle(rows.longest()[order], packing.curriculum, child_key(key, _CURRICULUM))]
    if packing.order == "batch":
        return by_work_in_batches(order, rows.work(), packing.global_batch_packs)
    if packing.order == "window":
        return by_work_in_windows(order, rows.work(), packing.global_batch_packs, child_key(key, _WINDOW))
    return order


def _write_down(rows: Rows, order: np.ndarray, packing: PackSection, key: int, first_pack: int) -> PlanBlock:
    """Return the rows in ``order`` as a block; the pieces of a row are shuffled, unless it is a stretch of text."""
    pieces = len(rows.pieces)
    if packing.method == "concat":
        within = np.zeros(pieces, np.int64)
    else:
        within = (random_words(child_key(key, _WITHIN), pieces) >> np.uint64(32)).astype(np.int64)
    return _emit(rows, order, within, first_pack)


def _emit(rows: Rows, order: np.ndarray, within: np.ndarray, first_pack: int) -> PlanBlock:
    """Write down the rows named in ``order``, the pieces of each by ``within`` (32 bits), then in the order drawn."""
    chosen, pack, span = by_place(rows.row, order, rows.count, within)
    pieces = rows.pieces.select(chosen)
    return PlanBlock(
        pack=pack + first_pack,
        document=pieces.document,
        start=pieces.start,
        length=pieces.length,
        part=pieces.part,
        span=span,
    )


def _renumber(planned: PlannedBlock, first_pack: int) -> PlannedBlock:
    """Number packs from ``first_pack`` on that were numbered from 0."""
    return replace(planned, block=replace(planned.block, pack=planned.block.pack + first_pack))


def _cut(planned: PlannedBlock, packing: PackSection) -> Iterator[PlannedBlock]:
    """Cut a block into such of at most block_packs packs, whole batches each but for the last."""
    block = planned.block
    if not block.pieces:
        return
    most = packing.block_packs // packing.global_batch_packs * packing.global_batch_packs
    borders = np.arange(block.first_pack, block.first_pack + block.packs + most, most)
    rows = np.searchsorted(block.pack, borders)
    for begin, end in pairwise(rows.tolist()):
        yield replace(planned, block=block.take(slice(begin, end)))
