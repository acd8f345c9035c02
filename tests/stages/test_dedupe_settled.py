"""The bits of what is settled against a set, and keys joined in parts."""

from __future__ import annotations

import random
from itertools import pairwise
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup import buckets
from lc_data.dedup.buckets import TooManyDocumentsError
from lc_data.stages.dedupe import STAGE, bounds
from lc_data.stages.dedupe.settled import Settled, write_bits
from lc_data.stages.dedupe.slices import Range
from tests.dedup.prose import edit, prose
from tests.stages.ingested import bring, dropped_rows, publish


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.lists(st.integers(0, 79)), st.integers(0, 79))
def test_the_bits_of_a_range_are_those_of_what_goes(sizes, gone, document):
    borders = tuple(np.cumsum([0, *sizes]).tolist())
    document %= borders[-1]
    with TemporaryDirectory() as folder:
        uris = tuple(f"{folder}/{number}.arrow" for number in range(len(sizes)))
        for uri, (first, last) in zip(uris, pairwise(borders), strict=True):
            write_bits(uri, Range(first, last), np.array([each for each in gone if first <= each < last], np.int64))
        bits, first = Settled(uris, borders).bits_at(document)
    place = document - first
    assert bool(bits[place // 8] >> place % 8 & 1) == (document in gone)
    assert first in borders[:-1]


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
    monkeypatch.setattr(bounds, "PARTITION_KEYS", 20)
    parted = bring(STAGE, run := publish(tmp_path / "parted", rows, "filter"), "dedupe.max_loss=1")
    assert dropped_rows(parted, run) == expected


def test_more_documents_than_numbers_are_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(buckets, "MAX_DOCUMENTS", 2)
    run = publish(tmp_path, [{"id": f"d{number}", "text": "some words"} for number in range(3)], "filter")
    with pytest.raises(TooManyDocumentsError, match="3 documents: dedupe numbers at most 2"):
        bring(STAGE, run)
