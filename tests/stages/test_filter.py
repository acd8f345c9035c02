"""The filter stage: what stays, what goes and why, with books that balance."""

from __future__ import annotations

import json

import pytest

from lc_data.engine.task import TaskError
from lc_data.recipe.errors import RecipeError
from lc_data.stages.filter import STAGE, check_rules
from tests.small_corpus import published_bytes
from tests.stages.ingested import bring, dropped_rows, kept_documents, publish, recipe

ROWS = [
    {
        "id": "long",
        "text": "the committee of the city agreed that it would build a library and have it open by autumn " * 3,
    },
    {"id": "short", "text": "too short"},
    {
        "id": "mail",
        "text": "the committee may be written to at a.b@firm.com and that would be answered with care and in time",
    },
    {"id": "chat", "text": "ok", "domain": "chats"},
    {"id": "book", "text": "brief", "domain": "books"},
]
RULES = "filter.rules=[{rule: length, min_bytes: 20, domains: [web]}, {rule: language}]"


def test_documents_stay_or_go_with_a_reason(tmp_path):
    run = publish(tmp_path, ROWS, shard_rows=2)
    report = bring(STAGE, run, RULES)
    assert [row["id"] for row in kept_documents(report, run)] == ["long", "mail", "chat", "book"]
    (gone,) = dropped_rows(report, run)
    assert gone == {"id": "short", "reason": "length/min_bytes", "domain": "web", "bytes": 9, "detail": gone["detail"]}
    assert json.loads(gone["detail"]) == {"limit": 20, "measured": 9}
    account = report.manifest.ledger.domains["web"]
    assert (account.came_in.documents, account.kept.documents) == (3, 2)
    assert account.dropped["length/min_bytes"].bytes == 9
    languages = {row["id"]: row["language"] for row in kept_documents(report, run)}
    assert languages["long"] == "en"
    assert languages["chat"] is None, "dialogues are judged only by rules that name their domain"


def test_a_shard_that_loses_everything_leaves_no_file(tmp_path):
    run = publish(tmp_path, ROWS[:3], shard_rows=1)
    report = bring(STAGE, run, "filter.rules=[{rule: length, min_bytes: 20}]")
    assert [entry.file for entry in report.manifest.shards] == ["shards/00000.arrow", "shards/00002.arrow"]
    assert len(list((tmp_path / "filter" / "shards").iterdir())) == 2


def test_what_a_transform_rewrites_is_in_the_books(tmp_path):
    run = publish(tmp_path, ROWS)
    rules = "filter.rules=[{rule: datatrove, block: PIIFormatter, transform: pii}, {rule: length, min_bytes: 20}]"
    report = bring(STAGE, run, rules)
    added = report.manifest.ledger.domains["web"].added["pii"]
    assert (added.documents, added.bytes) == (0, len("email@example.com") - len("a.b@firm.com"))
    assert "email@example.com" in kept_documents(report, run)[1]["text"]


def test_no_rules_pass_everything_on(tmp_path):
    run = publish(tmp_path, ROWS)
    report = bring(STAGE, run)
    assert [row["text"] for row in kept_documents(report, run)] == [row["text"] for row in ROWS]
    assert not report.manifest.dropped


def test_the_same_bytes_whatever_ran_before(tmp_path):
    first, second = publish(tmp_path / "a", ROWS, shard_rows=1), publish(tmp_path / "b", ROWS, shard_rows=1)
    bring(STAGE, first, RULES)
    bring(STAGE, second, "filter.rules=[{rule: length, min_bytes: 1000}]")
    assert bring(STAGE, second, RULES).changes
    assert published_bytes(tmp_path / "a") == published_bytes(tmp_path / "b")
    assert not bring(STAGE, second, RULES).ran


def test_a_rule_that_cannot_work_is_said_before_any_work(tmp_path):
    with pytest.raises(RecipeError, match="downloads its model"):
        check_rules(recipe("filter.rules=[{rule: datatrove, block: LanguageFilter}]"))
    with pytest.raises(RecipeError, match="is not a file"):
        bring(STAGE, publish(tmp_path, ROWS), f"filter.rules=[{{rule: language, model: {tmp_path}/none.ftz}}]")


def test_an_error_names_the_documents(tmp_path):
    # What a rule notes goes into the metadata, which is no JSON here.
    run = publish(tmp_path, [{"id": "first", "text": "a"}, {"id": "torn", "text": "b" * 2000, "metadata": "{"}])
    with pytest.raises(TaskError, match="documents first to torn of "):
        bring(STAGE, run, "filter.rules=[{rule: coherence, piece_bytes: 1024}]")
