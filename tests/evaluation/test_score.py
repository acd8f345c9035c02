from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lc_data.cli import app
from lc_data.evaluation.longbench.tasks import TASKS
from lc_data.evaluation.score import score_folder
from lc_data.evaluation.suite import ScoreOptions, score_options
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError


def write(folder: Path, task: str, *rows: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps({"all_classes": None, "length": 9, **row}, ensure_ascii=False) + "\n" for row in rows)
    (folder / f"{task}.jsonl").write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A flat folder as LongBench's own script writes it, and one of our runs beside it."""
    write(tmp_path, "hotpotqa", {"pred": "the Quartz Gate", "answers": ["Quartz Gate", "Gate"]})
    write(
        tmp_path,
        "trec",
        {"pred": "\nCity\nCountry", "answers": ["City"], "all_classes": ["City", "Country"]},
        {"pred": "City Country", "answers": ["City"], "all_classes": ["City", "Country"]},
    )
    write(tmp_path, "lcc", {"pred": "# note\nreturn x", "answers": ["return xy"]})
    write(
        tmp_path / "leval",
        "coursera",
        {"_id": "0-0", "pred": "AB", "answers": ["ABD"], "evaluation": "exam", "cut_tokens": 7},
        {"_id": "0-1", "pred": "C", "answers": ["C"], "evaluation": "exam"},
    )
    write(
        tmp_path / "leval",
        "news_summ",
        {"pred": "a b c", "answers": ["b c d"], "evaluation": "rouge"},
        {"pred": "a b", "answers": ["a b"], "evaluation": "LLM"},
    )
    return tmp_path


def test_scores_by_hand(folder: Path) -> None:
    scores = score_folder(folder, ScoreOptions())
    longbench, leval = scores.suites
    assert longbench.tasks == {"hotpotqa": 100.0, "trec": 75.0, "lcc": 94.0}
    assert longbench.predictions == {"hotpotqa": 1, "trec": 2, "lcc": 1}
    assert longbench.groups == {"Multi-Document QA": 100.0, "Few-shot Learning": 75.0, "Code Completion": 94.0}
    assert longbench.averages["all"] == pytest.approx((100 + 75 + 94) / 3)
    assert longbench.averages["zh"] == 94.0
    assert longbench.missing == tuple(t.name for t in TASKS if t.name not in longbench.tasks)
    assert leval.tasks == {"coursera": 50.0, "news_summ": pytest.approx(100 * (2 / 3 + 1) / 2, abs=0.01)}
    assert leval.cut == {"coursera": 1, "news_summ": 0}
    assert json.loads((folder / "result.json").read_text()) == json.loads(json.dumps(scores.as_json()))


def test_the_official_protocol_gives_a_quarter_and_leaves_judges_out(folder: Path) -> None:
    leval = score_folder(folder, ScoreOptions(leval_protocol="official")).suites[1]
    assert leval.tasks == {"coursera": 62.5, "news_summ": 66.67}
    write(folder / "leval", "news_summ", {"pred": "a", "answers": ["b"], "evaluation": "LLM"})
    leval = score_folder(folder, ScoreOptions(leval_protocol="official")).suites[1]
    assert "news_summ" in leval.missing
    write(folder / "leval", "news_summ", {"pred": "a", "answers": ["b"]})
    with pytest.raises(Failure, match="needs the tag"):
        score_folder(folder, ScoreOptions(leval_protocol="official"))


def test_opencompass_adds_up_the_answers_of_longbench(folder: Path) -> None:
    write(folder, "trec", {"pred": "City Date", "answers": ["City", "Date"], "all_classes": ["City", "Date", "Food"]})
    write(folder, "passage_count", {"pred": "3, then 4 or 4", "answers": ["3", "4"]})
    write(folder, "passage_retrieval_zh", {"pred": "段落7", "answers": ["段落7", "段落7"]})
    official = score_folder(folder, score_options("official", None, False)).suites[0]
    added = score_folder(folder, score_options("opencompass", None, False)).suites[0]
    assert [official.tasks[task] for task in ("trec", "passage_count", "passage_retrieval_zh")] == [50.0, 66.67, 100.0]
    assert [added.tasks[task] for task in ("trec", "passage_count", "passage_retrieval_zh")] == [100.0, 100.0, 200.0]
    assert added.tasks["hotpotqa"] == official.tasks["hotpotqa"] == 100.0
    assert "protocol opencompass; code similarity by levenshtein" in added.convention
    assert "protocol official; code similarity by difflib" in official.convention


def test_the_protocols_say_what_is_left_open() -> None:
    assert score_options(None, None, False) == ScoreOptions()
    assert score_options("opencompass", "difflib", True) == ScoreOptions("opencompass", "opencompass", "difflib", True)
    assert score_options("official", None, False) == ScoreOptions("official", "official", "difflib", False)


