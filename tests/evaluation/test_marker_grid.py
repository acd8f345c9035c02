"""The needle grid on a model that fetches the value behind a marker: a cliff at its trained length, then none.

The same model as in the training's own test of needles, put through the suites' machinery: a tokenizer, prompts by
length and depth, greedy generation, scores, and the picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from lc_data.evaluation.answering import Asking, Model, answer_suite
from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.generation import GreedyGenerator
from lc_data.evaluation.needle.scoring import Grid
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.score import score_folder
from lc_data.evaluation.suite import Item, ScoreOptions, Source, SuiteScore
from lc_data.training.load import load_model
from lc_data.training.weights import checkpoint_weights, random_weights
from tests.training.test_needle import CONFIG, MARKER, VOCAB, packs, teach

LENGTHS, DEPTHS, REPEATS = (16, 32, 64, 128), (0, 25, 50, 75, 100), 24


@dataclass(frozen=True)
class Markers:
    """Random words with a marker and its value at a depth, and the marker again at the end."""

    name: str = "needle"
    tasks: tuple[str, ...] = ("needle_single_en",)

    def present(self, source: Source) -> tuple[str, ...]:
        return self.tasks

    def identity(self, source: Source) -> dict[str, Any]:
        return {}

    def items(self, task: str, source: Source) -> Iterator[Item]:
        draw = np.random.default_rng(source.seed)
        for repeat in range(REPEATS):
            for length in LENGTHS:
                for depth in DEPTHS:
                    tokens = draw.integers(1, VOCAB, length - 1)
                    at = int((length - 4) * depth / 100)
                    tokens[at], tokens[-1] = MARKER, MARKER
                    value = f"w{tokens[at + 1]}"
                    facts = {"length_tokens": length, "depth": depth, "needle": value}
                    prompt = " ".join(f"w{token}" for token in tokens)
                    yield Item(f"{repeat}-{length}-{depth}", prompt, (f"{value}.",), 1, facts=facts)

    def score(self, predictions: Mapping[str, Sequence[Prediction]], options: ScoreOptions) -> SuiteScore:
        raise NotImplementedError


def write_words(folder: Path) -> CheckpointTokens:
    """A tokenizer of the model's words; a full stop after each tells ``w1`` from ``w12``."""
    tokenizer = Tokenizer(models.WordLevel({f"w{n}": n for n in range(VOCAB)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    return CheckpointTokens(folder)


class Stopped(CheckpointTokens):
    """The same tokens, each decoded with a full stop."""

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(f"w{token}." for token in ids)


def grid_of(checkpoint: Path, out: Path) -> Grid:
    write_words(checkpoint)
    tokens = Stopped(checkpoint)
    model = Model(tokens, lambda: GreedyGenerator(load_model(checkpoint)))
    answer_suite(Markers(), Source(None, tokens, 256), model, out / "needle", Asking(block=120))
    (score,) = score_folder(out, ScoreOptions()).suites
    assert (out / "needle_single_en.svg").is_file()
    assert json.loads((out / "result.json").read_text())["suites"]["needle"]["tasks"] == score.tasks
    return Grid.from_json(score.details["needle_single_en"]["grid"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_grid_shows_the_cliff_and_then_the_extension(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = teach(tmp_path / "short", packs(4 * 600, 128, 32, seed=1), 128, random_weights(0.05, 5), 3e-3)
    before = grid_of(short, tmp_path / "before")
    rows, weights = packs(4 * 200, 256, 128, seed=2), checkpoint_weights(short, CONFIG)
    after = grid_of(teach(tmp_path / "long", rows, 256, weights, 1e-3), tmp_path / "after")
    with capsys.disabled():
        for name, grid in (("before", before), ("after", after)):
            print(name, dict(zip(grid.lengths, (f"{mean:.1f}" for mean in grid.columns), strict=True)))
    assert before.lengths == LENGTHS
    assert min(before.columns[:2]) >= 95
    assert before.columns[3] < before.columns[1] - 20
    assert min(after.columns) >= 80
