from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus.ledger import Count, Ledger, LedgerError


def _ledger(kept: int) -> Ledger:
    ledger = Ledger()
    ledger.come_in("web", 10, 1000, 100)
    ledger.drop("web", "short", 2, 100, 10)
    ledger.quarantine("web", "invalid UTF-8", 1, 100)
    ledger.transform("web", "repeated", 3, 300, 30)
    ledger.keep("web", kept, 1100, 120)
    return ledger


def test_books_that_balance_pass():
    ledger = _ledger(10)
    ledger.balance()
    assert ledger.account("web").difference() == Count()


def test_one_lost_document_fails_and_names_its_domain():
    with pytest.raises(LedgerError, match="domain 'web': 1 documents"):
        _ledger(9).balance()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y"]), st.integers(0, 9)), max_size=12))
def test_merging_is_independent_of_order(entries):
    ledgers = []
    for domain, reason, documents in entries:
        ledger = Ledger()
        ledger.come_in(domain, documents, documents)
        ledger.drop(domain, reason, documents, documents)
        ledgers.append(ledger)
    merged = {Ledger.merge(order).model_dump_json() for order in itertools.islice(itertools.permutations(ledgers), 24)}
    assert len(merged) == 1
    whole = Ledger.merge(ledgers)
    whole.balance()
    assert whole.received() == Count(documents=sum(e[2] for e in entries), bytes=sum(e[2] for e in entries))
