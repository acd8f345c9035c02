from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc_data.mixing.stream import DocumentStream
from lc_data.packing import planner
from lc_data.packing.audit import PlanAudit, PlanAuditError
from lc_data.packing.plan import PlanBlock, plan_hash
from lc_data.packing.planner import Draw, PlannedBlock, Planning, Rest, plan_longest_first, plan_packs
from lc_data.packing.subject import Subject
from lc_data.recipe.packing import PackSection


def corpus(sizes: list[list[int]], seq_len: int) -> list[DocumentStream]:
    """One stream per list of lengths; document numbers run through."""
    begins = np.cumsum([0, *map(len, sizes)])
    return [
        DocumentStream.of(begin + np.arange(len(lengths)), np.array(lengths, np.uint32), seq_len)
        for begin, lengths in zip(begins, sizes, strict=False)
    ]


def draws_of(streams: list[DocumentStream], epochs: list[float]) -> list[Draw]:
    return [
        Draw(stream, stream.nearest_end(round(epoch * stream.tokens)), domain=label % 3, bucket=label // 3)
        for label, (stream, epoch) in enumerate(zip(streams, epochs, strict=True))
        if stream.tokens
    ]


def planned(draws: list[Draw], packing: PackSection, seed: int) -> list[PlanBlock]:
    """The blocks of a plan of one mixture stage."""
    return [each.block for each in plan_packs([draws], packing, seed)]


def books(length: np.ndarray, packing: PackSection, tokens: int) -> PlanAudit:
    """Open the books of a plan of one stratum."""
    none = np.zeros(len(length), bool)
    subject = Subject(length, np.zeros(len(length), np.int64), none, 1, 1)
    return PlanAudit(subject, packing, np.array([[tokens]]))


def pieces_of(blocks: list[PlanBlock]) -> Counter[tuple[int, int, int, int]]:
    return Counter(
        row
        for block in blocks
        for row in zip(
            block.document.tolist(), block.start.tolist(), block.length.tolist(), block.part.tolist(), strict=True
        )
    )


def check_rows(blocks: list[PlanBlock], packing: PackSection) -> None:
    """No gap in the packs, none overfull, spans count pieces, whole batches in all blocks but the last."""
    packs = np.concatenate([block.pack for block in blocks]) if blocks else np.zeros(0, np.int64)
    lengths = np.concatenate([block.length for block in blocks]) if blocks else packs
    assert (np.diff(packs, prepend=-1) >= 0).all()
    assert np.unique(packs).tolist() == list(range(len(np.unique(packs))))
    assert (np.bincount(packs, weights=lengths) <= packing.seq_len).all()
    assert all(block.packs % packing.global_batch_packs == 0 for block in blocks[:-1])
    for block in blocks:
        for pack in range(block.first_pack, block.first_pack + block.packs):
            rows = block.rows_of(pack)
            assert block.span[rows].tolist() == list(range(rows.stop - rows.start))


SHAPES = st.tuples(st.sampled_from([1, 2, 7, 16, 33]), st.integers(1, 6), st.integers(1, 4)).map(
    lambda t: PackSection(seq_len=max(t[0], 2), block_packs=max(t[1], t[2]), global_batch_packs=t[2])
)
SIZES = st.lists(st.lists(st.integers(0, 70), max_size=12), min_size=1, max_size=5)


@settings(deadline=None)
@given(SIZES, SHAPES, st.integers(0, 2**63), st.data())
def test_a_plan_holds_what_was_drawn_and_nothing_else(
    sizes: list[list[int]], packing: PackSection, seed: int, data: Any
) -> None:
    streams = corpus(sizes, packing.seq_len)
    draws = draws_of(streams, [data.draw(st.sampled_from([0, 0.3, 1, 2.6])) for _ in streams])
    blocks = planned(draws, packing, seed)
    check_rows(blocks, packing)
    expected = [draw.stream.draw(0, draw.tokens, 0) for draw in draws]
    assert pieces_of(blocks) == Counter(
        row
        for p in expected
        for row in zip(p.document.tolist(), p.start.tolist(), p.length.tolist(), p.part.tolist(), strict=True)
    )
    lengths = np.array([length for stream in sizes for length in stream], np.int64)
    tokens = sum(draw.tokens for draw in draws)
    facts = books(lengths, packing, tokens)
    for each in plan_packs([draws], packing, seed):
        facts.add(each)
    facts.check(np.array([tokens]))
    again = planned(draws, packing, seed)
    assert plan_hash(blocks, packing.seq_len) == plan_hash(again, packing.seq_len)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**63), st.integers(1, 30))
