from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.packing.fill import Pack, fill_pack
from lc_data.packing.layout import BlockLayout
from lc_data.packing.plan import PlanBlock

PIECE = st.fixed_dictionaries(
    {
        "length": st.integers(1, 6),
        "start": st.integers(0, 5),
        "joins": st.booleans(),
        "targets": st.none() | st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted), max_size=3),
    }
)


def by_hand(rows: list[dict[str, Any]], seq_len: int, pad_id: int) -> dict[str, list[int]]:
    """The row, token by token."""
    pack: dict[str, list[int]] = {
        name: []
        for name in ("input_ids", "labels", "position_ids", "cu_seqlens", "document_ids", "part_ids", "domain_ids")
    }
    for i, row in enumerate(rows):
        if i == 0 or not row["joins"]:
            pack["cu_seqlens"].append(len(pack["input_ids"]))
            pack["document_ids"].append(50 + i)
            pack["part_ids"].append(row["start"] // 2)
            pack["domain_ids"].append(i % 3)
        for place in range(row["start"], row["start"] + row["length"]):
            here = len(pack["input_ids"])
            token = 100 * i + place
            counts = row["targets"] is None or any(begin <= place < end for begin, end in row["targets"])
            pack["input_ids"].append(token)
            pack["labels"].append(token if counts and here != pack["cu_seqlens"][-1] else -100)
            pack["position_ids"].append(here - pack["cu_seqlens"][-1])
    used = len(pack["input_ids"])
    if used < seq_len:
        pack["cu_seqlens"].append(used)
        pack["input_ids"] += [pad_id] * (seq_len - used)
        pack["labels"] += [-100] * (seq_len - used)
        pack["position_ids"] += range(seq_len - used)
        for name in ("document_ids", "part_ids", "domain_ids"):
            pack[name].append(-1)
    pack["cu_seqlens"].append(seq_len)
    return pack


def layout(rows: list[list[dict[str, Any]]], seq_len: int, **switches: Any) -> BlockLayout:
    """Lay out a block with these rows, its first pack being number 7."""
    pieces = [(7 + n, i, piece) for n, row in enumerate(rows) for i, piece in enumerate(row)]
    start = np.array([piece["start"] for _, _, piece in pieces], np.int64)
    place = np.array([i for _, i, _ in pieces], np.int64)
    spans = [np.cumsum([not piece["joins"] for piece in row]) for row in rows]
    block = PlanBlock(
        pack=np.array([pack for pack, _, _ in pieces], np.int64),
        document=50 + place,
        start=start,
        length=np.array([piece["length"] for _, _, piece in pieces], np.int32),
        part=(start // 2).astype(np.int32),
        span=np.concatenate(spans).astype(np.int32),
    )
    return BlockLayout(block, (place % 3).astype(np.uint16), seq_len, **switches)


ROW = st.lists(PIECE, min_size=1, max_size=8)


@given(ROW, st.integers(0, 4), st.sampled_from(["reset", "continuous"]))
def test_an_anchor_stands_before_the_row_that_there_would_be_without_it(
    row: list[dict], padding: int, positions: Any
) -> None:
    row[0]["joins"] = False
    seq_len = sum(piece["length"] for piece in row) + padding
    tokens = [np.arange(piece["length"], dtype=np.uint16) for piece in row]
    spans = [None if piece["targets"] is None else np.array(piece["targets"]).reshape(-1, 2) for piece in row]
    plain = fill_pack(layout([row], seq_len, positions=positions).row(7), tokens, spans, 9)
    block = layout([row], seq_len + 1, mask="anchor", positions=positions, anchor_id=77)
    pack = fill_pack(block.row(7), tokens, spans, 9)
    assert pack.input_ids.tolist() == [77, *plain.input_ids.tolist()]
    assert pack.labels.tolist() == [-100, *plain.labels.tolist()]
    assert pack.cu_seqlens.tolist() == [0, *(plain.cu_seqlens + 1).tolist()]
    for name in ("document_ids", "part_ids", "domain_ids"):
        assert getattr(pack, name).tolist() == [-2, *getattr(plain, name).tolist()]
    used = seq_len - padding
    assert pack.position_ids.tolist() == [
        0, *(plain.position_ids[:used] + 1).tolist(), *plain.position_ids[used:].tolist()
    ]  # fmt: skip
    with pytest.raises(ValueError, match=f"a row without its anchor {seq_len - padding - 1}: plan and seq_len differ"):
        layout([row], used, mask="anchor", anchor_id=77)


@given(st.lists(ROW, min_size=1, max_size=4), st.integers(0, 4), st.sampled_from([np.int32, np.uint16]))
def test_rows_are_what_a_loop_over_their_tokens_gives(rows: list[list[dict]], padding: int, dtype: Any) -> None:
    seq_len = max(sum(piece["length"] for piece in row) for row in rows) + padding
    for row in rows:
        row[0]["joins"] = False
    block = layout(rows, seq_len)
    for n, row in enumerate(rows):
        tokens = [
            np.arange(piece["start"], piece["start"] + piece["length"]).astype(dtype) + dtype(100 * i)
            for i, piece in enumerate(row)
        ]
        spans = [None if p["targets"] is None else np.array(p["targets"], np.int32).reshape(-1, 2) for p in row]
        pack = fill_pack(block.row(7 + n), tokens, spans, pad_id=9999)
        expected = by_hand(row, seq_len, 9999)
        assert {name: getattr(pack, name).tolist() for name in expected} == expected
        assert pack.max_seqlen == max(np.diff(expected["cu_seqlens"]))
        assert pack.cu_seqlens.dtype == np.int32
        assert all(getattr(pack, name).dtype == np.int64 for name in expected if name != "cu_seqlens")


@given(ROW, st.integers(0, 4), st.sampled_from(["reset", "continuous"]))
def test_rows_without_masks_are_one_segment_and_still_tell_their_pieces(
    row: list[dict], padding: int, positions: Any
) -> None:
    used = sum(piece["length"] for piece in row)
    apart = by_hand([{**piece, "joins": False} for piece in row], used + padding, 9999)
    joined = by_hand([{**piece, "joins": i > 0} for i, piece in enumerate(row)], used + padding, 9999)
    for i, piece in enumerate(row):
        piece["joins"] = i > 0
    block = layout([row], used + padding, mask="none", positions=positions)
    tokens = [np.arange(p["start"], p["start"] + p["length"]) + 100 * i for i, p in enumerate(row)]
    pack = fill_pack(block.row(7), tokens, [p["targets"] for p in row], 9999)
    assert pack.pieces is not None
    for name in ("cu_seqlens", "document_ids", "part_ids", "domain_ids"):
        assert getattr(pack, name).tolist() == joined[name]
        assert getattr(pack.pieces, name).tolist() == apart[name]
    # Only the first token of the row has nothing before it, the first of a document is predicted like any other.
    assert (pack.labels.tolist(), pack.input_ids.tolist()) == (joined["labels"], joined["input_ids"])
    assert pack.position_ids.tolist() == (apart if positions == "reset" else joined)["position_ids"]


def test_positions_run_on_where_attention_does_not() -> None:
    rows = [[{"length": 3, "start": 0, "joins": False}, {"length": 2, "start": 0, "joins": False}]]
    pack = fill_pack(layout(rows, 7, positions="continuous").row(7), [np.arange(3), np.arange(2)], None, 0)
    assert pack.position_ids.tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert pack.cu_seqlens.tolist() == [0, 3, 5, 7]
    assert pack.pieces is None


def test_a_row_of_many_segments_counts_each_from_zero() -> None:
    pack = fill([2] * 50, list(range(50)), seq_len=103)
    assert pack.position_ids.tolist() == [0, 1] * 50 + [0, 1, 2]


def test_rows_of_a_block_share_nothing() -> None:
    rows = [[{"length": 3, "start": 0, "joins": False}]] * 2
    block = layout(rows, 4)
    before = by_hand([{**rows[0][0], "targets": None}], 4, 0)
    for pack in (7, 8, 7):
        filled = fill_pack(block.row(pack), [np.arange(3)], None, 0)
        assert {name: getattr(filled, name).tolist() for name in before} == before
        for name in before:
            getattr(filled, name)[:] = 77


def fill(length: list[int], span: list[int], seq_len: int = 8, views: list[int] | None = None) -> Pack:
    n = len(length)
    zeros = np.zeros(n, np.int64)
    block = PlanBlock(zeros, np.arange(n), zeros, np.array(length), zeros, np.array(span))
    row = BlockLayout(block, zeros, seq_len).row(0)
    return fill_pack(row, [np.zeros(size, np.int32) for size in views or length], None, 0)


def test_without_spans_every_token_but_the_first_counts() -> None:
    assert fill([3, 2], [0, 1]).labels.tolist() == [-100, 0, 0, -100, 0, -100, -100, -100]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": [5, 4], "span": [0, 1]}, "hold 9 tokens, seq_len is 8"),
        ({"length": [5], "span": [0], "views": [4]}, "token views and pieces differ in length"),
        ({"length": [2, 0], "span": [0, 1]}, "is empty"),
        ({"length": [2, 2], "span": [1, 0]}, "must not decrease"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fill(**arguments)
