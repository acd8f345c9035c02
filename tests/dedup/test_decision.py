"""Who stays: against the rule as written, one document after the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup.alarm import Loss, overdone, source_group
from lc_data.dedup.decision import order_documents, remove_copies, remove_near

DOCUMENTS = 12
EDGES = st.dictionaries(
    st.tuples(st.integers(0, DOCUMENTS - 1), st.integers(0, DOCUMENTS - 1)).filter(lambda pair: pair[0] < pair[1]),
    st.sampled_from([0.8, 0.9, 1.0]),
    max_size=40,
)
SIZES = st.lists(st.integers(1, 4), min_size=DOCUMENTS, max_size=DOCUMENTS)


@given(EDGES, SIZES, st.randoms())
def test_a_document_goes_exactly_when_one_that_stays_is_like_it(edges, sizes, rng):
    ids = [f"id{number:02d}" for number in range(DOCUMENTS)]
    rng.shuffle(ids)
    places = order_documents(np.array(sizes), ids)
    pairs = list(edges.items())
    rng.shuffle(pairs)
    found = remove_near(
        np.array([pair for pair, _ in pairs], np.int64).reshape(-1, 2), np.array([value for _, value in pairs]), places
    )
    stays: dict[int, bool] = {}
    keepers = {}
    for document in sorted(range(DOCUMENTS), key=lambda d: (-sizes[d], ids[d])):
        alike = [
            (-value, -sizes[other], ids[other], other)
            for pair, value in edges.items()
            if document in pair and stays.get(other := pair[0] + pair[1] - document)
        ]
        stays[document] = not alike
        if alike:
            keepers[document] = min(alike)[-1]
    assert dict(zip(found.documents.tolist(), found.keepers.tolist(), strict=True)) == keepers
    for document, keeper, value in zip(found.documents, found.keepers, found.similarity, strict=True):
        assert edges[tuple(sorted((int(document), int(keeper))))] == value


def test_a_chain_is_not_closed():
    # 0 is like 1 and 1 is like 2, but 0 is not like 2: 2 stays.
    places = order_documents(np.array([3, 2, 1]), ["a", "b", "c"])
    found = remove_near(np.array([[0, 1], [1, 2]]), np.array([0.9, 0.9]), places)
    assert (found.documents.tolist(), found.keepers.tolist()) == ([1], [0])


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
