"""LongBench and L-Eval: from the official files to prompts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.leval.suite import LEval
from lc_data.evaluation.longbench.suite import LongBench
from lc_data.evaluation.suite import Source
from lc_data.evaluation.suites import SUITES, suite_of_task, suites_named
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from tests.evaluation.tiny_checkpoint import write_tokenizer

LONGBENCH_ROW = {
    "input": "Who keeps the gate?", "context": "Mira keeps it.", "answers": ["Mira", "Mira Holt"], "length": 3,
    "dataset": "x", "language": "en", "all_classes": None, "_id": "f00",
}  # fmt: skip
LEVAL_ROW = {
    "input": "A long talk.", "instructions": ["Which {gate}?", "Who?"], "outputs": ["The north gate", "Mira"],
    "source": "x", "evaluation": "f1",
}  # fmt: skip


def write_rows(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def source(tmp_path: Path, limit: int | None = None) -> Source:
    write_tokenizer(tmp_path / "model")
    return Source(tmp_path / "data", CheckpointTokens(tmp_path / "model"), 64, limit=limit)


def test_every_longbench_task_has_our_wording(tmp_path: Path) -> None:
    suite = LongBench()
    for task in suite.tasks:
        write_rows(tmp_path / "data" / "data" / f"{task}.jsonl", LONGBENCH_ROW, {**LONGBENCH_ROW, "_id": "f01"})
    where = source(tmp_path)
    assert suite.present(where) == suite.tasks
    assert suite.identity(where) == {"prompts": "own"}
    for task in suite.tasks:
        first, second = suite.items(task, where)
        assert (first.id, second.id) == ("f00", "f01")
        assert "Mira keeps it." in first.prompt
        assert first.answers == ("Mira", "Mira Holt")
        if task not in {"gov_report", "multi_news", "vcsum", "passage_count"}:
            assert "Who keeps the gate?" in first.prompt
        assert first.chat != (task in {"trec", "triviaqa", "samsum", "lsht", "lcc", "repobench-p"})
    assert len(list(suite.items("trec", source(tmp_path, limit=1)))) == 1


def test_the_users_templates_and_lengths_are_used(tmp_path: Path) -> None:
    write_rows(tmp_path / "data" / "data" / "hotpotqa.jsonl", LONGBENCH_ROW)
    config = tmp_path / "data" / "config"
    config.mkdir()
    (config / "dataset2prompt.json").write_text(json.dumps({"hotpotqa": "T {context} | {input}"}))
    (config / "dataset2maxlen.json").write_text(json.dumps({"hotpotqa": 77}))
    suite = LongBench()
    (item,) = suite.items("hotpotqa", source(tmp_path))
    assert item.prompt == "T Mira keeps it. | Who keeps the gate?"
    assert item.max_new_tokens == 77
    assert suite.identity(source(tmp_path))["prompts"].startswith("dataset2prompt.json ")
    (config / "dataset2prompt.json").write_text(json.dumps({"hotpotqa": "{context} {question}"}))
    with pytest.raises(RecipeError, match="names 'question'"):
        suite.identity(source(tmp_path))
    (config / "dataset2prompt.json").write_text(json.dumps({"qasper": "{context}"}))
    with pytest.raises(RecipeError, match="no template for hotpotqa"):
        suite.identity(source(tmp_path))


def test_opencompass_asks_qasper_as_hotpotqa(tmp_path: Path) -> None:
    for task in ("qasper", "narrativeqa"):
        write_rows(tmp_path / "data" / f"{task}.jsonl", LONGBENCH_ROW)
    (tmp_path / "data" / "dataset2prompt.json").write_text(
        json.dumps({"hotpotqa": "H {context} {input}", "qasper": "Q {context}", "narrativeqa": "N {context}"})
    )
    (tmp_path / "data" / "dataset2maxlen.json").write_text(json.dumps({"qasper": 128, "narrativeqa": 128}))
    suite, own = LongBench(), source(tmp_path)
    theirs = replace(own, longbench_protocol="opencompass")
    for task, where, start, length in [
        ("qasper", own, "Q ", 128),
        ("qasper", theirs, "H ", 32),
        ("narrativeqa", theirs, "N ", 128),
    ]:
        (item,) = suite.items(task, where)
        assert item.prompt.startswith(start)
        assert item.max_new_tokens == length
    assert suite.identity(theirs) == {**suite.identity(own), "protocol": "opencompass"}
    (tmp_path / "data" / "dataset2prompt.json").write_text(json.dumps({"qasper": "Q", "narrativeqa": "N"}))
    with pytest.raises(RecipeError, match="no template for hotpotqa"):
        suite.present(theirs) and suite.identity(theirs)


def test_large_files_are_read_only_where_two_have_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "data" / "hotpotqa.jsonl", LONGBENCH_ROW)
    where = source(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    assert LongBench().present(where) == ("hotpotqa",)


def test_leval_asks_every_pair(tmp_path: Path) -> None:
    suite = LEval()
    for task in suite.tasks:
        write_rows(tmp_path / "data" / f"{task}.jsonl", LEVAL_ROW, LEVAL_ROW)
    for task in suite.tasks:
        items = list(suite.items(task, source(tmp_path)))
        assert [item.id for item in items] == ["0-0", "0-1", "1-0", "1-1"]
        assert "A long talk." in items[0].prompt
        assert "Which {gate}?" in items[0].prompt
        assert items[1].answers == ("Mira",)
        assert items[0].facts == {"evaluation": "f1"}
    (text,) = suite.items("news_summ", source(tmp_path, limit=1))
    assert "3 words" in text.prompt
    (tmp_path / "data" / "leval_prompts.json").write_text(
        json.dumps(dict.fromkeys(suite.tasks, "{question} {words} {context}"))
    )
    (text,) = suite.items("news_summ", source(tmp_path, limit=1))
    assert text.prompt == "Which {gate}? 3 A long talk."


@pytest.mark.parametrize("suite", [LongBench(), LEval()], ids=lambda suite: suite.name)
def test_data_that_is_not_there_is_said(tmp_path: Path, suite: LongBench | LEval) -> None:
    tokens = source(tmp_path).tokens
    with pytest.raises(RecipeError, match="--data DIR"):
        suite.present(Source(None, tokens, 64))
    with pytest.raises(RecipeError, match="is not a folder"):
        suite.present(Source(tmp_path / "none", tokens, 64))
    (tmp_path / "data").mkdir()
    with pytest.raises(RecipeError, match="holds none of"):
        suite.present(Source(tmp_path / "data", tokens, 64))


def test_rows_that_are_wrong_are_named(tmp_path: Path) -> None:
    path = tmp_path / "data" / "hotpotqa.jsonl"
    write_rows(path, {**LONGBENCH_ROW, "answers": "Mira"})
    with pytest.raises(Failure, match="'answers' must be a list"):
        list(LongBench().items("hotpotqa", source(tmp_path)))
    path.write_text("{\n")
    with pytest.raises(Failure, match=r"hotpotqa.jsonl:1 is not JSON"):
        list(LongBench().items("hotpotqa", source(tmp_path)))
    write_rows(tmp_path / "data" / "quality.jsonl", {**LEVAL_ROW, "outputs": ["x"]})
    with pytest.raises(Failure, match="2 instructions and 1 outputs"):
        list(LEval().items("quality", source(tmp_path)))
    write_rows(tmp_path / "data" / "copy" / "hotpotqa.jsonl", LONGBENCH_ROW)
    with pytest.raises(RecipeError, match="twice with different content"):
        LongBench().present(source(tmp_path))


def test_suites_are_known_by_name_and_task() -> None:
    assert [suite.name for suite in suites_named(["leval", "longbench"])] == ["leval", "longbench"]
    with pytest.raises(RecipeError, match="did you mean 'longbench'"):
        suites_named(["longbanch"])
    names = [task for suite in SUITES.values() for task in suite.tasks]
    assert len(set(names)) == len(names)
    assert suite_of_task("coursera").name == "leval"
