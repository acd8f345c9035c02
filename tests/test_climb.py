"""Lengths in turn: a rung begins with the checkpoint of the one before, and only once that was promoted."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from lc_data.climb import NotPromotedError, climb, rung_recipe
from lc_data.corpus.run import RunFolder
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.training.weights import weights_fingerprint
from tests.small_corpus import prose, small_recipe, write_small_corpus

PRETRAIN = (
    "pretrain={batch_tokens: 2048, steps: 2, optimizer: {peak_learning_rate: 0.01}, checkpoint: {every_minutes: null}, "
    "model: {shape: {hidden_size: 16, layers: 1, heads: 2, intermediate_size: 32}}}"
)
LADDER = (
    "ladder={{short_tokens: 128, {suites}rungs: [{{name: short, overrides: [pack.seq_len=256], require: {{{first}}}}}, "
    "{{name: long, overrides: [pack.seq_len=512, pretrain.model.rope_base=50000], require: {{{second}}}}}]}}"
)
SUITES = (
    "suites: {{names: [needle], haystacks: [{hay}], max_seq_len: 1200, limit: 1, "
    "needle: {{lengths: [1200], depths: [50], repeats: 1, kinds: [single]}}}}, "
)


def recipe(corpus: Path, first: str, second: str, suites: str = "") -> Recipe:
    ladder = LADDER.format(first=first, second=second, suites=suites)
    return small_recipe(corpus, PRETRAIN, "evaluation={first_bucket_tokens: 64}", ladder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_small_corpus(folder)
    (folder / "hay.txt").write_text(prose(random.Random(1), 3000), encoding="utf-8")
    return folder


def test_every_rung_begins_where_the_one_before_ended_and_none_is_climbed_twice(corpus: Path, tmp_path: Path) -> None:
    """With every measure that there is, the suite of needles among them."""
    second = "short_loss_rise: {at_most: 5}, long_gain: {at_least: -9}, needle: {at_least: 0}"
    suites = SUITES.format(hay=corpus / "hay.txt")
    made = recipe(corpus, "short_loss: {at_most: 20}", second, suites)
    run = RunFolder(str(tmp_path / "run"))
    steps = list(climb(made, run))
    assert [step.name for step in steps if step.name.endswith(("pretrain", "gate"))] == [
        "short: pretrain", "short: gate", "long: pretrain", "long: gate",
    ]  # fmt: skip
    ladder = tmp_path / "run" / "ladder"
    scores = json.loads((ladder / "long" / "scores.json").read_text())["scores"]
    assert scores.keys() == {"short_loss", "short_loss_rise", "long_gain", "needle", "needle.needle_single_en"}
    for rung in ("short", "long"):
        [answer] = (ladder / rung / "suites" / "needle" / "needle_single_en.jsonl").read_text().splitlines()
        assert json.loads(answer)
    before = json.loads((ladder / "short" / "scores.json").read_text())["scores"]["short_loss"]
    assert scores["short_loss_rise"] == pytest.approx(scores["short_loss"] - before, abs=0.5)
    job = json.loads((tmp_path / "run" / "pretrain" / "job.json").read_text())
    assert job["origin"]["weights"] == weights_fingerprint(ladder / "short" / "export")
    assert job["seq_len"] == 512
    assert json.loads((ladder / "long" / "export" / "config.json").read_text())["max_position_embeddings"] >= 512
    assert not any(step.ran for step in climb(made, run))


def test_a_rung_that_is_not_promoted_ends_the_climb(corpus: Path, tmp_path: Path) -> None:
    measured: list[str] = []

    def score(checkpoint: Path, start: Path | None, staged: Recipe, run: RunFolder) -> Mapping[str, float]:
        measured.append(f"{staged.pack.seq_len} from {start and start.parent.name}")
        return {"short_loss": 2.0, "needle": 80.0}

    run = RunFolder(str(tmp_path / "run"))

    def required(needle: int, loss: float) -> Recipe:
        ladder = LADDER.format(
            suites="suites: {names: [needle]}, ",
            first=f"needle: {{at_least: {needle}}}, short_loss: {{at_most: {loss}}}",
            second="short_loss: {at_most: 9}",
        )
        return small_recipe(corpus, PRETRAIN, ladder)

    with pytest.raises(NotPromotedError, match=r"short is not promoted: needle is 80, at least 95 .*; short_loss is 2"):
        list(climb(required(95, 1.9), run, score))
    assert measured == ["256 from None"]
    assert not (tmp_path / "run" / "ladder" / "long").exists()

    list(climb(required(75, 2.0), run, score))
    assert measured == ["256 from None", "512 from short"], "the first rung is judged anew, not trained or asked anew"


@pytest.mark.parametrize(
    ("ladder", "message"),
    [
        ("{rungs: []}", "at least 1 item"),
        ("{rungs: [{name: a, overrides: [], require: {needle: {at_least: 1}}}]}", "needle is not measured"),
        ("{rungs: [{name: a, overrides: [], require: {short_loss: {}}}]}", "at_least, at_most, or both"),
        ("{rungs: [{name: a, overrides: [], require: {}}]}", "at least 1 item"),
    ],
)
def test_a_wrong_ladder_says_what_to_mend(corpus: Path, ladder: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        small_recipe(corpus, PRETRAIN, f"ladder={ladder}")


def test_an_override_that_does_not_fit_names_its_rung_before_any_work(corpus: Path, tmp_path: Path) -> None:
    made = recipe(corpus, "short_loss: {at_most: 9}", "short_loss: {at_most: 9}")
    assert made.ladder is not None
    wrong = made.ladder.rungs[1].model_copy(update={"overrides": ("pack.seq_lem=512",)})
    with pytest.raises(RecipeError, match=r"(?s)ladder\.rungs\.long: .*seq_lem"):
        rung_recipe(made, wrong)
    with pytest.raises(RecipeError, match="needs sections `ladder` and `pretrain`"):
        list(climb(small_recipe(corpus), RunFolder(str(tmp_path))))
