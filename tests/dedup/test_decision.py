"""Who stays: against the rule as written, one document after the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup.alarm import Loss, overdone, source_group
from lc_data.dedup.decision import GOES, OPEN, STAYS, best_rows, order_documents, remove_copies, resolve

DOCUMENTS = 12
EDGES = st.dictionaries(
    st.tuples(st.integers(0, DOCUMENTS - 1), st.integers(0, DOCUMENTS - 1)).filter(lambda pair: pair[0] < pair[1]),
    st.sampled_from([0.8, 0.9, 1.0]),
    max_size=40,
)
SIZES = st.lists(st.integers(1, 4), min_size=DOCUMENTS, max_size=DOCUMENTS)


RANKS = st.lists(st.integers(0, 1), min_size=DOCUMENTS, max_size=DOCUMENTS)


def plain_rule(order: list[int], standing: dict[int, set[int]]) -> dict[int, bool]:
    """Whether each document stays: one after the other, by those before it."""
    stays: dict[int, bool] = {}
    for document in order:
        stays[document] = not any(stays.get(other, False) for other in standing.get(document, ()))
    return stays


def forward(edges, order) -> dict[int, set[int]]:
    """For each document those that can stand for it and come before it."""
    standing: dict[int, set[int]] = {}
    for pair in edges:
        earlier, later = sorted(pair, key=order.index)
        standing.setdefault(later, set()).add(earlier)
    return standing


def as_edges(standing: dict[int, set[int]]) -> np.ndarray:
    return np.array(sorted((d, k) for d, keepers in standing.items() for k in keepers), np.int64).reshape(-1, 2)


@given(EDGES, st.permutations(range(DOCUMENTS)))
def test_a_document_goes_exactly_when_one_that_stays_can_stand_for_it(edges, order):
    standing = forward(edges, order)
    table = as_edges(standing)
    documents, states = resolve(table, np.full(len(table), STAYS, np.int8))
    stays = plain_rule(order, standing)
    assert documents.tolist() == sorted(standing)
    assert [state == STAYS for state in states] == [stays[document] for document in documents.tolist()]
    assert OPEN not in states.tolist()


@given(EDGES, st.permutations(range(DOCUMENTS)), st.integers(1, DOCUMENTS - 1))
def test_parts_decide_what_they_can_and_never_otherwise_than_the_whole(edges, order, border):
    standing = forward(edges, order)
    stays = plain_rule(order, standing)
    mine = {document: keepers for document, keepers in standing.items() if document < border}
    table = as_edges(mine)
    documents, states = resolve(table, np.where(table[:, 1] < border, STAYS, OPEN).astype(np.int8))
    for document, state in zip(documents.tolist(), states.tolist(), strict=True):
        if state != OPEN:
            assert (state == STAYS) == stays[document]
        else:
            assert any(keeper >= border or keeper in mine for keeper in mine[document])
    known = np.array([STAYS if stays[keeper] else GOES for keeper in table[:, 1].tolist()], np.int8)
    documents, states = resolve(table, known)
    assert [state == STAYS for state in states] == [stays[document] for document in documents.tolist()]


def test_a_long_chain_is_followed_to_its_end():
    table = np.stack([np.arange(1, 50_000), np.arange(49_999)], axis=1)
    documents, states = resolve(table, np.full(len(table), STAYS, np.int8))
    assert (states[documents % 2 == 1] == GOES).all()
    assert (states[documents % 2 == 0] == STAYS).all()


def test_a_chain_is_not_closed():
    # 0 is like 1 and 1 is like 2, but 0 is not like 2: 2 stays.
    documents, states = resolve(np.array([[1, 0], [2, 1]]), np.array([STAYS, STAYS], np.int8))
    assert (documents.tolist(), states.tolist()) == ([1, 2], [GOES, STAYS])


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.8, 0.9]), st.integers(0, 9)), max_size=20))
def test_the_keeper_is_the_most_similar_and_of_equals_the_first(rows):
    table = np.array(rows, np.float64).reshape(-1, 3)
    best = best_rows(table[:, 0].astype(np.int64), table[:, 1], table[:, 2].astype(np.int64))
    found = {rows[row][0]: rows[row][1:] for row in best.tolist()}
    documents = sorted({document for document, _, _ in rows})
    assert list(found) == documents
    for document in documents:
        mine = [(-similarity, place) for other, similarity, place in rows if other == document]
        assert min(mine) == (-found[document][0], found[document][1])


@given(SIZES, RANKS, st.randoms())
def test_the_order_is_by_rank_then_size_then_id(sizes, ranks, rng):
    ids = [f"id{number:02d}" for number in range(DOCUMENTS)]
    rng.shuffle(ids)
    places = order_documents(np.array(sizes), ids, np.array(ranks))
    expected = sorted(range(DOCUMENTS), key=lambda document: (ranks[document], -sizes[document], ids[document]))
    assert np.argsort(places).tolist() == expected


@given(st.lists(st.integers(0, 4), max_size=DOCUMENTS), st.randoms())
def test_of_equal_documents_the_first_in_order_stays(groups, rng):
    sizes = [rng.randint(1, 3) for _ in groups]
    places = order_documents(np.array(sizes, np.int64), [f"{number}" for number in range(len(groups))])
    documents, keepers = remove_copies(np.array(groups, np.int64), places)
    for document, keeper in zip(documents.tolist(), keepers.tolist(), strict=True):
        assert groups[document] == groups[keeper]
        assert (-sizes[keeper], str(keeper)) < (-sizes[document], str(document))
    assert len(groups) - len(documents) == len(set(groups))


def test_the_alarm_names_domains_and_sources_that_lose_too_much():
    losses = {
        ("web", "a.jsonl"): Loss(100, 60, ["x: y"]),
        ("web", "b.jsonl"): Loss(100, 10),
        ("web", None): Loss(200, 70),
        ("law", "c"): Loss(10, 9),
    }
    lines = overdone(losses, {}, 0.5, 20)
    assert len(lines) == 1
    assert "domain 'web', source 'a.jsonl' loses 60 of 100 documents, more than 50%" in lines[0]
    assert "x: y" in lines[0]
    assert overdone(losses, {"web": 0.7}, 0.5, 20) == []
    assert "domain 'web' loses" in overdone({("web", None): Loss(50, 45)}, {}, 0.5, 20)[0]


def test_losses_add_up_with_the_first_examples():
    loss = Loss()
    for number in range(2):
        part = Loss(10)
        for row in range(2):
            part.remove(lambda part=number, row=row: f"{part}-{row}")
        loss.add(part)
    assert (loss.documents, loss.removed, loss.examples) == (20, 4, ["0-0", "0-1", "1-0"])


def test_what_is_watched_as_one_source():
    names = frozenset({"pages"})
    assert source_group("d", "pages/folder/a.jsonl@1200", names) == ("d", "pages")
    assert source_group("d", "owner/repo@abc:docs/x.md", names) == ("d", "owner/repo@abc")
    assert source_group("d", "s3://bucket/a.parquet", names) == ("d", "s3://bucket/a.parquet")
