"""The whole chain on a small corpus: same bytes however it runs, nothing lost, reruns exactly what changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lc_data.corpus.run import OPTIONAL_STAGES, STAGES, RunFolder
from lc_data.stages.chain import run_chain
from tests.small_corpus import published_bytes, small_recipe, write_small_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_small_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def serial(corpus, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "serial"
    reports = list(run_chain(small_recipe(corpus), RunFolder(str(run)), "pack"))
    return run, reports


def test_every_stage_publishes_and_its_books_balance(serial):
    run, reports = serial
    assert [report.stage for report in reports] == [name for name in STAGES if name not in OPTIONAL_STAGES]
    for report in reports:
        report.manifest.ledger.balance()
    assert not list(run.rglob("*.tmp-*"))
    assert not list(run.rglob("tasks"))


def test_what_was_planted_is_found_where_it_belongs(serial):
    ledgers = {report.stage: report.manifest.ledger for report in serial[1]}
    quarantined = {
        reason: count.documents
        for account in ledgers["ingest"].domains.values()
        for reason, count in account.quarantined.items()
    }
    assert sum(quarantined.values()) == 4, quarantined
    dropped = {
        reason: count.documents
        for account in ledgers["dedupe"].domains.values()
        for reason, count in account.dropped.items()
    }
    assert sum(dropped.values()) >= 2, dropped
    assert ledgers["filter"].domains["web"].dropped
    assert set(ledgers["pack"].domains) >= {"books", "web", "chinese", "chats"}


def test_a_second_run_does_nothing(serial, corpus):
    run, _ = serial
    before = published_bytes(run)
    reports = list(run_chain(small_recipe(corpus), RunFolder(str(run)), "pack"))
    assert not any(report.ran for report in reports)
    assert published_bytes(run) == before


def test_two_ray_workers_publish_the_bytes_of_the_serial_run(serial, corpus, tmp_path):
    pytest.importorskip("ray")
    recipe = small_recipe(corpus, "engine={backend: ray, workers: 2}")
    list(run_chain(recipe, RunFolder(str(tmp_path / "ray")), "pack"))
    assert published_bytes(tmp_path / "ray") == published_bytes(serial[0])


def test_a_change_reruns_what_depends_on_it_and_nothing_else(corpus, tmp_path):
    run = RunFolder(str(tmp_path / "run"))
    list(run_chain(small_recipe(corpus), run, "pack"))
    reports = list(run_chain(small_recipe(corpus, "mixture.weights={books: 6, web: 2, chinese: 2}"), run, "pack"))
    assert [report.stage for report in reports if report.ran] == ["balance", "pack"]
    balance = next(report for report in reports if report.stage == "balance")
    assert any("weights" in change for change in balance.changes)
    fresh = Path(tmp_path / "fresh")
    list(
        run_chain(small_recipe(corpus, "mixture.weights={books: 6, web: 2, chinese: 2}"), RunFolder(str(fresh)), "pack")
    )
    assert published_bytes(fresh) == published_bytes(Path(run.uri))


def test_the_resolved_recipe_is_saved_with_the_run(serial, corpus):
    from lc_data.recipe.load import load_recipe

    assert load_recipe(serial[0] / "recipe.yaml") == small_recipe(corpus)


def test_manifests_name_no_time_host_or_folder_of_the_run(serial):
    run, _ = serial
    for manifest in run.glob("*/manifest.json"):
        text = manifest.read_text()
        assert str(run) not in text
        assert "seconds" not in json.loads(text)