def test_opencompass_cuts_chinese_words_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a segmenter that cuts more each time, the second answer meets other words."""
    from lc_data.evaluation.longbench import scoring
    from lc_data.evaluation.longbench.tasks import BY_NAME
    from lc_data.evaluation.prediction import Prediction

    def halves(text: str) -> list[str]:
        return [part for word in text.split() for part in (word[: len(word) // 2], word[len(word) // 2 :]) if part]

    monkeypatch.setattr(scoring, "split_words", halves)
    row = Prediction("0", "甲乙丙丁", ("戊己", "甲乙"))
    assert scoring.score_sample(BY_NAME["dureader"], row, protocol="opencompass") == pytest.approx(2 / 3)
    assert (
        scoring.score_sample(BY_NAME["dureader"], Prediction("0", "甲乙丙丁", ("甲乙",)), protocol="opencompass") == 0
    )


def test_missing_tasks_count_only_when_asked(folder: Path) -> None:
    zero = score_folder(folder, ScoreOptions(missing_as_zero=True)).suites[0]
    assert zero.averages["all"] == pytest.approx((100 / 4 + 75 / 4 + 94 / 2) / 6)
    assert "counts as 0" in zero.convention
    assert zero.missing


def test_the_code_backend_is_part_of_the_score(folder: Path) -> None:
    score = score_folder(folder, ScoreOptions(code_backend="levenshtein")).suites[0]
    assert "levenshtein" in score.convention
    write(folder, "lcc", {"pred": "kitten sitting", "answers": ["sitting kitten"]})
    by_difflib = score_folder(folder, ScoreOptions()).suites[0]
    by_levenshtein = score_folder(folder, ScoreOptions(code_backend="levenshtein")).suites[0]
    assert by_difflib.tasks["lcc"] == 50.0
    assert by_levenshtein.tasks["lcc"] == 64.0


def test_the_command(folder: Path) -> None:
    result = CliRunner().invoke(app, ["score", str(folder)])
    assert result.exit_code == 0, result.output
    assert "average (all)" in result.output
    assert "1 of 4 prompts were cut to fit" in result.output
    assert "without predictions (18): narrativeqa" in result.output
    as_json = CliRunner().invoke(app, ["score", str(folder), "--json"])
    assert json.loads(as_json.stdout)["suites"]["longbench"]["tasks"]["trec"] == 75.0


def test_what_cannot_be_scored_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="not a folder"):
        score_folder(tmp_path / "none", ScoreOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match="holds no predictions"):
        score_folder(tmp_path / "empty", ScoreOptions())
    write(folder, "hotpot", {"pred": "", "answers": ["x"]})
    with pytest.raises(RecipeError, match="did you mean 'hotpotqa'"):
        score_folder(folder, ScoreOptions())
    (folder / "hotpot.jsonl").unlink()
    write(folder / "longbench", "hotpotqa", {"pred": "", "answers": ["x"]})
    with pytest.raises(RecipeError, match="keep one"):
        score_folder(folder, ScoreOptions())
    (folder / "longbench" / "hotpotqa.jsonl").unlink()
    write(folder / "longbench", "coursera", {"pred": "", "answers": ["x"]})
    with pytest.raises(RecipeError, match="task of leval"):
        score_folder(folder, ScoreOptions())
    (folder / "longbench" / "coursera.jsonl").unlink()
    for broken, message in [
        ("{", "hotpotqa.jsonl:1"),
        ('{"pred": "x"}', "answers"),
        ('{"pred": 1, "answers": ["a"]}', "string"),
    ]:
        (folder / "hotpotqa.jsonl").write_text(broken + "\n")
        with pytest.raises(Failure, match=message):
            score_folder(folder, ScoreOptions())
    (folder / "hotpotqa.jsonl").write_text("")
    with pytest.raises(Failure, match="no prediction"):
        score_folder(folder, ScoreOptions())
    write(folder, "hotpotqa", {"pred": "x", "answers": []})
    with pytest.raises(Failure, match="answers is empty"):
        score_folder(folder, ScoreOptions())


@pytest.mark.parametrize(("option", "message"), [("--protocol", "official"), ("--code-similarity", "difflib")])
def test_unknown_choices_are_refused(folder: Path, option: str, message: str) -> None:
    result = CliRunner().invoke(app, ["score", str(folder), option, "other"])
    assert isinstance(result.exception, RecipeError)
    assert message in str(result.exception)


def test_scoring_imports_neither_torch_nor_transformers(folder: Path) -> None:
    code = (
        "import sys, lc_data.cli; from typer.testing import CliRunner\n"
        f"result = CliRunner().invoke(lc_data.cli.app, ['score', {str(folder)!r}])\n"
        "print(result.exit_code, [m for m in ('torch', 'transformers', 'numba', 'polars', 'ray') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "0 []"
