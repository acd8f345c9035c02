"""A tiny experiment of two arms, from its file to its page; a second call does nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lc_data.experiments import workshop
from lc_data.experiments.experiment import Experiment
from lc_data.experiments.run import run_experiment
from lc_data.failure import Failure
from lc_data.recipe.load import dump_recipe
from tests.small_corpus import small_recipe, write_small_corpus

PRETRAIN = (
    "pretrain={batch_tokens: 2048, total_tokens: 4096, optimizer: {peak_learning_rate: 0.01}, "
    "checkpoint: {every_minutes: null}, metrics: {long_gain_documents: 0}, "
    "model: {shape: {hidden_size: 16, layers: 1, heads: 2, intermediate_size: 32}}}"
)
FROM_RECIPE = ["pack.seq_len=256", "evaluation={max_documents: 8}", "mixture.max_epochs=50"]


def experiment(recipe: Path) -> Experiment:
    return Experiment.model_validate({
        "name": "tiny",
        "title": "Tiny & small",
        "question": "Does it run?",
        "sizes": {"smoke": {"recipe": str(recipe), "seeds": [1, 2], "arm_tokens": 4096, "long_tokens": 1024,
                            "threshold_tokens": 512, "batch_tokens": 2048, "learning_rate": 0.01}},
        "overrides": ["pack.seq_len=${long_tokens}", "pack.global_batch_packs=${batch_packs}",
                      "pretrain.total_tokens=${arm_tokens}"],
        "arms": [{"name": "naive", "what": "as it is", "train": "none"},
                 {"name": "start", "what": "scaled", "train": "none", "rope": "dynamic:4"},
                 {"name": "open", "what": "one span a row", "overrides": ["pack.mask=none"]}],
        "measures": ["loss", "loss.*", "needle_long"],
        "claims": [{"text": "Training lowers the loss", "source": "any textbook",
                    "holds": [{"measure": "loss", "arm": "open", "than": "start", "at_most": 0}]},
                   {"text": "Training raises the loss", "source": "nobody",
                    "holds": [{"measure": "loss", "arm": "open", "than": "start", "at_least": 1}]}],
    })  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_small_corpus(folder / "texts")
    path = folder / "recipe.yaml"
    path.write_text(dump_recipe(small_recipe(folder / "texts", PRETRAIN, *FROM_RECIPE)))
    return path


def test_two_arms_from_the_corpus_to_the_page_and_nothing_twice(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, told = experiment(recipe), []
    first = run_experiment(asked, "smoke", tmp_path, told.append)
    assert not any("was done before" in line for line in told)
    content = json.loads(Path(first.json).read_text())
    naive, start, opened = content["arms"]
    assert (start["tokens"], opened["tokens"]) == (0, 4096)
    assert all(0 < row["loss"] < 10 and {"needle_long", "loss.books"} <= row.keys() for row in opened["scores"])
    assert naive["scores"][0]["loss_long"] != start["scores"][0]["loss_long"]
    assert sum(opened["domain_shares"].values()) == pytest.approx(1)
    assert [claim["verdict"] for claim in content["claims"]] == ["supported", "contradicted"]
    assert content["verdict"] == "contradicted"
    page = Path(first.html).read_text()
    assert "Tiny &amp; small" in page
    assert "Training raises the loss: contradicted" in page
    assert "http" not in page
    seeds = [
        json.loads((tmp_path / f"smoke/tiny/arms/open-seed{seed}/pretrain/job.json").read_text()) for seed in (1, 2)
    ]
    assert seeds[0]["origin"]["weights"] != seeds[1]["origin"]["weights"]
    shards = [next((tmp_path / "smoke").glob(f"{place}/bucket/shards/*")).stat().st_ino
              for place in ("corpora/*", "tiny/arms/open-seed1", "starts/*")]  # fmt: skip
    assert len(set(shards)) == 1  # hard links

    def never(*_: object) -> None:
        raise AssertionError("measured twice")

    monkeypatch.setattr(workshop, "measure_arm", never)
    told.clear()
    again = run_experiment(asked, "smoke", tmp_path, told.append)
    assert all("was done before" in line for line in told)
    assert again.result.as_json() == first.result.as_json()

    less = asked.arms[2].model_copy(update={"overrides": ("mixture.budget_tokens=3000",)})
    with pytest.raises(Failure, match="all arms are to train on 4,096: plan more for this arm"):
        run_experiment(asked.model_copy(update={"arms": (asked.arms[1], less)}), "smoke", tmp_path)
