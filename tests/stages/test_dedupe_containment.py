"""Excerpts and editions through the stage: found, named with their spans, and nothing else touched."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest

from lc_data.recipe.errors import RecipeError
from lc_data.stages.dedupe import STAGE
from lc_data.text.reference import list_content_words
from tests.dedup.prose import edit, han, prose
from tests.stages.ingested import bring, dropped_rows, kept_documents, publish, recipe
from tests.stages.test_dedupe import ShuffledBackend


def rewrap(rng: random.Random, text: str) -> str:
    """The same words on lines of other lengths."""
    return "".join("\n" if letter == " " and rng.random() < 0.1 else letter for letter in text)


def library(rng: random.Random, books: int, words: int) -> dict[str, str]:
    return {f"book{number:03d}": prose(rng, words) for number in range(books)}


def plants(rng: random.Random, books: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Excerpts of three sizes, plain and changed, and editions changed a little or a lot; an id names its book."""
    for book, text in books.items():
        words = text.split()
        for share in (0.02, 0.1, 0.4):
            size = int(len(words) * share)
            first = rng.randrange(len(words) - size)
            excerpt = " ".join(words[first : first + size])
            yield f"{book}-excerpt-{share}", excerpt
            yield f"{book}-changed-{share}", rewrap(rng, edit(rng, excerpt, 0.03))
        for rate in (0.01, 0.05, 0.1):
            yield f"{book}-edition-{rate}", rewrap(rng, edit(rng, " ".join(words[100:]), rate))


def rows_of(texts: dict[str, str]) -> list[dict]:
    return [{"id": name, "text": text} for name, text in texts.items()]


@pytest.fixture(scope="module")
def shelf():
    """Two books of 60,000 words with all that is planted of them, and others that are only books."""
    rng = random.Random(0)
    books = library(rng, 2, 60_000)
    rows = rows_of(books | dict(plants(rng, books)) | {f"other-{k}": v for k, v in library(rng, 3, 20_000).items()})
    rng.shuffle(rows)
    return rows


@pytest.fixture(scope="module")
def deduped(shelf, tmp_path_factory):
    run = publish(tmp_path_factory.mktemp("contained"), shelf, "filter")
    report = bring(STAGE, run, "dedupe.max_loss=0.9")
    return report, {row["id"]: row for row in dropped_rows(report, run)}, kept_documents(report, run)


def test_every_excerpt_and_edition_goes_for_its_book_and_no_book_goes(shelf, deduped):
    _, gone, kept = deduped
    assert {row["id"] for row in kept} == {row["id"] for row in shelf if row["id"].count("-") < 2}
    for name, row in gone.items():
        assert json.loads(row["detail"])["keeper"] == name.split("-")[0]
        expected = "edition" if "edition" in name else "contained"
        assert row["reason"] in (expected, "near_duplicate" if name.endswith("0.01") else expected)


def test_the_books_of_the_stage_name_every_reason(deduped):
    report, gone, _ = deduped
    account = report.manifest.ledger.domains["web"]
    assert sum(count.documents for count in account.dropped.values()) == len(gone) == 18
    assert account.dropped["contained"].documents == 12
    assert report.manifest.facts["contained_pairs"] >= 12


def test_spans_name_the_same_words_on_both_sides(shelf, deduped):
    texts = {row["id"]: row["text"].encode() for row in shelf}
    for name, row in deduped[1].items():
        detail = json.loads(row["detail"])
        assert detail["spans_found"] >= len(detail["spans"]) > 0
        assert detail["span_bytes"] <= len(texts[name])
        for start, end, keeper_start, keeper_end in detail["spans"]:
            words = list_content_words(texts[name][start:end].decode())
            assert words == list_content_words(texts[detail["keeper"]][keeper_start:keeper_end].decode())
            assert len(words) >= 50
        if "excerpt" in name:
            assert detail["span_bytes"] == len(texts[name])
            assert detail["containment"] == detail["coverage"] == 1.0


