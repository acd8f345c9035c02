"""Decontamination in the filter stage: rows, books, fingerprints, faults."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lc_data.corpus.shard import read_table
from lc_data.corpus.verify_files import verify_files
from lc_data.recipe.errors import RecipeError
from lc_data.stages.filter import STAGE, check_rules
from tests.small_corpus import published_bytes
from tests.stages.ingested import bring, dropped_rows, kept_documents, publish, recipe

BENCH = {
    "input": "At which hour of the night did the ferry to the southern island leave the harbour without its captain?",
    "context": "The harbour book says that on the night of the flood three ferries lay at the pier, that two of them "
    "were untied by the current, and that the third one went out on its own with nobody at the wheel.",
    "answers": ["It left an hour before midnight, when the watchman had gone to fetch a lantern and some rope."],
}
LONG_EVAL = {
    "input": "Chapter one. In the valley of the two mills every family kept a record of the first snow of each year.",
    "instructions": ["Which of the families in the valley kept the longest record of first snow, and for how long?"],
    "outputs": ["The family of the upper mill kept it for one hundred and twelve years without a single gap."],
}
NEEDLE = {
    "needle": "\nThe best thing to carry up the white hill is a small brass bell for the goats to hear.\n",
    "retrieval_question": "What should be carried up the white hill?",
    "arg2": "a small brass bell",
}
OTHER = {"ask": "Why does the old clock above the bakery strike thirteen times on the day of the spring market?"}
FILLER = "Bread was baked before dawn and the street smelled of it until the first carts came down from the farms. "


@pytest.fixture
def evaluations(tmp_path: Path) -> str:
    """Overrides of a recipe that name one file of each layout."""
    folder = tmp_path / "evaluations"
    folder.mkdir()
    (folder / "bench.jsonl").write_text(f"{json.dumps(BENCH)}\n")
    (folder / "long.jsonl.gz").write_bytes(gzip.compress(f"\n{json.dumps(LONG_EVAL)}\n".encode(), mtime=0))
    (folder / "needles.jsonl").write_text(json.dumps(NEEDLE))
    (folder / "other.jsonl").write_text(json.dumps(OTHER))
    layouts = {"longbench": "bench.jsonl", "l_eval": "long.jsonl.gz", "needle": "needles.jsonl"}
    named = [f"{{name: {layout}, layout: {layout}, paths: [{folder}/{file}]}}" for layout, file in layouts.items()]
    named.append(f"{{name: mine, layout: fields, question: [ask], paths: [{folder}/other.*]}}")
    return f"filter.decontaminate={{context_sample: 1, evaluations: [{', '.join(named)}]}}"


ROWS = [
    {"id": "clean", "text": FILLER * 5},
    {"id": "asks", "text": f"{FILLER}{BENCH['input'].lower()} {FILLER}"},
    {"id": "answers", "text": f"汉字 {FILLER}{LONG_EVAL['outputs'][0]} {BENCH['context']}"},
    {"id": "quotes", "text": f"{BENCH['context']}\n\n{FILLER}"},
    {"id": "needle", "text": f"{FILLER} {NEEDLE['needle']} {FILLER}"},
    {"id": "clock", "domain": "chats", "text": f"{FILLER} {OTHER['ask']}"},
    {"id": "short", "text": f"{FILLER} a small brass bell {FILLER}"},
]


def hits(report, run) -> list[dict]:
    folder = run.stage("filter")
    return [row for entry in report.manifest.extra for row in read_table(folder.file(entry.file)).to_pylist()]


def test_questions_and_answers_drop_and_contexts_are_reported(tmp_path, evaluations):
    run = publish(tmp_path / "run", ROWS, shard_rows=3)
    report = bring(STAGE, run, evaluations)
    assert [row["id"] for row in kept_documents(report, run)] == ["clean", "quotes", "short"]
    gone = {row["id"]: row for row in dropped_rows(report, run)}
    assert {key: row["reason"] for key, row in gone.items()} == {
        "asks": "decontaminate/question",
        "answers": "decontaminate/answer",
        "needle": "decontaminate/answer",
        "clock": "decontaminate/question",
    }
    assert json.loads(gone["answers"]["detail"])["item"] == "long.jsonl.gz#1"
    found = {
        (row["document"], row["evaluation"], row["item"], row["field"], row["action"]) for row in hits(report, run)
    }
    assert found == {
        ("asks", "longbench", "bench.jsonl#0", "question", "dropped"),
        ("answers", "l_eval", "long.jsonl.gz#1", "answer", "dropped"),
        ("answers", "longbench", "bench.jsonl#0", "context", "dropped"),
        ("quotes", "longbench", "bench.jsonl#0", "context", "reported"),
        ("needle", "needle", "needles.jsonl#0", "answer", "dropped"),
        ("clock", "mine", "other.jsonl#0", "question", "dropped"),
    }
    texts = {row["id"]: row["text"].encode() for row in ROWS}
    spans = {
        (row["document"], row["field"]): texts[row["document"]][row["span_offset"] :][: row["span_bytes"]].decode()
        for row in hits(report, run)
    }
    assert spans["answers", "answer"] == LONG_EVAL["outputs"][0].rstrip(".")
    assert spans["quotes", "context"] == BENCH["context"].rstrip(".")


def test_the_books_balance_and_the_manifest_says_what_was_looked_for(tmp_path, evaluations):
    run = publish(tmp_path / "run", ROWS, shard_rows=3)
    report = bring(STAGE, run, evaluations)
    assert report.manifest.ledger.domains["web"].dropped["decontaminate/answer"].documents == 2
    facts = report.manifest.facts["decontaminate"]
    assert (facts["items"], facts["too_short"]) == (4, 1), "arg2 is too short to be looked for"
    assert facts["documents"] == {
        "l_eval/answer": 1,
        "longbench/context": 2,
        "longbench/question": 1,
        "mine/question": 1,
        "needle/answer": 1,
    }
    assert list(verify_files(run.stage("filter"), report.manifest)) == []


def test_what_rules_drop_is_not_looked_at_and_what_they_write_is(tmp_path, evaluations):
    run = publish(tmp_path / "run", ROWS)
    rules = "filter.rules=[{rule: length, max_bytes: 200}]"
    report = bring(STAGE, run, evaluations, rules)
    assert {row["document"] for row in hits(report, run)} == {"clock"}, "rules leave dialogues alone"


def test_other_evaluations_make_the_stage_run_again_and_leave_nothing(tmp_path, evaluations):
    run = publish(tmp_path / "run", ROWS, shard_rows=2)
    assert bring(STAGE, run, evaluations).ran
    assert not bring(STAGE, run, evaluations).ran
    (tmp_path / "evaluations" / "needles.jsonl").write_text(json.dumps(NEEDLE | {"needle": "nothing at all"}))
    report = bring(STAGE, run, evaluations)
    assert any("needles.jsonl" in change for change in report.changes)
    assert "needle" in {row["id"] for row in kept_documents(report, run)}
    fresh = publish(tmp_path / "fresh", ROWS, shard_rows=2)
    bring(STAGE, fresh, evaluations)
    assert published_bytes(tmp_path / "run") == published_bytes(tmp_path / "fresh")
    bring(STAGE, run)
    assert not list((tmp_path / "run" / "filter").glob("contamination/*"))


def test_a_gzip_band_keeps_the_hits(tmp_path, evaluations):
    run = publish(tmp_path / "run", ROWS, shard_rows=3)
    report = bring(STAGE, run, evaluations, "filter.gzip_band={min_documents: 1, edges_bytes: [100000]}")
    assert {row["document"] for row in hits(report, run)} >= {"asks", "quotes"}
    assert list(verify_files(run.stage("filter"), report.manifest)) == []


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("none.jsonl", None, "leads to no file"),
        ("a.jsonl", '{"inputs": "x"}', r"a.jsonl#0: missing field: 'input'; did you mean 'inputs'"),
        ("a.jsonl", "{", "a.jsonl#0: broken JSON"),
        ("a.jsonl", '{"input": {"a": 1}, "context": "", "answers": []}', "'input' holds dict"),
    ],
)
def test_files_of_another_layout_are_faults_of_the_recipe(tmp_path, file, content, message):
    if content is not None:
        (tmp_path / file).write_text(content)
    section = f"filter.decontaminate={{evaluations: [{{name: e, layout: longbench, paths: [{tmp_path}/{file}]}}]}}"
    with pytest.raises(RecipeError, match=message):
        check_rules(recipe(section))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{evaluations: [{name: e, layout: fields, paths: [x]}]}", "needs the names of fields"),
        ("{evaluations: [{name: e, layout: needle, answer: [a], paths: [x]}]}", "has its own field names"),
        ("{evaluations: [{name: e, layout: needle, paths: [x]}], min_words: 14}", "cannot exceed ngram_words"),
    ],
)
def test_sections_that_mean_nothing_are_rejected(section, message):
    with pytest.raises(RecipeError, match=message):
        recipe(f"filter.decontaminate={section}")
