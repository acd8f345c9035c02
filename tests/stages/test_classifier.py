"""Classifiers trained in the filter stage: chosen examples, facts, the same bytes in any topology."""

from __future__ import annotations

import json
import random

import pytest

from lc_data.corpus.verify_files import verify_files
from lc_data.engine.backend import DeferredBackend
from lc_data.engine.task import TaskError
from lc_data.quality.classifier import load_classifier
from lc_data.recipe.errors import RecipeError
from lc_data.stages.filter import STAGE, check_rules
from tests.quality.test_classifier import BAD, GOOD, lines_of
from tests.small_corpus import published_bytes
from tests.stages.ingested import bring, dropped_rows, kept_documents, publish, recipe
from tests.stages.test_dedupe import ShuffledBackend
from tests.stages.test_filter_long import StoppingBackend

TRAIN = "train: {positive: {domains: [books]}, negative: {domains: [web]}, max_documents: 60, word_ngrams: 2}"
RULES = f"filter.rules=[{{rule: classifier, name: taste, {TRAIN}, min_score: 0.5, domains: [web, books]}}]"
PARETO = f"filter.rules=[{{rule: classifier, {TRAIN}, sample: pareto}}, {{rule: length, min_bytes: 5}}]"


def rows_of(count: int = 80) -> list[dict]:
    rows = [{"id": f"g{n}", "text": text, "domain": "books"} for n, text in enumerate(lines_of(GOOD, count, 1))]
    rows += [{"id": f"b{n}", "text": text, "domain": "web"} for n, text in enumerate(lines_of(BAD, count, 2))]
    rows += [{"id": f"c{n}", "text": text, "domain": "chats"} for n, text in enumerate(lines_of(BAD, 5, 3))]
    rows += [{"id": "pearl", "text": " ".join(lines_of(GOOD, 3, 7))}, {"id": "blank", "text": " ", "domain": "books"}]
    random.Random(0).shuffle(rows)
    return rows


def test_a_classifier_is_trained_published_measured_and_used(tmp_path):
    run = publish(tmp_path, rows_of(), shard_rows=30)
    report = bring(STAGE, run, RULES)
    (entry,) = report.manifest.extra
    assert entry.file == "classifiers/taste.bin"
    facts = report.manifest.facts["classifiers"]["taste"]
    assert facts["documents"] == {"positive": 60, "negative": 60}
    assert facts["held_out"]["documents"] == 12
    assert facts["held_out"]["accuracy"] > 0.9
    assert facts["held_out"]["auc"] > 0.95
    kept = {row["id"]: row for row in kept_documents(report, run)}
    gone = {row["id"]: row["reason"] for row in dropped_rows(report, run)}
    assert len({name for name in gone if name[0] == "b"}) > 75
    assert set(gone.values()) == {"taste/low_score"}
    assert {"pearl", "blank", *(f"c{n}" for n in range(5))} <= set(kept)
    assert json.loads(kept["pearl"]["metadata"])["lc_data"]["taste"] > 0.9
    assert kept["c0"]["metadata"] is None, "dialogues are judged only by rules that name their domain"
    assert list(verify_files(run.stage("filter"), report.manifest)) == []
    scorer = load_classifier(str(tmp_path / "filter" / "classifiers" / "taste.bin"))
    assert scorer.score(lines_of(GOOD, 1, 9)[0])["positive"] > 0.5


def test_a_published_model_serves_another_recipe_and_gives_the_same_scores(tmp_path):
    run, other = (publish(tmp_path / name, rows_of(), shard_rows=50) for name in "ab")
    first = bring(STAGE, run, RULES)
    model = tmp_path / "a" / "filter" / "classifiers" / "taste.bin"
    rule = f"filter.rules=[{{rule: classifier, name: taste, model: {model}, min_score: 0.5, domains: [web, books]}}]"
    second = bring(STAGE, other, rule)
    assert kept_documents(first, run) == kept_documents(second, other)
    assert str(model) in second.manifest.config["judges"]


@pytest.mark.parametrize("rules", [RULES, PARETO])
def test_the_same_bytes_in_any_order_of_tasks_and_after_a_stop(tmp_path, rules):
    for name, backend in (("a", None), ("b", ShuffledBackend(1))):
        bring(STAGE, publish(tmp_path / name, rows_of(), shard_rows=40), rules, backend=backend)
    for name, tasks in (("c", 3), ("d", 10), ("e", 12)):
        run = publish(tmp_path / name, rows_of(), shard_rows=40)
        with pytest.raises(KeyboardInterrupt):
            bring(STAGE, run, rules, backend=StoppingBackend(tasks))
        bring(STAGE, run, rules)
    whole = published_bytes(tmp_path / "a")
    assert "filter/classifiers/taste.bin" in whole or "filter/classifiers/classifier.bin" in whole
    assert all(published_bytes(tmp_path / name) == whole for name in "bcde")


def test_the_examples_do_not_depend_on_the_shards(tmp_path):
    for name, shard_rows in (("a", 7), ("b", 1000)):
        bring(STAGE, publish(tmp_path / name, rows_of(), shard_rows=shard_rows), RULES)
    model = "filter/classifiers/taste.bin"
    assert (tmp_path / "a" / model).read_bytes() == (tmp_path / "b" / model).read_bytes()


def test_two_ray_workers_publish_the_bytes_of_the_serial_run(tmp_path):
    serial, ray = (publish(tmp_path / name, rows_of(), shard_rows=50) for name in "ab")
    bring(STAGE, serial, RULES)
    engine = "engine={backend: ray, workers: 2}"
    with DeferredBackend(recipe(engine).engine) as backend:
        bring(STAGE, ray, RULES, engine, backend=backend)
    assert published_bytes(tmp_path / "a") == published_bytes(tmp_path / "b")


def test_examples_of_their_own_files_count_for_the_fingerprint(tmp_path):
    files = {"good": lines_of(GOOD, 40, 4), "bad": lines_of(BAD, 40, 5)}
    for name, lines in files.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    train = f"train: {{positive: {{paths: [{tmp_path}/good.jsonl]}}, negative: {{paths: ['{tmp_path}/bad.*']}}}}"
    rules = f"filter.rules=[{{rule: classifier, {train}, min_score: 0.5}}]"
    run = publish(tmp_path / "run", rows_of(20))
    assert bring(STAGE, run, rules).manifest.facts["classifiers"]["classifier"]["documents"]["positive"] == 40
    assert not bring(STAGE, run, rules).ran
    (tmp_path / "good.jsonl").write_text("".join(json.dumps({"text": x}) + "\n" for x in lines_of(GOOD, 41, 4)))
    assert bring(STAGE, run, rules).manifest.facts["classifiers"]["classifier"]["documents"]["positive"] == 41
    bring(STAGE, run)
    assert not (tmp_path / "run" / "filter" / "classifiers").exists()


def test_what_a_classifier_lacks_is_said(tmp_path):
    train = "train: {positive: {paths: [/nowhere/*.jsonl]}, negative: {domains: [web]}}"
    with pytest.raises(RecipeError, match="matches nothing"):
        check_rules(recipe(f"filter.rules=[{{rule: classifier, {train}}}]"))
    train = "train: {positive: {domains: [book]}, negative: {domains: [web]}}"
    with pytest.raises(RecipeError, match=r"positive.domains: no source has the domain 'book'; did you mean 'books'"):
        check_rules(recipe(f"filter.rules=[{{rule: classifier, {train}}}]"))
    with pytest.raises(TaskError, match="classifier taste: positive has 5 documents"):
        bring(STAGE, publish(tmp_path, rows_of(5)), RULES)
