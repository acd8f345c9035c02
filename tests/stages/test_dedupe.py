"""The dedupe stage on planted duplicates: all found, nothing else touched, the same bytes in any order of tasks."""

from __future__ import annotations

import json
import random
from itertools import combinations

import pytest

from lc_data.stages.dedupe import STAGE
from lc_data.stages.dedupe.losses import WipeOutError
from tests.dedup.prose import edit, han, ngram_set, prose, set_jaccard
from tests.small_corpus import published_bytes
from tests.stages.ingested import bring, dropped_rows, kept_documents, publish

NEAR_ONLY = "dedupe.containment=null"


class ShuffledBackend:
    """Runs the tasks of each phase in a random order."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def run(self, jobs):
        from lc_data.engine.task import perform

        jobs = list(jobs)
        self._rng.shuffle(jobs)
        for job in jobs:
            yield job, perform(job)


def planted(seed: int = 0) -> list[dict]:
    """Unrelated documents, and for some of them copies edited a little or a lot."""
    rng = random.Random(seed)
    originals = [prose(rng, rng.choice([60, 200, 600])) for _ in range(90)] + [han(rng, 300) for _ in range(10)]
    texts = list(originals)
    for original in originals[:60]:
        texts += [edit(rng, original, rate) for rate in rng.sample([0.002, 0.005, 0.01, 0.05, 0.1], 2)]
    texts += [original[:-12] for original in originals[90:]]
    rows = [{"id": f"d{number:03d}", "text": text} for number, text in enumerate(texts)]
    rng.shuffle(rows)
    return rows


@pytest.fixture(scope="module")
def deduped(tmp_path_factory):
    rows = planted()
    run = publish(tmp_path_factory.mktemp("dedupe"), rows, "filter")
    report = bring(STAGE, run, NEAR_ONLY)
    return rows, dropped_rows(report, run), kept_documents(report, run), report


def test_planted_near_duplicates_are_found_and_nothing_else_goes(deduped):
    rows, dropped, _, _ = deduped
    texts = {row["id"]: row["text"] for row in rows}
    sets = {document: ngram_set(text) for document, text in texts.items()}
    alike = [pair for pair in combinations(texts, 2) if set_jaccard(*map(sets.get, pair)) >= 0.8]
    assert len(alike) > 60
    gone = {row["id"]: json.loads(row["detail"]) for row in dropped}
    missed = [pair for pair in alike if not gone.keys() & set(pair)]
    assert len(missed) <= len(alike) // 100, missed
    for document, detail in gone.items():
        value = set_jaccard(sets[document], sets[detail["keeper"]])
        assert value >= 0.8
        assert detail["jaccard"] == pytest.approx(value, abs=1e-6)


def test_every_keeper_stays_and_is_no_shorter(deduped):
    rows, dropped, kept, _ = deduped
    sizes = {row["id"]: len(row["text"].encode()) for row in rows}
    staying = {row["id"] for row in kept}
    for row in dropped:
        keeper = json.loads(row["detail"])["keeper"]
        assert keeper in staying
        assert (-sizes[keeper], keeper) < (-sizes[row["id"]], row["id"])


def test_the_books_and_the_order_are_right(deduped):
    rows, dropped, kept, report = deduped
    gone = {row["id"] for row in dropped}
    assert [row["id"] for row in kept] == [row["id"] for row in rows if row["id"] not in gone]
    account = report.manifest.ledger.domains["web"]
    assert account.came_in.documents == len(rows)
    for reason in ("exact_duplicate", "near_duplicate"):
        assert account.dropped[reason].documents == sum(row["reason"] == reason for row in dropped) > 0
    facts = report.manifest.facts
    assert facts["candidate_pairs"] >= facts["likely_pairs"] >= facts["verified_pairs"] > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_of_tasks_gives_the_same_bytes(tmp_path, deduped, seed, monkeypatch):
    # Several partitions and several verifying tasks, so that there is an order to shuffle.
    monkeypatch.setattr("lc_data.stages.dedupe.bounds.PARTITION_KEYS", 500)
    monkeypatch.setattr("lc_data.stages.dedupe.bounds.VERIFY_BYTES", 20_000)
    run = publish(tmp_path, deduped[0], "filter")
    report = bring(STAGE, run, NEAR_ONLY, backend=ShuffledBackend(seed))
    assert dropped_rows(report, run) == deduped[1]
    again = publish(tmp_path / "again", deduped[0], "filter")
    bring(STAGE, again, NEAR_ONLY, backend=ShuffledBackend(seed + 10))
    assert {k: v for k, v in published_bytes(tmp_path).items() if "again" not in k} == published_bytes(
        tmp_path / "again"
    )


def test_copies_go_whatever_their_white_space_and_length(tmp_path):
    rows = [
        {"id": "b", "text": "two words"},
        {"id": "a", "text": " two\n\nwords\n"},
        {"id": "c", "text": "two words"},
        {"id": "d", "text": "Two words"},
    ]
    run = publish(tmp_path, rows, "filter")
    report = bring(STAGE, run)
    assert {row["id"]: (row["reason"], json.loads(row["detail"])["keeper"]) for row in dropped_rows(report, run)} == {
        "b": ("exact_duplicate", "a"),
        "c": ("exact_duplicate", "a"),
    }


def test_the_copy_of_a_near_duplicate_names_the_keeper_that_stays(tmp_path):
    text = prose(random.Random(4), 300)
    rows = [{"id": "whole", "text": f"{text} the end"}, {"id": "one", "text": text}, {"id": "two", "text": text}]
    run = publish(tmp_path, rows, "filter")
    report = bring(STAGE, run)
    details = {row["id"]: json.loads(row["detail"]) for row in dropped_rows(report, run)}
    assert details["one"]["keeper"] == details["two"]["keeper"] == "whole"
    assert details["two"]["same_text_as"] == "one"
    assert details["two"]["jaccard"] == details["one"]["jaccard"] < 1


def test_unrelated_long_documents_stay(tmp_path):
    # One vocabulary and much the same character n-grams, as books of one language have.
    rng = random.Random(5)
    vocabulary = [prose(rng, 1) for _ in range(2000)]
    weights = [1 / (rank + 1) for rank in range(2000)]
    rows = [{"id": f"book{n}", "text": " ".join(rng.choices(vocabulary, weights, k=20_000))} for n in range(30)]
    run = publish(tmp_path, rows, "filter")
    assert len(kept_documents(bring(STAGE, run), run)) == 30


def test_scope_keeps_domains_apart_and_dialogues_always_are(tmp_path):
    text = prose(random.Random(6), 100)
    near = f"{text} more"
    rows = [
        {"id": "w", "text": text, "domain": "web"},
        {"id": "x", "text": text, "domain": "books"},
        {"id": "c1", "text": text, "domain": "chats"},
        {"id": "c2", "text": text, "domain": "chats"},
        {"id": "c3", "text": near, "domain": "chats"},
    ]
    across = bring(STAGE, run := publish(tmp_path / "corpus", rows, "filter"))
    assert [row["id"] for row in dropped_rows(across, run)] == ["x", "c2"]
    within = bring(STAGE, run := publish(tmp_path / "domain", rows, "filter"), "dedupe.scope=domain")
    assert [row["id"] for row in dropped_rows(within, run)] == ["c2"]


def test_near_duplicates_stay_where_only_copies_are_to_go(tmp_path):
    text = prose(random.Random(8), 200)
    rows = [{"id": "a", "text": text + " more"}, {"id": "b", "text": text}, {"id": "c", "text": text}]
    copies_only = "dedupe={near: null, containment: null}"
    for name, override in (("null", copies_only), ("named", "dedupe.exact_only_domains=[web]")):
        report = bring(STAGE, run := publish(tmp_path / name, rows, "filter"), override)
        assert [row["id"] for row in dropped_rows(report, run)] == ["c"]
    neither = bring(STAGE, run := publish(tmp_path / "neither", rows, "filter"), copies_only, "dedupe.exact=false")
    assert len(kept_documents(neither, run)) == 3


def test_a_source_that_is_wiped_out_stops_the_stage_with_examples(tmp_path):
    rows = [{"id": f"d{n:02d}", "text": f"the same words in every one of these documents {n % 3}"} for n in range(30)]
    run = publish(tmp_path, rows, "filter")
    with pytest.raises(WipeOutError, match=r"domain 'web'.* loses 27 of 30 documents, more than 50%"):
        bring(STAGE, run)
    assert not run.stage("dedupe").is_published()
    assert len(kept_documents(bring(STAGE, run, "dedupe.max_loss_by_domain={web: 0.95}"), run)) == 3


def test_an_empty_corpus_passes(tmp_path):
    run = publish(tmp_path, [], "filter")
    report = bring(STAGE, run)
    assert report.manifest.shards == []
    assert report.manifest.ledger.received().documents == 0
