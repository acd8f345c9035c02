"""The two tables of lengths: every share against a plain count, and the published table from its own numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.lengths.buckets import assign_buckets
from lc_data.lengths.histogram import measure_lengths
from lc_data.lengths.table import ShareTable, choose_edges, tables, tables_as_json
from lc_data.recipe.errors import RecipeError

INDEX_TOKEN_SHARES = [73, 12, 6, 4, 2, 1, 1, 1]
"""Index-1.9B-32K, technical report: percent of the corpus's tokens in documents of 0-4K, 4-8K, ... 28-32K."""


def table_pair(lengths: list[int], domains: list[int], edges: tuple[int, ...]) -> tuple[ShareTable, ShareTable]:
    length, domain = np.array(lengths, np.uint32), np.array(domains, np.uint16)
    counts = measure_lengths(length, domain, assign_buckets(length, edges), 2, len(edges) + 1)
    return tables(counts, ["books", "web"], edges)


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 1))), st.sampled_from([(4096,), (1, 100, 8192)]))
def test_shares_are_those_of_a_plain_count(rows, edges):
    documents, tokens = table_pair([row[0] for row in rows], [row[1] for row in rows], edges)
    borders = [0, *edges, 1 << 40]
    for place in range(3):
        mine = [length for length, domain in rows if place in (domain, 2)]
        for column, (low, high) in enumerate(pairwise(borders)):
            here = [length for length in mine if low <= length < high]
            assert documents.shares[place, column] == pytest.approx(len(here) / len(mine) if mine else 0)
            assert tokens.shares[place, column] == pytest.approx(sum(here) / sum(mine) if sum(mine) else 0)


def test_the_index_report_is_one_step():
    edges = choose_edges(40_000, step=4096)
    assert edges == tuple(4096 * number for number in range(1, 9))
    lengths = []
    for number, share in enumerate(INDEX_TOKEN_SHARES):
        middle = 4096 * number + (400 if number == 0 else 2048)
        lengths += [middle] * round(share * 1_000_000 / middle)
    documents, tokens = table_pair(lengths, [1] * len(lengths), edges)
    assert [round(100 * share) for share in tokens.shares[1]] == [*INDEX_TOKEN_SHARES, 0]
    assert documents.shares[1, 0] > 0.97
    assert tokens.classes == ("0-4K", "4K-8K", "8K-12K", "12K-16K", "16K-20K", "20K-24K", "24K-28K", "28K-32K", "32K+")


def test_text_is_aligned_and_says_what_is_nothing_and_what_is_little():
    documents, tokens = table_pair([1] * 3000 + [5000], [1] * 3000 + [0], (4096,))
    assert documents.as_text().splitlines() == [
        "share of documents, %   0-4K    4K+  documents",
        "books                      -  100.0          1",
        "web                    100.0      -      3,000",
        "all                    100.0   <0.1      3,001",
    ]
    assert tokens.as_text().splitlines()[-1].split() == ["all", "37.5", "62.5", "8,000"]
    wide = ShareTable("tokens", ("0-4K", "4K+"), ("书籍",), np.array([[1, 3], [1, 3]]))
    assert wide.as_text().splitlines()[1].startswith("书籍" + " " * 16)


def test_json_holds_counts_and_shares_of_every_domain():
    found = tables_as_json(*table_pair([10, 5000, 5000], [0, 1, 1], (4096,)))
    assert found["classes"] == ["0-4K", "4K+"]
    assert found["domains"]["web"] == {
        "documents": [0, 2], "tokens": [0, 10_000], "document_shares": [0.0, 1.0], "token_shares": [0.0, 1.0],
    }  # fmt: skip
    assert found["all"]["tokens"] == [10, 10_000]


@pytest.mark.parametrize(
    ("longest", "edges", "step", "expected"),
    [
        (0, None, None, (1024,)),
        (4096, None, None, (1024, 2048, 4096)),
        (4097, None, None, (1024, 2048, 4096, 8192)),
        (1 << 30, None, None, tuple(1 << power for power in range(10, 21))),
        (5, "4K, 8k,1M", None, (4096, 8192, 1 << 20)),
        (5, "100", None, (100,)),
        (5, None, 10, (10, 20, 30, 40, 50, 60, 70, 80)),
    ],
)
def test_edges(longest, edges, step, expected):
    assert choose_edges(longest, edges, step) == expected


@pytest.mark.parametrize(
    ("edges", "step", "message"),
    [
        ("4K", 4096, "give one of them"),
        ("8K,4K", None, "ascending lengths above 0, got '8K,4K'"),
        ("0,4K", None, "ascending"),
        ("4K,x", None, "'x' is not a length"),
        ("", None, "'' is not a length"),
        (None, 0, "--step is 0"),
    ],
)
def test_wrong_edges_are_named(edges, step, message):
    with pytest.raises(RecipeError, match=message):
        choose_edges(1, edges, step)
