"""The other packing methods and the curricula, against what they promise."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.mixing.stream import Pieces
from lc_data.packing.curriculum import order_cycle
from lc_data.packing.planner import Draw, plan_packs
from lc_data.packing.pow2 import expand, pack_pow2
from lc_data.recipe.packing import PackSection
from tests.packing.test_planner import corpus

SIZES = st.lists(st.lists(st.integers(0, 150), max_size=12), min_size=1, max_size=4)
STAGES = st.lists(st.floats(0.1, 1), min_size=1, max_size=3)


def whole_stages(sizes: list[list[int]], seq_len: int, parts: list[float], least: int = 1) -> list[list[Draw]]:
    """All documents once, drawn in several mixture stages."""
    streams = corpus([[length - length % least for length in lengths] for lengths in sizes], seq_len)
    borders = np.cumsum([0, *parts]) / sum(parts)
    stages = []
    for low, high in pairwise(borders):
        draws = []
        for label, stream in enumerate(streams):
            begin, end = (
                stream.nearest_end(round(at * stream.tokens)) if at < 1 else stream.tokens for at in (low, high)
            )
            if end > begin:
                draws.append(Draw(stream, end - begin, label % 3, label // 3, begin))
        stages.append(draws)
    return stages


def pieces_by_document(blocks) -> dict[int, list[tuple[int, int, int]]]:
    found: dict[int, list[tuple[int, int, int]]] = {}
    for each in blocks:
        block = each.block
        for document, start, length, part in zip(block.document, block.start, block.length, block.part, strict=True):
            found.setdefault(int(document), []).append((int(start), int(length), int(part)))
    return {document: sorted(pieces) for document, pieces in found.items()}


@given(
    SIZES, STAGES, st.sampled_from(["best_fit", "concat", "one_per_row", "pow2"]),
    st.sampled_from(["batch", "window", "spread"]), st.integers(0, 2**63),
)  # fmt: skip
def test_every_method_plans_every_token_once(sizes, parts, method, order, seed) -> None:
    packing = PackSection(
        seq_len=32, method=method, min_piece_tokens=4, block_packs=8, global_batch_packs=2, order=order
    )
    least = packing.least_piece_tokens
    blocks = list(plan_packs(whole_stages(sizes, 32, parts, least), packing, seed))
    lengths = [length - length % least for stream in sizes for length in stream]
    found = pieces_by_document(blocks)
    assert set(found) == {number for number, length in enumerate(lengths) if length}
    for document, pieces in found.items():
        ends = [start + length for start, length, _ in pieces]
        assert [start for start, _, _ in pieces] == [0, *ends[:-1]]
        assert ends[-1] == lengths[document]
        parts_of = [part for _, _, part in pieces]
        if method == "concat":  # a stage border inside a document leaves a gap
            assert parts_of == sorted(set(parts_of))
        else:
            assert parts_of == list(range(len(pieces)))
    packs = Counter()
    for each in blocks:
        for pack, length in zip(each.block.pack.tolist(), each.block.length.tolist(), strict=True):
            packs[pack] += length
    assert sorted(packs) == list(range(len(packs)))
    assert max(packs.values(), default=0) <= 32
    assert all(each.block.packs % 2 == 0 for each in blocks[:-1])
    stages = [each.stage for each in blocks]
    assert stages == sorted(stages)


def test_concat_fills_every_row_but_the_last_and_follows_the_text() -> None:
    packing = PackSection(seq_len=50, method="concat", block_packs=4, global_batch_packs=2, order="spread")
    rng = np.random.default_rng(2)
    blocks = list(plan_packs(whole_stages([rng.integers(1, 200, 40).tolist()], 50, [1.0]), packing, 5))
    tokens = Counter()
    for each in blocks:
        for pack, length in zip(each.block.pack.tolist(), each.block.length.tolist(), strict=True):
            tokens[pack] += length
    assert [tokens[pack] for pack in range(len(tokens))].count(50) >= len(tokens) - 1


def test_one_per_row_gives_each_piece_a_row() -> None:
    packing = PackSection(seq_len=50, method="one_per_row", block_packs=8, global_batch_packs=2)
    [*blocks] = plan_packs(whole_stages([[10, 60, 50, 3]], 50, [1.0]), packing, 5)
    assert sorted(length for each in blocks for length in each.block.length.tolist()) == [3, 10, 10, 50, 50]
    assert sum(each.block.packs for each in blocks) == 5


@given(st.lists(st.integers(1, 255), max_size=20))
def test_expansion_is_the_binary_number(lengths: list[int]) -> None:
    n = len(lengths)
    zeros = np.zeros(n, np.int32)
    pieces = expand(Pieces(np.arange(n), zeros.astype(np.int64), np.array(lengths, np.int32), zeros, zeros))
    for number, length in enumerate(lengths):
        mine = pieces.length[pieces.document == number].tolist()
        assert mine == [1 << bit for bit in reversed(range(8)) if length >> bit & 1]
        assert pieces.start[pieces.document == number].tolist() == [sum(mine[:at]) for at in range(len(mine))]
    rows = pack_pow2(pieces, 256, key=3)
    for row in range(rows.count):
        held = rows.pieces.length[rows.row == row]
        assert len(set(held.tolist())) == 1
        assert (int(held.sum()) == 256) != rows.unfinished[row]
    assert int(rows.unfinished.sum()) <= 8


@pytest.mark.parametrize("curriculum", ["grow_linear", "grow_p2"])
def test_a_cycle_grows_and_uses_up_every_length(curriculum) -> None:
    longest = np.repeat([256, 512, 1024, 2048], 200)
    order = order_cycle(longest, curriculum, key=1)
    assert sorted(order.tolist()) == list(range(800))
    for size in np.unique(longest):
        mine = order[longest[order] == size]
        assert (np.diff(mine) > 0).all(), "rows of a length keep their order"
    thirds = [float(np.log2(longest[part]).mean()) for part in np.array_split(order, 3)]
    assert thirds[0] < thirds[1] < thirds[2]
    assert order_cycle(longest, curriculum, key=2).tolist() != order.tolist()


@pytest.mark.parametrize("curriculum", ["grow_linear", "grow_p2"])
def test_every_cycle_of_a_plan_holds_its_part_of_every_length_and_domain(curriculum) -> None:
    rng = np.random.default_rng(7)
    sizes = [rng.integers(16, 512, 400).tolist(), rng.integers(16, 64, 900).tolist()]
    packing = PackSection(
        seq_len=256, method="pow2", min_piece_tokens=16, curriculum=curriculum, cycles=4, block_packs=64,
        global_batch_packs=4,
    )  # fmt: skip
    stages = whole_stages(sizes, 256, [1.0], 16)
    blocks = list(plan_packs(stages, packing, 11))
    tokens: dict[int, Counter[tuple[int, int]]] = {}
    for each in blocks:
        for document, length in zip(each.block.document.tolist(), each.block.length.tolist(), strict=True):
            tokens.setdefault(each.cycle, Counter())[int(document >= 400), length] += length
    assert sorted(tokens) == [0, 1, 2, 3]
    total = sum(tokens.values(), Counter())
    for cycle in tokens.values():
        for kind, count in total.items():
            assert abs(cycle[kind] - count / 4) <= 0.12 * count + 4 * 256
