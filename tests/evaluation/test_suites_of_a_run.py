"""The suites of a recipe: every checkpoint of the run is put to them, and what was answered is not asked again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from lc_data.corpus.run import RunFolder
from lc_data.evaluation.evaluate import evaluate_run
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.evaluation import SuitesSection
from lc_data.recipe.recipe import Recipe
from lc_data.recipe.training import EvaluationSection
from lc_data.reports.collect.suites import read_suites
from tests.evaluation.test_suites import LONGBENCH_ROW, write_rows
from tests.evaluation.tiny_checkpoint import END, write_checkpoint, write_tokenizer
from tests.streaming.packed_run import Document, PackedRun, next_fit

GRID = {"lengths": [600], "depths": [0, 100], "repeats": 1, "kinds": ["single"]}
SUITES = {"names": ["needle", "longbench"], "max_seq_len": 700, "needle": GRID}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with long held-out documents and two exported checkpoints."""
    folder = tmp_path / "run"
    tokenizer = write_tokenizer(folder / "bucket")
    text = "Nothing much happened on that day, and then another day came. " * 15
    documents = [Document(f"book-{n}", "books", tokenizer.encode(f"Chapter {n}. {text}").ids) for n in range(3)]
    run = PackedRun(folder, documents, vocab_size=tokenizer.get_vocab_size(), eos_id=tokenizer.token_to_id(END))
    run.write_bucket()
    write_tokenizer(folder / "bucket")
    run.write_plan("held_out", 1024, next_fit(run.lengths, 1024, packs_per_block=2))
    for kind in ("pretrain", "sft"):
        write_checkpoint(folder / kind / "export", 2048)
    write_rows(tmp_path / "data" / "hotpotqa.jsonl", LONGBENCH_ROW)
    return folder


def recipe(run: Path, **changes: object) -> Recipe:
    suites = {**SUITES, "data": str(run.parent / "data"), **changes}
    return Recipe.model_validate(
        {
            "name": "small",
            "sources": [{"kind": "jsonl", "name": "books", "domain": "books", "paths": ["books.jsonl"]}],
            "tokenizer": {"path": "tokenizer.json"},
            "evaluation": {"max_documents": 1, "suites": suites},
        }
    )


def test_every_checkpoint_is_asked_once(run: Path) -> None:
    first = evaluate_run(recipe(run), str(run))
    assert first.ran
    assert {name: result.asked for name, result in first.suites.items()} == {"pretrain": 3, "sft": 3}
    assert "pretrain: needle " in first.summary
    assert "longbench" in first.summary
    rows = [json.loads(line) for line in (run / "evaluate/sft/needle/needle_single_en.jsonl").open()]
    assert [row["depth"] for row in rows] == [0, 100]
    shown = read_suites(RunFolder(str(run)))
    assert [(one.checkpoint, one.suite) for one in shown] == [
        ("pretrain", "needle"), ("pretrain", "longbench"), ("sft", "needle"), ("sft", "longbench"),
    ]  # fmt: skip
    assert shown[0].grids["needle_single_en"].lengths == [600]

    again = evaluate_run(recipe(run), str(run))
    assert not again.ran
    assert [result.asked for result in again.suites.values()] == [0, 0]


def test_a_stopped_evaluation_goes_on(run: Path) -> None:
    evaluate_run(recipe(run), str(run))
    path = run / "evaluate/sft/needle/needle_single_en.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\n") + 9])
    (run / "evaluate/sft/longbench/hotpotqa.jsonl").unlink()
    again = evaluate_run(recipe(run), str(run))
    assert [result.asked for result in again.suites.values()] == [0, 2]
    assert path.read_bytes() == whole


def test_other_rules_score_again_and_ask_nothing(run: Path) -> None:
    evaluate_run(recipe(run), str(run))
    other = evaluate_run(recipe(run, missing_as_zero=True), str(run))
    assert other.ran
    assert [result.asked for result in other.suites.values()] == [0, 0]


def test_suites_do_not_decide_the_loss_by_position(run: Path) -> None:
    first = evaluate_run(recipe(run), str(run))
    more = recipe(run)
    without = more.model_copy(update={"evaluation": more.evaluation.model_copy(update={"suites": None})})
    second = evaluate_run(without, str(run))
    assert not second.ran
    assert second.results == first.results
    assert second.suites == {}


def test_answers_of_another_checkpoint_are_put_aside(run: Path) -> None:
    evaluate_run(recipe(run), str(run))
    write_rows(run / "evaluate/pretrain/longbench/hotpotqa.jsonl", {"_id": "f00", "pred": "Mira", "answers": ["Mira"]})
    config = run / "pretrain/export/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "rope_theta": 5e5}))
    only = recipe(run, names=["needle"])
    after = evaluate_run(only, str(run))
    assert {name: result.asked for name, result in after.suites.items()} == {"pretrain": 2, "sft": 0}
    assert {score.suite for score in after.suites["pretrain"].scores.suites} == {"needle"}
    assert {score.suite for score in after.suites["sft"].scores.suites} == {"needle", "longbench"}
    aside = [path.parent.name.split(".") for path in (run / "evaluate/pretrain").glob("*.*/settings.json")]
    assert sorted(name for name, _ in aside) == ["longbench", "needle"]
    assert not evaluate_run(only, str(run)).ran


def test_the_key_is_strict() -> None:
    with pytest.raises(ValidationError, match="names"):
        EvaluationSection.model_validate({"suites": {}})
    with pytest.raises(ValidationError, match="Extra inputs"):
        EvaluationSection.model_validate({"suites": {"names": ["needle"], "length": 3}})
    with pytest.raises(ValidationError, match="twice"):
        SuitesSection(names=("needle", "needle"))


def test_what_no_model_could_be_put_to_is_said_before_the_first_stage(tmp_path: Path) -> None:
    from lc_data.journey import travel
    from tests.small_corpus import small_recipe

    wrong = small_recipe(
        tmp_path / "none",
        "pretrain={batch_tokens: 4096, model: {shape: {hidden_size: 32, layers: 1, heads: 2, intermediate_size: 64}}}",
        "evaluation={suites: {names: [longbench], data: nowhere}}",
    )
    with pytest.raises(RecipeError, match="nowhere is not a folder"):
        next(travel(wrong, RunFolder(str(tmp_path / "run")), "evaluate"))
    assert not (tmp_path / "run").exists()
