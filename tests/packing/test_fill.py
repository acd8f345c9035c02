from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.packing.fill import Pack, PackPieces, fill_pack

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


def pieces_of(rows: list[dict[str, Any]]) -> PackPieces:
    n = len(rows)
    start = np.array([row["start"] for row in rows], np.int64)
    return PackPieces(
        document=50 + np.arange(n),
        start=start,
        length=np.array([row["length"] for row in rows], np.int32),
        part=(start // 2).astype(np.int32),
        span=np.cumsum([not row["joins"] for row in rows]).astype(np.int32),
        domain=(np.arange(n) % 3).astype(np.uint16),
    )


@given(st.lists(PIECE, max_size=8), st.integers(0, 4), st.sampled_from([np.int32, np.uint16]))
def test_a_row_is_what_a_loop_over_its_tokens_gives(rows: list[dict[str, Any]], padding: int, dtype: Any) -> None:
    seq_len = sum(row["length"] for row in rows) + padding
    if not seq_len:
        return
    tokens = [
        np.arange(row["start"], row["start"] + row["length"]).astype(dtype) + dtype(100 * i)
        for i, row in enumerate(rows)
    ]
    spans = [None if row["targets"] is None else np.array(row["targets"], np.int32).reshape(-1, 2) for row in rows]
    if rows:
        rows[0]["joins"] = False
    pack = fill_pack(pieces_of(rows), tokens, spans, seq_len, pad_id=9999)
    expected = by_hand(rows, seq_len, 9999)
    assert {name: getattr(pack, name).tolist() for name in expected} == expected
    assert pack.max_seqlen == max(np.diff(expected["cu_seqlens"]))
    assert pack.cu_seqlens.dtype == np.int32
    assert all(getattr(pack, name).dtype == np.int64 for name in expected if name != "cu_seqlens")


def fill(length: list[int], span: list[int], seq_len: int = 8, views: list[int] | None = None) -> Pack:
    n = len(length)
    pieces = PackPieces(
        np.arange(n), np.zeros(n, np.int64), np.array(length), np.zeros(n, int), np.array(span), np.zeros(n, int)
    )
    return fill_pack(pieces, [np.zeros(size, np.int32) for size in views or length], None, seq_len, 0)


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
