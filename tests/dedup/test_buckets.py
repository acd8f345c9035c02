"""Pairs from keys against all pairs of documents."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup.buckets import (
    MAX_DOCUMENTS,
    Keyed,
    TooManyDocumentsError,
    candidate_pairs,
    group_repeated,
    number_documents,
    partition_of,
    unique_pairs,
)

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=60)


def keyed(rows: list[tuple[int, int]]) -> Keyed:
    table = np.array(rows, np.int64).reshape(-1, 2)
    return Keyed(table[:, 0].astype(np.uint64), table[:, 1].astype(np.uint32))


def pairs_of(*chunks: Keyed) -> list[list[int]]:
    """Candidates of which the smaller numbers are the heavier documents."""
    return candidate_pairs(group_repeated(lambda: chunks), lambda numbers: -numbers, 64).tolist()


@given(ROWS, st.integers(0, 60), st.randoms())
def test_small_buckets_give_every_pair_once_in_any_order_of_rows(rows, cut, rng):
    expected = {
        (left, right)
        for (key, left), (other, right) in combinations(sorted(set(rows), key=lambda row: row[1]), 2)
        if key == other and left != right
    }
    rng.shuffle(rows)
    found = pairs_of(keyed(rows[:cut]), keyed(rows[cut:]))
    assert [tuple(pair) for pair in found] == sorted(expected)


def test_a_large_bucket_stays_linear_and_everyone_meets_the_longest():
    size = 2000
    found = pairs_of(keyed([(1, number) for number in range(size)][::-1]))
    assert len(found) < 17 * size
    assert {right for left, right in found if left == 0} == set(range(1, size))


def test_in_large_buckets_the_heaviest_are_met_and_only_their_documents_are_weighed():
    asked = []

    def weigh(numbers):
        asked.append(numbers.tolist())
        return numbers * 7 % 101

    rows = [(1, number) for number in range(100)] + [(2, number) for number in range(200, 210)]
    found = candidate_pairs(group_repeated(lambda: [keyed(rows)]), weigh, 20)
    assert asked == [list(range(100))]
    order = sorted(range(100), key=lambda number: -(number * 7 % 101))
    large = {
        tuple(sorted((order[left], order[right])))
        for right in range(100)
        for left in range(right)
        if left < 8 or left >= right - 8
    }
    assert {tuple(pair) for pair in found.tolist()} == large | set(combinations(range(200, 210), 2))


@given(ROWS, st.sets(st.integers(0, 9)), st.integers(0, 9))
def test_settled_documents_meet_nobody(rows, gone, border):
    """Each chunk brings the bits of its own documents."""
    chunks = []
    for first, last in ((0, border), (border, 10)):
        held = keyed([row for row in rows if first <= row[1] < last])
        bits = np.packbits(np.array([number in gone for number in range(first, last)], bool), bitorder="little")
        chunks.append(Keyed(held.keys, held.documents, bits, first))
    assert pairs_of(*chunks) == pairs_of(keyed([row for row in rows if row[1] not in gone]))


@pytest.mark.parametrize("size", [4095, 4096, 50_000])
def test_many_keys_are_grouped_as_a_dictionary_groups_them(size):
    rng = np.random.default_rng(size)
    # Most keys are there once, some are repeated, one is there thousands of times; low bits are all zero.
    keys = np.where(rng.random(size) < 0.2, rng.integers(0, size // 8, size), rng.integers(0, 1 << 40, size)) << 20
    keys[rng.random(size) < 0.1] = 0
    documents = np.arange(size, dtype=np.uint32) // 3
    expected: dict[int, list[int]] = {}
    for key, document in zip(keys.tolist(), documents.tolist(), strict=True):
        expected.setdefault(key, []).append(document)
    found = group_repeated(lambda: [Keyed(keys.astype(np.uint64), documents)])
    groups = [found.documents[a:b].tolist() for a, b in pairwise(found.borders.tolist())]
    assert sorted(groups) == sorted(group for group in expected.values() if len(group) > 1)


@given(ROWS, st.sampled_from([1, 2, 8]))
def test_partitions_lose_no_pair(rows, partitions):
    whole = keyed(rows)
    whole = Keyed(whole.keys * np.uint64(0x9E3779B97F4A7C15), whole.documents)
    partition = partition_of(whole.keys, partitions)
    assert partition.size == 0 or 0 <= partition.min() <= partition.max() < partitions
    parts = [
        pairs_of(Keyed(whole.keys[partition == number], whole.documents[partition == number]))
        for number in range(partitions)
    ]
    assert {tuple(pair) for part in parts for pair in part} == {tuple(pair) for pair in pairs_of(whole)}


@given(st.lists(st.tuples(st.integers(0, MAX_DOCUMENTS - 1), st.integers(0, MAX_DOCUMENTS - 1)), max_size=20))
def test_unique_pairs_are_those_of_a_set(pairs):
    expected = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    for kind in (np.int64, np.uint32):
        found = unique_pairs(np.array(pairs, np.int64).reshape(-1, 2).astype(kind))
        assert [tuple(pair) for pair in found.tolist()] == expected


def test_documents_beyond_four_bytes_are_refused():
    assert number_documents(MAX_DOCUMENTS - 2, 2).tolist() == [MAX_DOCUMENTS - 2, MAX_DOCUMENTS - 1]
    with pytest.raises(TooManyDocumentsError, match=r"4,294,967,297 documents.*at most 4,294,967,296"):
        number_documents(MAX_DOCUMENTS - 2, 3)


def test_partitions_are_a_power_of_two():
    with pytest.raises(ValueError, match="3 partitions"):
        partition_of(np.zeros(1, np.uint64), 3)
