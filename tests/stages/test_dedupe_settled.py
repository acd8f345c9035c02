"""The bits of what is settled against a set, and keys joined in parts."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup import buckets
from lc_data.dedup.buckets import TooManyDocumentsError
from lc_data.stages.dedupe import STAGE, search
from lc_data.stages.dedupe.settled import Settled, read_bits
from tests.dedup.prose import edit, prose
from tests.stages.ingested import bring, dropped_rows, publish


@given(st.integers(1, 60), st.lists(st.sets(st.integers(0, 59)), max_size=3))
def test_what_is_settled_is_held_and_nothing_else(documents, rounds):
    settled, gone = Settled(documents), set()
    for some in rounds:
        here = {number for number in some if number < documents}
        settled.settle(np.array(sorted(here), np.int64))
        gone |= here
    held = settled.holds(np.arange(documents))
    assert set(np.flatnonzero(held).tolist()) == gone
    assert np.unpackbits(settled.bits, bitorder="little")[:documents].tolist() == held.tolist()


def test_bits_are_read_as_they_were_written(tmp_path):
    for documents in (0, 1, 8, 1001):
        settled = Settled(documents)
        settled.settle(np.arange(0, documents, 3))
        settled.write(f"{tmp_path}/{documents}.arrow")
        assert read_bits(f"{tmp_path}/{documents}.arrow").tolist() == settled.bits.tolist()


def test_what_goes_does_not_depend_on_how_many_parts_the_keys_are_joined_in(tmp_path, monkeypatch):
    rng = random.Random(0)
    book = prose(rng, 12_000)
    pages = [prose(rng, 300) for _ in range(40)]
    texts = [book, " ".join(book.split()[2000:5000]), edit(rng, book, 0.04), *pages]
    texts += [edit(rng, page, 0.005) for page in pages[:20]] + [f"{page}\n" for page in pages[10:30]]
    rows = [{"id": f"d{number:03d}", "text": text} for number, text in enumerate(texts)]
    whole = bring(STAGE, run := publish(tmp_path / "whole", rows, "filter"), "dedupe.max_loss=1")
    expected = dropped_rows(whole, run)
    assert {row["reason"] for row in expected} == {"exact_duplicate", "near_duplicate", "contained", "edition"}
    monkeypatch.setattr(search, "PARTITION_KEYS", 20)
    parted = bring(STAGE, run := publish(tmp_path / "parted", rows, "filter"), "dedupe.max_loss=1")
    assert dropped_rows(parted, run) == expected


def test_more_documents_than_numbers_are_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(buckets, "MAX_DOCUMENTS", 2)
    run = publish(tmp_path, [{"id": f"d{number}", "text": "some words"} for number in range(3)], "filter")
    with pytest.raises(TooManyDocumentsError, match="3 documents: dedupe numbers at most 2"):
        bring(STAGE, run)
