"""The planner: draws from streams of documents, block by block, packed and put in order.

A block of a few thousand packs is all the look-ahead best fit needs: planning a whole corpus at once fills rows no
better and takes its memory. What does not fill up at the end of a block is carried into the next one, so rows are
padded only at the very end of the plan, and every block but the last is a whole number of global batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lc_data.mixing.stream import DocumentStream, Pieces
from lc_data.packing.best_fit import best_fit_decreasing
from lc_data.packing.hashing import child_key, random_words
from lc_data.packing.order import by_work_in_batches, spread
from lc_data.packing.plan import PlanBlock
from lc_data.recipe.packing import PackSection


@dataclass(frozen=True)
class Draw:
    """So many tokens of a stream: a piece end of it (see DocumentStream.nearest_end)."""

    stream: DocumentStream
    tokens: int
    domain: int
    bucket: int

    def pieces(self, block: int, blocks: int, label: int) -> Pieces:
        """Return this draw's part of a block: up to the piece end nearest to (block + 1) / blocks of its tokens."""
        edges = [self.stream.nearest_end((2 * at * self.tokens + blocks) // (2 * blocks)) for at in (block, block + 1)]
        return self.stream.draw(edges[0], edges[1], label)


@dataclass(frozen=True)
class _Packed:
    """Pieces with the pack of each, packs numbered from 0."""

    pieces: Pieces
    pack: np.ndarray
    packs: int


def plan_packs(draws: Sequence[Draw], packing: PackSection, seed: int) -> Iterator[PlanBlock]:
    """Plan the training order of what the draws hold, every piece exactly once.

    All draws advance in step: by the end of every block each has given its part, to within half a piece. The same
    draws, packing and seed give the same plan on any machine. Blocks without packs are left out.
    """
    first_pack = 0
    for number, packed in enumerate(_packed_blocks(draws, packing)):
        order = _training_order(packed, draws, packing, child_key(seed, number, 1))
        within = (random_words(child_key(seed, number, 0), len(packed.pieces)) >> np.uint64(32)).astype(np.int64)
        yield _emit(packed, order, within, first_pack)
        first_pack += packed.packs


def plan_longest_first(document: np.ndarray, length: np.ndarray, packing: PackSection) -> Iterator[PlanBlock]:
    """Plan documents once, the longest in the first packs: who evaluates on a few packs sees the longest documents."""
    order = np.argsort(-length.astype(np.int64), kind="stable")
    stream = DocumentStream.of(document[order], length[order], packing.seq_len)
    first_pack = 0
    for packed in _packed_blocks(
        [Draw(stream, stream.tokens, 0, 0)], packing.model_copy(update={"global_batch_packs": 1})
    ):
        yield _emit(packed, np.arange(packed.packs), np.arange(len(packed.pieces)), first_pack)
        first_pack += packed.packs


def _packed_blocks(draws: Sequence[Draw], packing: PackSection) -> Iterator[_Packed]:
    tokens = sum(draw.tokens for draw in draws)
    blocks = -(-tokens // (packing.block_packs * packing.seq_len))
    carried = Pieces.none()
    for block in range(blocks):
        drawn = [draw.pieces(block, blocks, label) for label, draw in enumerate(draws)]
        pieces = Pieces.concatenate([carried, *drawn])
        pack, free = best_fit_decreasing(pieces.length, packing.seq_len)
        left_over = 0 if block == blocks - 1 else len(free) % packing.global_batch_packs
        emptiest = np.argsort(-free.astype(np.int64), kind="stable")[:left_over]
        kept = np.ones(len(free), bool)
        kept[emptiest] = False
        stays = kept[pack]
        carried = pieces.select(~stays)
        if kept.any():
            renumbered = np.cumsum(kept) - 1
            yield _Packed(pieces.select(stays), renumbered[pack[stays]], int(kept.sum()))


def _training_order(packed: _Packed, draws: Sequence[Draw], packing: PackSection, key: int) -> np.ndarray:
    length = packed.pieces.length.astype(np.float64)
    # Sums of squares are exact in float64 up to 2^53: a row of 16M tokens has 2^48.
    work = np.bincount(packed.pack, weights=length * length, minlength=packed.packs)
    by_domain = _tokens_by_kind(packed, np.array([draw.domain for draw in draws]))
    by_bucket = _tokens_by_kind(packed, np.array([draw.bucket for draw in draws]))
    queue = by_domain.argmax(axis=1) * by_bucket.shape[1] + by_bucket.argmax(axis=1)
    order = spread(queue, np.hstack((by_domain, by_bucket)), key)
    return by_work_in_batches(order, work, packing.global_batch_packs)


def _tokens_by_kind(packed: _Packed, kind_of_draw: np.ndarray) -> np.ndarray:
    """Return the tokens that each pack holds of each kind of draw, float64 [packs, kinds]."""
    kinds = int(kind_of_draw.max()) + 1
    cells = packed.pack * kinds + kind_of_draw[packed.pieces.draw]
    return np.bincount(cells, weights=packed.pieces.length, minlength=packed.packs * kinds).reshape(-1, kinds)


def _emit(packed: _Packed, order: np.ndarray, within: np.ndarray, first_pack: int) -> PlanBlock:
    """Write packs down in their order, the pieces of each by ``within`` (32 bits), then in the order drawn."""
    place = np.empty(packed.packs, np.int64)
    place[order] = np.arange(packed.packs)
    pack = place[packed.pack]
    rows = np.argsort(pack << 32 | within, kind="stable")
    pack, pieces = pack[rows], packed.pieces.select(rows)
    sizes = np.bincount(pack, minlength=packed.packs)
    return PlanBlock(
        pack=pack + first_pack,
        document=pieces.document,
        start=pieces.start,
        length=pieces.length,
        part=pieces.part,
        span=(np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)).astype(np.int32),
    )
