"""A checkpoint put to suites from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lc_data.cli import app
from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.recipe.errors import RecipeError
from tests.evaluation.test_suites import LEVAL_ROW, LONGBENCH_ROW, write_rows
from tests.evaluation.tiny_checkpoint import END, write_checkpoint, write_tokenizer
from tests.streaming.packed_run import Document, PackedRun, next_fit


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suites")
    write_checkpoint(folder / "model")
    rows = [{**LONGBENCH_ROW, "_id": str(n), "context": "gate " * 30 * n} for n in range(1, 4)]
    write_rows(folder / "data" / "hotpotqa.jsonl", *rows)
    write_rows(folder / "data" / "tpo.jsonl", LEVAL_ROW)
    return folder


@pytest.fixture(scope="module")
def packed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with long held-out documents under the checkpoint's own tokenizer."""
    folder = tmp_path_factory.mktemp("packed") / "run"
    write_tokenizer(folder / "bucket")
    tokens = CheckpointTokens(folder / "bucket")
    text = "Nothing much happened on that day, and then another day came. " * 15
    documents = [Document(f"book-{n}", "books", tokens.encode(f"Chapter {n}. {text}")) for n in range(3)]
    run = PackedRun(folder, documents, vocab_size=300, eos_id=tokens.encode(END)[0] if tokens.encode(END) else None)
    run.write_bucket()
    write_tokenizer(folder / "bucket")
    run.write_plan("held_out", 1024, next_fit(run.lengths, 1024, packs_per_block=2))
    return folder


def evaluate(place: Path, out: str, *options: str) -> dict:
    arguments = ["evaluate", str(place / "model"), "--out", str(place / out), "--data", str(place / "data"), "--json"]
    result = CliRunner().invoke(app, [*arguments, *options])
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout)


def test_answers_and_scores(place: Path) -> None:
    first = evaluate(place, "a", "--suite", "longbench,leval", "--max-seq-len", "200")
    assert first["asked"] == 5
    assert set(first["suites"]) == {"longbench", "leval"}
    assert first["suites"]["longbench"]["predictions"] == {"hotpotqa": 3}
    assert first["suites"]["longbench"]["cut"] == {"hotpotqa": 3}
    assert len(first["suites"]["longbench"]["missing"]) == 20
    rows = [json.loads(line) for line in (place / "a" / "longbench" / "hotpotqa.jsonl").read_text().splitlines()]
    assert [row["_id"] for row in rows] == ["1", "2", "3"]
    assert all(row["prompt_tokens"] == 168 for row in rows)
    again = evaluate(place, "a", "--suite", "longbench,leval", "--max-seq-len", "200")
    assert again["asked"] == 0
    assert again["suites"] == first["suites"]


def test_other_settings_need_another_folder(place: Path) -> None:
    evaluate(place, "b", "--suite", "leval", "-o", "limit=1")
    assert evaluate(place, "b", "--suite", "leval", "-o", "limit=2")["asked"] == 1
    with pytest.raises(RecipeError, match=r"rope 'none' \(now 'dynamic:8'\)"):
        evaluate(place, "b", "--suite", "leval", "--rope", "dynamic:8")
    assert evaluate(place, "c", "--suite", "leval", "--rope", "dynamic:8")["asked"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--suite", "leval,levl"), "did you mean 'leval'"),
        (("--suite", ""), "at least 1 item"),
        (("--suite", "leval", "--rope", "dynamic"), "dynamic:8"),
        (("--suite", "leval", "--truncate", "left"), "middle"),
        (("--suite", "leval", "-o", "limt=3"), "did you mean 'limit'"),
        (("--suite", "leval", "-o", "chat_format=x"), "must hold"),
        ((), "--run RUN"),
    ],
)
def test_wrong_arguments_are_said(place: Path, options: tuple[str, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        evaluate(place, "d", *options)
    assert not (place / "d").exists()


def test_a_place_for_the_answers_is_needed(place: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(place / "model"), "--suite", "leval"])
    assert isinstance(result.exception, RecipeError)
    assert "--out DIR" in str(result.exception)


def test_needles_and_ruler_hide_in_the_texts_named(place: Path) -> None:
    (place / "hay").mkdir()
    (place / "hay" / "a.txt").write_text("Nothing much happened on that day, and then another day came. " * 40)
    write_checkpoint(place / "model-2k", 2048)
    options = ["--suite", "needle,ruler", "--haystack", str(place / "hay"), "--out", str(place / "hidden"), "--json"]
    grid = ["-o", "needle.lengths=[1200]", "-o", "needle.depths=[0,100]", "-o", "needle.repeats=1"]
    kinds = ["-o", "needle.kinds=[single,parallel]", "-o", "ruler.samples=1", "-o", "limit=2"]
    kinds += ["-o", "ruler.tasks=[vt,niah_single_2]"]
    result = CliRunner().invoke(app, ["evaluate", str(place / "model-2k"), *options, *grid, *kinds])
    assert result.exit_code == 0, result.output
    suites = json.loads(result.stdout)["suites"]
    assert suites["needle"]["predictions"] == {"needle_single_en": 2, "needle_parallel_en": 1}
    assert (place / "hidden" / "needle_single_en.svg").is_file()
    rows = [json.loads(line) for line in (place / "hidden" / "needle" / "needle_single_en.jsonl").open()]
    assert [(row["prompt_tokens"], row["cut_tokens"], row["depth"]) for row in rows] == [(1150, 0, 0), (1150, 0, 100)]
    assert suites["ruler"]["predictions"] == {"niah_single_2": 1, "vt": 1}
    assert len(suites["ruler"]["missing"]) == 9


def test_a_run_lends_its_held_out_documents(packed_run: Path, place: Path) -> None:
    write_checkpoint(place / "model-held", 2048)
    run = ["--run", str(packed_run), "--suite", "needle", "--json"]
    grid = ["-o", "needle.lengths=[700]", "-o", "needle.depths=[50]", "-o", "needle.kinds=[single]", "-o", "limit=1"]
    result = CliRunner().invoke(app, ["evaluate", str(place / "model-held"), *run, *grid])
    assert result.exit_code == 0, result.output
    assert (packed_run / "evaluate" / "model-held" / "needle" / "needle_single_en.jsonl").is_file()
    settings = json.loads((packed_run / "evaluate" / "model-held" / "needle" / "settings.json").read_text())
    assert settings["eos"] == END
    bare = [option for option in run if option not in {"--run", str(packed_run)}]
    refused = CliRunner().invoke(
        app, ["evaluate", str(place / "model-held"), *bare, "--out", str(place / "none"), *grid]
    )
    assert isinstance(refused.exception, RecipeError)
    assert "--haystack" in str(refused.exception)
