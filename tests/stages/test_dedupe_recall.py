"""What bands and a plain sample miss by their nature, found: pairs near the threshold, and short documents."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pytest

from lc_data.dedup.minhash import band_keys, sign
from lc_data.stages.dedupe import STAGE
from tests.dedup.prose import edit, exact_jaccard, prose
from tests.stages.ingested import bring, dropped_rows, publish


def column_of(texts: Iterable[str]) -> pa.Array:
    return pa.array(list(texts), pa.large_string())


def near_the_threshold(rng: random.Random, count: int, words: int) -> list[tuple[str, str]]:
    """Pairs with a Jaccard similarity of 0.8 to 0.83."""
    pairs: list[tuple[str, str]] = []
    while len(pairs) < count:
        text = prose(rng, words)
        other = edit(rng, text, rng.uniform(0.018, 0.03))
        if 0.8 <= exact_jaccard(text, other) < 0.83:
            pairs.append((text, other))
    return pairs


def gone_of(tmp_path, texts: dict[str, str], *overrides: str) -> dict[str, dict]:
    run = publish(tmp_path, [{"id": name, "text": text} for name, text in texts.items()], "filter", shard_rows=200)
    report = bring(STAGE, run, "dedupe.max_loss=1", *overrides)
    return {row["id"]: row | json.loads(row["detail"]) for row in dropped_rows(report, run)}


@pytest.mark.parametrize("words", [60, 300])
def test_near_duplicates_that_share_no_band_are_found(tmp_path, words):
    pairs = near_the_threshold(random.Random(words), 180, words)
    texts = {f"{number}-{side}": pair[side] for number, pair in enumerate(pairs) for side in (0, 1)}
    values = sign(column_of(text for pair in pairs for text in pair), 5, 128).values
    keys = band_keys(values, 16, 8)
    without = {row for row in range(len(pairs)) if not (keys[2 * row] == keys[2 * row + 1]).any()}
    assert len(without) >= 2, "the bands find all of these"
    gone = gone_of(tmp_path, texts)
    assert sorted(name.split("-")[0] for name in gone) == sorted(f"{number}" for number in range(len(pairs)))
    for name, row in gone.items():
        other = texts[row["keeper"]]
        assert row["reason"] == "near_duplicate"
        assert row["jaccard"] == pytest.approx(exact_jaccard(texts[name], other), abs=1e-6)


def test_excerpts_of_a_page_are_found_in_books(tmp_path):
    rng = random.Random(1)
    books = {f"book{number}": prose(rng, 20_000) for number in range(4)}
    texts = dict(books)
    for name, book in books.items():
        words = book.split()
        for number in range(10):
            first = rng.randrange(19_000)
            texts[f"{name}-{number}"] = " ".join(words[first : first + 400])
            texts[f"{name}-{number}-edited"] = edit(rng, texts[f"{name}-{number}"], 0.03)
    gone = gone_of(tmp_path, texts)
    # Of 396 n-grams none is in the sample once in 500 times, and too few of those with a seventh changed.
    assert len(gone) >= 79
    assert {row["keeper"] for row in gone.values()} == set(books)


def test_a_table_of_few_different_ngrams_is_found_in_its_book(tmp_path):
    rng = random.Random(2)
    rows = [f"{name} yes no yes no yes no" for name in prose(rng, 120).split()]
    table = "\n".join(rows * 4)
    texts = {"book": f"{prose(rng, 30_000)}\n{table}\n{prose(rng, 30_000)}", "table": table}
    assert len(np.unique(sign(column_of([table]), 5, 0, 64).samples[0])) < 20
    gone = gone_of(tmp_path, texts)
    assert gone["table"]["keeper"] == "book"
    assert gone["table"]["reason"] == "contained"


def test_short_documents_that_share_a_phrase_stay(tmp_path):
    rng = random.Random(3)
    phrase = prose(rng, 30)
    texts = {f"{number}": f"{phrase} {prose(rng, 60)}" for number in range(40)}
    assert gone_of(tmp_path, texts) == {}


def test_pages_of_one_template_stay_and_long_documents_like_that_go(tmp_path):
    rng = random.Random(4)
    template = prose(rng, 230)
    pages = {name: f"{prose(rng, 25)} {template} {prose(rng, 22)}" for name in "ab"}
    assert gone_of(tmp_path / "short", pages) == {}
    assert len(gone_of(tmp_path / "asked", pages, "dedupe.containment.short_coverage=0.8")) == 1
    template = prose(rng, 2300)
    longer = {name: f"{prose(rng, 250)} {template} {prose(rng, 220)}" for name in "ab"}
    assert len(gone_of(tmp_path / "long", longer)) == 1