def test_shards_partitions_and_the_order_of_tasks_change_nothing(shelf, deduped, tmp_path, monkeypatch):
    monkeypatch.setattr("lc_data.stages.dedupe.bounds.PARTITION_KEYS", 700)
    monkeypatch.setattr("lc_data.stages.dedupe.bounds.VERIFY_BYTES", 1 << 20)
    monkeypatch.setattr("lc_data.stages.dedupe.bounds.MAX_PAIRS", 200)
    monkeypatch.setattr("lc_data.stages.dedupe.bounds.RANGE_DOCUMENTS", 7)
    run = publish(tmp_path, shelf, "filter", shard_rows=7)
    report = bring(STAGE, run, "dedupe.max_loss=0.9", backend=ShuffledBackend(1))
    assert {row["id"]: row for row in dropped_rows(report, run)} == deduped[1]


@pytest.mark.parametrize("bound", ["bounds.SHARED_BYTES", "verify.TEXT_BYTES"])
def test_how_verification_is_shared_and_what_it_keeps_change_nothing(shelf, deduped, tmp_path, monkeypatch, bound):
    """Four tasks for little text; and sets of shingles that are made again, for they may not be held."""
    monkeypatch.setattr(f"lc_data.stages.dedupe.{bound}", 1)
    run = publish(tmp_path, shelf, "filter")
    report = bring(STAGE, run, "dedupe.max_loss=0.9")
    assert {row["id"]: row for row in dropped_rows(report, run)} == deduped[1]


def test_unrelated_books_of_one_vocabulary_stay(tmp_path):
    rng = random.Random(1)
    vocabulary = [prose(rng, 1) for _ in range(2000)]
    weights = [1 / (rank + 1) for rank in range(2000)]
    books = {f"book{n}": " ".join(rng.choices(vocabulary, weights, k=20_000)) for n in range(40)}
    run = publish(tmp_path, rows_of(books | {f"han{n}": han(rng, 20_000) for n in range(10)}), "filter")
    assert len(kept_documents(bring(STAGE, run), run)) == 50


def test_a_document_that_is_half_its_own_stays(tmp_path):
    rng = random.Random(2)
    book = prose(rng, 20_000)
    half = f"{' '.join(book.split()[:3000])} {prose(rng, 2500)}"
    run = publish(tmp_path, rows_of({"book": book, "half": half}), "filter")
    assert len(kept_documents(bring(STAGE, run), run)) == 2
    lower = bring(STAGE, run, "dedupe.containment.coverage=0.5")
    assert [row["id"] for row in dropped_rows(lower, run)] == ["half"]
    assert len(kept_documents(bring(STAGE, run, "dedupe.containment=null"), run)) == 2


def test_what_stands_in_very_many_documents_is_no_reason(tmp_path):
    rng = random.Random(3)
    licence = prose(rng, 1000)
    rows = rows_of({f"d{n}": f"{licence} {prose(rng, 50 + 30 * n)}" for n in range(12)})
    run = publish(tmp_path, rows, "filter")
    few = bring(STAGE, run, "dedupe.near=null", "dedupe.containment.max_documents_per_key=12")
    assert len(dropped_rows(few, run)) > 0
    many = bring(STAGE, run, "dedupe.near=null", "dedupe.containment.max_documents_per_key=11")
    assert dropped_rows(many, run) == []


def test_near_duplicates_of_an_excerpt_go_with_it(tmp_path):
    rng = random.Random(4)
    book = prose(rng, 20_000)
    excerpt = " ".join(book.split()[2000:6000])
    texts = {"book": book, "long": excerpt + " indeed", "short": excerpt, "same": excerpt + "\n"}
    run = publish(tmp_path, rows_of(texts), "filter")
    gone = {row["id"]: (row["reason"], json.loads(row["detail"])) for row in dropped_rows(bring(STAGE, run), run)}
    assert {name: detail["keeper"] for name, (_, detail) in gone.items()} == dict.fromkeys(
        ("long", "short", "same"), "book"
    )
    copy = "short" if gone["short"][0] == "exact_duplicate" else "same"
    assert gone[copy][1]["same_text_as"] in ("short", "same")


