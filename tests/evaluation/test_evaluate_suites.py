"""A checkpoint put to suites from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lc_data.cli import app
from lc_data.recipe.errors import RecipeError
from tests.evaluation.test_suites import LEVAL_ROW, LONGBENCH_ROW, write_rows
from tests.evaluation.tiny_checkpoint import write_checkpoint


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suites")
    write_checkpoint(folder / "model")
    rows = [{**LONGBENCH_ROW, "_id": str(n), "context": "gate " * 30 * n} for n in range(1, 4)]
    write_rows(folder / "data" / "hotpotqa.jsonl", *rows)
    write_rows(folder / "data" / "tpo.jsonl", LEVAL_ROW)
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
