"""Who stays: against the rule as written, one document after the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup.alarm import Loss, overdone, source_group
from lc_data.dedup.decision import order_documents, remove_copies, remove_verified

DOCUMENTS = 12
EDGES = st.dictionaries(
    st.tuples(st.integers(0, DOCUMENTS - 1), st.integers(0, DOCUMENTS - 1)).filter(lambda pair: pair[0] < pair[1]),
    st.sampled_from([0.8, 0.9, 1.0]),
    max_size=40,
)
SIZES = st.lists(st.integers(1, 4), min_size=DOCUMENTS, max_size=DOCUMENTS)


RANKS = st.lists(st.integers(0, 1), min_size=DOCUMENTS, max_size=DOCUMENTS)


@given(EDGES, SIZES, RANKS, st.randoms())
def test_a_document_goes_exactly_when_one_that_stays_can_stand_for_it(edges, sizes, ranks, rng):
    ids = [f"id{number:02d}" for number in range(DOCUMENTS)]
    rng.shuffle(ids)
    places = order_documents(np.array(sizes), ids, np.array(ranks))
    # Some stand for each other, some one way: a direction is a document and what can stand for it.
    directed = {pair[:: rng.choice([1, -1])]: value for pair, value in edges.items()}
    directed |= {pair[::-1]: value for pair, value in edges.items() if rng.random() < 0.5}
    pairs = list(directed.items())
    rng.shuffle(pairs)
    similarity = np.array([value for _, value in pairs])
    found = remove_verified(np.array([pair for pair, _ in pairs], np.int64).reshape(-1, 2), similarity, places)
    stays: dict[int, bool] = {}
    keepers = {}
    for document in sorted(range(DOCUMENTS), key=lambda d: (ranks[d], -sizes[d], ids[d])):
        standing = [
            (-value, ranks[other], -sizes[other], ids[other], other)
            for (one, other), value in directed.items()
            if one == document and stays.get(other)
        ]
        stays[document] = not standing
        if standing:
            keepers[document] = min(standing)[-1]
    assert dict(zip(found.documents.tolist(), found.keepers.tolist(), strict=True)) == keepers
    assert [pairs[row][0] for row in found.rows] == list(zip(found.documents, found.keepers, strict=True))


def test_a_chain_is_not_closed():
    # 0 is like 1 and 1 is like 2, but 0 is not like 2: 2 stays.
    places = order_documents(np.array([3, 2, 1]), ["a", "b", "c"])
    found = remove_verified(np.array([[0, 1], [1, 0], [1, 2], [2, 1]]), np.full(4, 0.9), places)
    assert (found.documents.tolist(), found.keepers.tolist(), found.rows.tolist()) == ([1], [0], [1])


@given(st.lists(st.integers(0, 4), max_size=DOCUMENTS), st.randoms())
def test_of_equal_documents_the_first_in_order_stays(groups, rng):
    sizes = [rng.randint(1, 3) for _ in groups]
    places = order_documents(np.array(sizes, np.int64), [f"{number}" for number in range(len(groups))])
    found = remove_copies(np.array(groups, np.int64), places)
    for document, keeper in zip(found.documents.tolist(), found.keepers.tolist(), strict=True):
        assert groups[document] == groups[keeper]
        assert (-sizes[keeper], str(keeper)) < (-sizes[document], str(document))
    assert len(groups) - len(found.documents) == len(set(groups))


def test_the_alarm_names_domains_and_sources_that_lose_too_much():
    losses = {("web", "a.jsonl"): Loss(100, 60, ["x: y"]), ("web", "b.jsonl"): Loss(100, 10), ("law", "c"): Loss(10, 9)}
    lines = overdone(losses, {}, 0.5, 20)
    assert len(lines) == 1
    assert "domain 'web', source 'a.jsonl' loses 60 of 100 documents, more than 50%" in lines[0]
    assert "x: y" in lines[0]
    assert overdone(losses, {"web": 0.7}, 0.5, 20) == []
    assert "domain 'web' loses" in overdone({("web", f"{n}"): Loss(10, 9) for n in range(5)}, {}, 0.5, 20)[0]


def test_what_is_watched_as_one_source():
    names = frozenset({"pages"})
    assert source_group("d", "pages/folder/a.jsonl@1200", names) == ("d", "pages")
    assert source_group("d", "owner/repo@abc:docs/x.md", names) == ("d", "owner/repo@abc")
    assert source_group("d", "s3://bucket/a.parquet", names) == ("d", "s3://bucket/a.parquet")
