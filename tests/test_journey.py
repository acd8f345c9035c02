"""From raw documents to a report on one process: every step runs once, and never twice."""

from __future__ import annotations

import json

from lc_data.corpus.run import STEPS, RunFolder
from lc_data.corpus.verify import verify_run
from lc_data.journey import travel
from tests.small_corpus import small_recipe, write_small_corpus

TRAINING = (
    "pretrain={batch_tokens: 4096, steps: 6, optimizer: {peak_learning_rate: 0.01}, "
    "model: {shape: {hidden_size: 32, layers: 1, heads: 2, intermediate_size: 64}}}",
    "sft={batch_tokens: 1024, steps: 2}",
    "evaluation={first_bucket_tokens: 128, suites: {names: [needle], max_seq_len: 700, limit: 2, "
    "needle: {lengths: [650], kinds: [single], depths: [0, 100], repeats: 1}}}",
)


def test_the_whole_way_and_again(tmp_path):
    write_small_corpus(tmp_path / "corpus")
    recipe, run = small_recipe(tmp_path / "corpus", *TRAINING), RunFolder(str(tmp_path / "run"))
    first = list(travel(recipe, run, "report"))
    assert [step.name for step in first] == [name for name in STEPS if name != "augment"]  # which nothing asks for
    assert all(step.ran for step in first)
    result = json.loads((tmp_path / "run" / "pretrain" / "result.json").read_text())
    assert result["last_loss"] < result["first_loss"]
    report = json.loads((tmp_path / "run" / "report" / "report.json").read_text())
    assert {(one["checkpoint"], one["suite"]) for one in report["suites"]} == {
        ("pretrain", "needle"),
        ("sft", "needle"),
    }
    assert "Scores of suites of tasks" in (tmp_path / "run" / "report" / "index.html").read_text()
    assert not verify_run(run.uri)
    again = list(travel(recipe, run, "report"))
    assert not any(step.ran for step in again)


def test_steps_without_a_section_are_left_out(tmp_path):
    write_small_corpus(tmp_path / "corpus")
    steps = travel(small_recipe(tmp_path / "corpus"), RunFolder(str(tmp_path / "run")), "report")
    assert [step.name for step in steps] == ["ingest", "filter", "dedupe", "bucket", "balance", "pack", "report"]