def test_the_preferred_edition_stays_though_it_is_shorter(tmp_path):
    rng = random.Random(5)
    text = prose(rng, 8000)
    rows = [
        {"id": "long", "text": f"{edit(rng, text, 0.05)} the end", "metadata": '{"created": "2001"}'},
        {"id": "short", "text": text, "metadata": '{"created": "2010-05-01"}', "license": "CC0-1.0"},
        {"id": "copy", "text": f"{text}\n", "domain": "books", "metadata": '{"created": "2011"}'},
        {"id": "part", "text": " ".join(text.split()[:2000]), "domain": "books", "license": "CC0-1.0"},
    ]
    cases = (
        ("[]", ["long"]),
        ("[{by: date}]", ["copy"]),
        ("[{by: date, first: oldest}]", ["long"]),
        ("[{by: license, order: [CC0-1.0]}]", ["short"]),
        ("[{by: domain, order: [books]}, {by: license, order: [CC0-1.0]}]", ["copy", "part"]),
    )
    for number, (keep, stays) in enumerate(cases):
        run = publish(tmp_path / str(number), rows, "filter")
        report = bring(STAGE, run, f"dedupe.keep={keep}")
        assert [row["id"] for row in kept_documents(report, run)] == stays, keep


def test_scope_keeps_excerpts_of_other_domains(tmp_path):
    rng = random.Random(6)
    book = prose(rng, 8000)
    rows = [
        {"id": "book", "text": book, "domain": "books"},
        {"id": "web", "text": " ".join(book.split()[:2000])},
        {"id": "books", "text": " ".join(book.split()[3000:5000]), "domain": "books"},
    ]
    run = publish(tmp_path, rows, "filter")
    assert [row["id"] for row in dropped_rows(bring(STAGE, run), run)] == ["web", "books"]
    assert [row["id"] for row in dropped_rows(bring(STAGE, run, "dedupe.scope=domain"), run)] == ["books"]
    named = bring(STAGE, run, "dedupe.exact_only_domains=[books]")
    assert dropped_rows(named, run) == []


def test_other_ngrams_than_those_of_near_duplicates(tmp_path):
    rng = random.Random(7)
    book = prose(rng, 8000)
    run = publish(tmp_path, rows_of({"book": book, "part": " ".join(book.split()[:2000])}), "filter")
    for override in ("dedupe.containment.ngram_words=8", "dedupe.near=null"):
        assert [row["id"] for row in dropped_rows(bring(STAGE, run, override), run)] == ["part"]


def test_bands_that_miss_what_the_threshold_asks_for_are_refused():
    STAGE.check(recipe())
    STAGE.check(recipe("dedupe.near=null"))
    with pytest.raises(RecipeError, match=r"probability 0\.24, less than 0\.8.*128 permutations make 24 bands of 4"):
        STAGE.check(recipe("dedupe.near.threshold=0.6"))


@pytest.mark.slow
def test_a_thousand_unrelated_books_stay_and_what_is_planted_goes(tmp_path):
    rng = random.Random(8)
    vocabulary = [prose(rng, 1) for _ in range(5000)]
    weights = [1 / (rank + 1) for rank in range(5000)]
    books = {f"book{n:04d}": " ".join(rng.choices(vocabulary, weights, k=20_000)) for n in range(1000)}
    # Words that are put in are longer here than those they replace: the books get space to be the longest still.
    large = {f"large{n:03d}": " ".join(rng.choices(vocabulary, weights, k=70_000)) + " " * 100_000 for n in range(40)}
    planted = dict(plants(rng, large))
    run = publish(tmp_path, rows_of(books | large | planted), "filter")
    kept = {row["id"] for row in kept_documents(bring(STAGE, run), run)}
    assert kept == books.keys() | large.keys()