def test_shares_hold_in_every_window_of_blocks_to_within_a_piece(seed: int, blocks: int) -> None:
    words = np.random.default_rng(seed)
    sizes = [words.integers(1, 300, 40).tolist() for _ in range(4)]
    draws = draws_of(corpus(sizes, 64), [1, 0.4, 2.2, 0.9])
    for label, draw in enumerate(draws):
        got = np.array([int(draw.pieces(block, blocks, label).length.sum()) for block in range(blocks)])
        window = np.abs(np.cumsum(got)[:, None] - np.concatenate(([0], np.cumsum(got)[:-1]))[None, :])
        wanted = np.abs(np.arange(1, blocks + 1)[:, None] - np.arange(blocks)[None, :]) * draw.tokens / blocks
        later = np.tril(np.ones((blocks, blocks), bool))
        assert np.abs(window - wanted)[later].max() <= 64 + 1


@pytest.mark.parametrize("stretch_blocks", [planner.STRETCH_BLOCKS, 3])
def test_long_plans_hold_their_shares_in_every_five_batches_and_fill_their_rows(
    monkeypatch: pytest.MonkeyPatch, stretch_blocks: int
) -> None:
    monkeypatch.setattr(planner, "STRETCH_BLOCKS", stretch_blocks)
    words = np.random.default_rng(0)
    sizes = [
        np.minimum(words.lognormal(mu, 1.2, n), 20_000).astype(int).tolist()
        for mu, n in ((5, 9000), (6, 3000), (7, 1500))
    ]
    packing = PackSection(seq_len=4096, block_packs=512, global_batch_packs=16)
    draws = [Draw(stream, stream.tokens, label, 0) for label, stream in enumerate(corpus(sizes, 4096))]
    blocks = planned(draws, packing, 1)
    domain = np.repeat([0, 1, 2], [9000, 3000, 1500])
    packs = sum(block.packs for block in blocks)
    tokens = np.zeros((packs, 3))
    for block in blocks:
        np.add.at(tokens, (block.pack, domain[block.document]), block.length)
    assert tokens.sum() / (packs * 4096) > 0.999
    shares = tokens.sum(axis=0) / tokens.sum()
    sums = np.vstack([np.zeros(3), np.cumsum(tokens, axis=0)])
    windows = (sums[80:] - sums[:-80])[::16]
    assert np.abs(windows / windows.sum(axis=1, keepdims=True) - shares).max() < 0.02


@settings(deadline=None, max_examples=60)
@given(SIZES, SHAPES, st.integers(0, 2**63), st.data())
def test_stretches_planned_apart_and_in_any_order_are_the_plan(
    sizes: list[list[int]], packing: PackSection, seed: int, data: Any
) -> None:
    """With stretches of two blocks, so that even these plans have several, over two mixture stages."""
    streams = corpus(sizes, packing.seq_len)
    first = draws_of(streams, [data.draw(st.sampled_from([0, 0.3, 1, 2.6])) for _ in streams])
    second = [replace(draw, begin=draw.tokens, tokens=draw.stream.tokens) for draw in first]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "STRETCH_BLOCKS", 2)
        planning = Planning([first, second], packing, seed)
        order = data.draw(st.permutations(range(planning.stretches)))
        apart = {number: returned(planning.plan_stretch(number)) for number in order}
        joined = list(planning.join(again(*apart[number]) for number in range(planning.stretches)))
        serial = list(plan_packs([first, second], packing, seed))
    assert [(each.stage, each.cycle) for each in joined] == [(each.stage, each.cycle) for each in serial]
    blocks = [each.block for each in joined]
    assert plan_hash(blocks, packing.seq_len) == plan_hash((each.block for each in serial), packing.seq_len)
    check_rows(blocks, packing)
    drawn = [draw.stream.draw(draw.begin, draw.begin + draw.tokens, 0) for draw in (*first, *second)]
    assert pieces_of(blocks) == Counter(
        row
        for p in drawn
        for row in zip(p.document.tolist(), p.start.tolist(), p.length.tolist(), p.part.tolist(), strict=True)
    )


