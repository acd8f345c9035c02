from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from lc_data.cli import app
from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.lm_eval import process_results
from tests.evaluation.test_suites import LEVAL_ROW, LONGBENCH_ROW, write_rows
from tests.evaluation.tiny_checkpoint import write_checkpoint


class Loader(yaml.SafeLoader):
    """Reads ``!function`` as its name."""


Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm_eval")
    write_checkpoint(folder / "model", 400)
    write_rows(folder / "data" / "hotpotqa.jsonl", LONGBENCH_ROW, {**LONGBENCH_ROW, "context": "gate " * 200})
    write_rows(folder / "data" / "samsum.jsonl", LONGBENCH_ROW)
    write_rows(folder / "data" / "news_summ.jsonl", LEVAL_ROW)
    options = ["--suite", "longbench,leval", "--data", str(folder / "data"), "--to-lm-eval", str(folder / "tasks")]
    arguments = ["evaluate", str(folder / "model"), *options, "--max-seq-len", "700", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["tasks"] == ["lc_data_hotpotqa", "lc_data_samsum", "lc_data_news_summ"]
    return folder / "tasks"


def rows(exported: Path, task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (exported / f"{task}.jsonl").read_text().splitlines()]


def test_the_yaml_names_its_data_and_its_metric(exported: Path) -> None:
    task = yaml.load((exported / "lc_data_samsum.yaml").read_text(), Loader)
    assert task["task"] == "lc_data_samsum"
    assert task["generation_kwargs"] == {"until": ["\n"], "max_gen_toks": 128, "do_sample": False}
    assert Path(task["dataset_kwargs"]["data_files"]["test"]) == exported / "samsum.jsonl"
    module, function = task["process_results"].split(".")
    spec = importlib.util.spec_from_file_location(module, exported / f"{module}.py")
    loaded = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(loaded)  # type: ignore[union-attr]
    assert getattr(loaded, function) is process_results


def test_prompts_are_finished_and_cut(exported: Path) -> None:
    whole, cut = rows(exported, "hotpotqa")
    assert "Mira keeps it." in whole["prompt"]
    assert json.loads(whole["facts"])["cut_tokens"] == 0
    assert json.loads(cut["facts"])["cut_tokens"] > 0
    assert cut["prompt"].startswith(whole["prompt"][:40])
    assert cut["prompt"].endswith(whole["prompt"][-40:])
    assert len(CheckpointTokens(exported.parent / "model").encode(cut["prompt"])) <= 700 - 32


def test_answers_are_scored_by_our_metrics(exported: Path) -> None:
    question = rows(exported, "hotpotqa")[0]
    assert process_results(question, ["It is Mira Holt"]) == {"score": pytest.approx(66.67)}
    assert process_results(rows(exported, "news_summ")[0], ["the north gate"]) == {"score": 100.0}
