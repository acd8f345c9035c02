"""The engine on a toy stage: resume, skip, rerun, books, and what a failure says."""

from __future__ import annotations

import json

import pytest

from lc_data.corpus import storage
from lc_data.corpus.ledger import Ledger, LedgerError
from lc_data.corpus.run import RunFolder
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import Outcome, Stage, StageContext, bring_up_to_date
from lc_data.engine.task import TaskError
from lc_data.recipe.load import parse_recipe
from tests.engine.toy import RECIPE, toy_stage


@pytest.fixture
def run(tmp_path):
    return RunFolder(str(tmp_path / "run"))


def test_a_second_call_does_nothing(run, tmp_path):
    stage = toy_stage(tmp_path / "log")
    first = bring_up_to_date(stage, parse_recipe(RECIPE), run, SerialBackend())
    second = bring_up_to_date(stage, parse_recipe(RECIPE), run, SerialBackend())
    assert first.ran
    assert not second.ran
    assert second.manifest == first.manifest
    assert (tmp_path / "log").read_text() == "abcd"
    assert not storage.exists(run.stage("ingest").tasks_uri)


def test_a_failure_names_its_place_and_a_resume_does_only_what_is_missing(run, tmp_path):
    with pytest.raises(TaskError, match=r"write task c: ValueError: cannot be\n  while working on document c-1"):
        bring_up_to_date(toy_stage(tmp_path / "log", fails="c"), parse_recipe(RECIPE), run, SerialBackend())
    assert not run.stage("ingest").is_published()
    report = bring_up_to_date(toy_stage(tmp_path / "log"), parse_recipe(RECIPE), run, SerialBackend())
    assert (tmp_path / "log").read_text() == "abc" + "cd"
    fresh = RunFolder(str(tmp_path / "fresh"))
    bring_up_to_date(toy_stage(tmp_path / "log2"), parse_recipe(RECIPE), fresh, SerialBackend())
    resumed, whole = (storage.read_bytes(r.stage("ingest").manifest_uri) for r in (run, fresh))
    assert resumed == whole
    assert report.ran


def test_a_changed_recipe_reruns_and_says_what_changed(run, tmp_path):
    bring_up_to_date(toy_stage(tmp_path / "log"), parse_recipe(RECIPE), run, SerialBackend())
    changed = parse_recipe(RECIPE, ["pack.seq_len=4096"])
    report = bring_up_to_date(toy_stage(tmp_path / "log", letters="xy"), changed, run, SerialBackend())
    assert report.ran
    assert report.changes == ['letters: "abcd" -> "xy"', "pack: 32768 -> 4096"]
    assert storage.list_files(run.stage("ingest").file("shards")) == ["x.arrow", "y.arrow"]


def test_a_manifest_that_cannot_be_read_is_made_again_and_said(run, tmp_path):
    recipe, stage = parse_recipe(RECIPE), toy_stage(tmp_path / "log")
    first = bring_up_to_date(stage, recipe, run, SerialBackend())
    storage.write_atomic(run.stage("ingest").manifest_uri, b"{}")
    again = bring_up_to_date(stage, recipe, run, SerialBackend())
    assert again.manifest == first.manifest
    assert again.changes[0].startswith("its manifest could not be used")


def test_a_lost_document_fails_the_stage(run, tmp_path):
    stage = toy_stage(tmp_path / "log")

    def lossy(context: StageContext) -> Outcome:
        outcome = stage.work(context)
        return Outcome(ledger=outcome.ledger, shards=outcome.shards[1:])

    with pytest.raises(LedgerError, match="the ledger kept"):
        bring_up_to_date(Stage("ingest", 1, (), stage.config, lossy), parse_recipe(RECIPE), run, SerialBackend())
    assert not run.stage("ingest").is_published()


def test_what_comes_in_must_be_what_upstream_passed_on(run, tmp_path):
    bring_up_to_date(toy_stage(tmp_path / "log"), parse_recipe(RECIPE), run, SerialBackend())
    partial = toy_stage(tmp_path / "log", letters="ab")
    downstream = Stage("filter", 1, ("ingest",), partial.config, partial.work)
    with pytest.raises(LedgerError, match="ingest passed on"):
        bring_up_to_date(downstream, parse_recipe(RECIPE), run, SerialBackend())


def test_the_manifest_holds_no_time_and_timing_stands_beside_it(run, tmp_path):
    bring_up_to_date(toy_stage(tmp_path / "log"), parse_recipe(RECIPE), run, SerialBackend())
    timing = json.loads(storage.read_bytes(run.stage("ingest").file("timing.json")))
    assert timing["phases"].keys() == {"write"}
    assert b"seconds" not in storage.read_bytes(run.stage("ingest").manifest_uri)


def test_an_undeclared_upstream_is_refused(run, tmp_path):
    def work(context: StageContext) -> Outcome:
        context.upstream("pack")
        return Outcome(ledger=Ledger())

    with pytest.raises(ValueError, match="does not declare 'pack'"):
        bring_up_to_date(Stage("ingest", 1, (), lambda recipe: {}, work), parse_recipe(RECIPE), run, SerialBackend())


def test_two_writers_of_one_run_exclude_each_other(tmp_path):
    from lc_data.corpus.lock import RunLockedError, lock_run

    with lock_run(str(tmp_path)), pytest.raises(RunLockedError, match="another process"), lock_run(str(tmp_path)):
        pass
    with lock_run(str(tmp_path)):
        pass
