"""What other packers are given, and what is said of those that are not installed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.bench.pack_peers import PACKERS, Packed, Packer, compare_with_packers, cut, plan


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.integers(1, 9))
def test_pieces_are_those_of_a_plain_loop(lengths, seq_len):
    expected = [min(seq_len, length - begin) for length in lengths for begin in range(0, length, seq_len)]
    assert cut(np.array(lengths), seq_len).tolist() == expected


def test_a_packer_that_is_not_installed_has_a_row_without_numbers():
    absent = Packer(
        "nobody", "no_such_package", 10, lambda lengths, seq_len: pytest.fail("it is not installed"), bar=2.0
    )
    (row,) = compare_with_packers(np.array([3, 4]), 8, [absent])
    assert row.peer == "nobody (not installed)"
    assert math.isnan(row.ours)
    assert math.isnan(row.theirs)
    assert math.isnan(row.ratio)


def test_fill_and_tokens_kept_are_those_of_each_side():
    wasteful = Packer("one a row", "numpy", 3, lambda lengths, seq_len: lambda: Packed(len(lengths), 12), bar=2.0)
    _, _, fill, kept = compare_with_packers(np.array([6, 2, 10, 99]), 8, [wasteful])
    assert (fill.ours, fill.theirs) == (18 / 24, 12 / 24)
    assert (kept.ours, kept.theirs, kept.ratio) == (1.0, 12 / 18, 1.5)


def test_a_packer_that_drops_long_documents_is_compared_over_those_that_it_keeps(monkeypatch):
    dropping = Packer("short", "numpy", 9, lambda lengths, seq_len: lambda: Packed(2, 8), bar=2.0, whole=True)
    given = []
    monkeypatch.setattr("lc_data.bench.pack_peers.plan", lambda lengths, seq_len: given.append(lengths.tolist()))
    rows, whole, _, kept = compare_with_packers(np.array([6, 2, 10, 99]), 8, [dropping])
    assert (rows.bar, whole.bar) == (2.0, 2.0)
    assert given
    assert all(lengths == [6, 2] for lengths in given)
    assert kept.theirs == 8 / 117


def test_the_plan_that_is_timed_holds_every_document():
    lengths = np.array([6, 2, 10, 99, 1])
    blocks = plan(lengths, 8)
    document = np.concatenate([each.block.document for each in blocks])
    held = np.concatenate([each.block.length for each in blocks])
    assert np.bincount(document, weights=held).tolist() == lengths.tolist()


@pytest.mark.peers
@pytest.mark.parametrize("packer", PACKERS, ids=lambda packer: packer.package)
def test_a_packer_keeps_every_token_of_documents_that_fit(packer):
    lengths = np.random.default_rng(1).integers(1, 1025, 2_000)
    packed = packer.prepare(lengths, 1024)()
    assert packed.tokens == lengths.sum()
    assert packed.rows * 1024 >= packed.tokens