def returned(stretch: Generator[PlannedBlock, None, Rest]) -> tuple[list[PlannedBlock], Rest]:
    """What a stretch yields, and what it returns."""
    blocks: list[PlannedBlock] = []
    while True:
        try:
            blocks.append(next(stretch))
        except StopIteration as end:
            return blocks, end.value


def again(blocks: list[PlannedBlock], rest: Rest) -> Generator[PlannedBlock, None, Rest]:
    yield from blocks
    return rest


@pytest.mark.parametrize("seq_len", [8193, 8192, 777])
def test_edge_documents_are_planned(seq_len: int) -> None:
    sizes = [[5_000_000, 1, seq_len, 0, seq_len - 1, seq_len + 1, 2 * seq_len]]
    packing = PackSection(seq_len=seq_len, block_packs=64, global_batch_packs=8)
    [draw] = draws_of(corpus(sizes, seq_len), [1])
    blocks = planned([draw], packing, 3)
    check_rows(blocks, packing)
    held: Counter[int] = Counter()
    for (document, start, length, part), times in pieces_of(blocks).items():
        assert (times, start) == (1, part * seq_len)
        held[document] += length
    assert [held[i] for i in range(7)] == sizes[0]


def test_nothing_gives_an_empty_plan() -> None:
    assert list(plan_packs([], PackSection(), 0)) == []
    assert list(plan_packs([[]], PackSection(), 0)) == []
    assert list(plan_longest_first(np.zeros(0, np.int64), np.zeros(0, np.uint32), PackSection())) == []


def test_the_first_held_out_packs_hold_the_longest_documents() -> None:
    length = np.array([5, 90, 3, 40, 100, 2, 60], np.uint32)
    packing = PackSection(seq_len=100, block_packs=64, global_batch_packs=64)
    [each] = plan_longest_first(np.arange(7), length, packing)
    block = each.block
    assert block.document.tolist() == [4, 1, 0, 2, 5, 6, 3]
    assert block.pack.tolist() == [0, 1, 1, 1, 1, 2, 2]


GOLDEN_HASH = "d3725d50bbe51b84ef1f83e0183cc03f"


def golden_draws() -> list[Draw]:
    lengths = [(np.arange(3000) * 7919 % 997 + 1).tolist(), (np.arange(300) * 104729 % 9973 + 1).tolist(), [1, 40_000]]
    return draws_of(corpus(lengths, 2049), [0.7, 1.0, 3.0])


def test_the_golden_plan_has_not_changed() -> None:
    """A plan is replayed by later versions and its hash names a run: it may only change together with the format."""
    packing = PackSection(seq_len=2049, block_packs=256, global_batch_packs=16)
    blocks = planned(golden_draws(), packing, 42)
    assert (len(blocks), sum(block.packs for block in blocks)) == (5, 1211)
    assert plan_hash(blocks, 2049) == GOLDEN_HASH
    assert plan_hash(planned(golden_draws(), packing, 43), 2049) != GOLDEN_HASH


def damaged(block: PlanBlock, **columns: Any) -> PlanBlock:
    return PlanBlock(**{**{name: getattr(block, name) for name in block.__dataclass_fields__}, **columns})


def test_planted_faults_are_found() -> None:
    """A planner that overfills, cuts, overruns or loses is stopped by the books that every plan is counted in."""
    packing = PackSection(seq_len=64, block_packs=8, global_batch_packs=2)
    sizes = [[10, 20, 64, 100, 30]]
    [draw] = draws_of(corpus(sizes, 64), [1])
    [each] = plan_packs([[draw]], packing, 0)
    block = each.block

    def add(bad: PlanBlock) -> PlanAudit:
        facts = books(np.array(sizes[0]), packing, 224)
        facts.add(replace(each, block=bad))
        return facts

    add(block).check(np.array([224]))
    assert (add(block).tokens, add(block).padding_tokens, add(block).documents_split) == (224, 4 * 64 - 224, 1)
    with pytest.raises(PlanAuditError, match="a row holds 64"):
        add(damaged(block, pack=np.zeros_like(block.pack)))
    with pytest.raises(PlanAuditError, match="document 1 fits one row and was cut"):
        add(damaged(block, length=np.where(block.document == 1, 19, block.length)))
    with pytest.raises(PlanAuditError, match="behind the end"):
        add(damaged(block, start=np.where(block.document == 3, block.start + 37, block.start)))
    keep = block.document != 1
    with pytest.raises(PlanAuditError, match="holds 204 tokens, 224 were drawn"):
        add(block.take(keep)).check(np.array([224]))
