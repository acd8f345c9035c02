"""An experiment from its file to its verdict."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lc_data.corpus import storage
from lc_data.experiments.arms import arm_recipe, base_recipe, extended_recipe, first_recipe
from lc_data.experiments.experiment import Experiment
from lc_data.experiments.page import render_experiment, render_overview
from lc_data.experiments.result import Result, collect
from lc_data.experiments.verdict import Scores
from lc_data.experiments.workshop import Measured, Note, Workshop
from lc_data.recipe.recipe import Recipe

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Written:
    """What an experiment left."""

    result: Result
    html: str
    json: str


def check_experiment(experiment: Experiment, size_name: str) -> Recipe:
    """Resolve every arm before any work; raises :class:`RecipeError` for one that is no valid recipe."""
    size = experiment.size(size_name)
    base = base_recipe(size)
    with tempfile.TemporaryDirectory() as nowhere:
        seed, start = size.seeds[0], Path(nowhere)
        if experiment.extend:
            extended_recipe(experiment, size, base, seed, start)
        for arm in experiment.arms:
            arm_recipe(experiment, size, base, arm, seed, start)
    return base


def run_experiment(experiment: Experiment, size_name: str, out: Path, tell: Tell = lambda line: None) -> Written:
    """Train and measure every arm under every seed, judge the claims, and write ``OUT/SIZE/NAME/``.

    What is there already is not done again. Raises :class:`RecipeError` before any work, and whatever a stage or a
    training raises; the same call goes on from there.
    """
    base, size = check_experiment(experiment, size_name), experiment.size(size_name)
    workshop = Workshop(out / size_name)
    for note in workshop.corpus(base):
        tell(note.text)
    measured: dict[str, list[Measured]] = {arm.name: [] for arm in experiment.arms}
    for seed in size.seeds:
        start, note = workshop.start(base, first_recipe(base, seed))
        tell(note.text)
        if experiment.extend:
            start, note = workshop.start(base, extended_recipe(experiment, size, base, seed, start))
            tell(note.text)
        for arm in experiment.arms:
            recipe = arm_recipe(experiment, size, base, arm, seed, start)
            place = f"{experiment.name}/arms/{arm.name}-seed{seed}"
            one = workshop.arm(base, recipe, arm, place, start)
            measured[arm.name].append(one)
            tell(Note(f"{experiment.name}, {arm.name}, seed {seed}", one.ran, _line(one.scores)).text)
    result = collect(experiment, size_name, measured)
    return write(result, workshop.root / experiment.name)


def write(result: Result, folder: Path) -> Written:
    """The result as JSON and as a page."""
    html, data = str(folder / "index.html"), str(folder / "result.json")
    storage.write_atomic(data, json.dumps(result.as_json(), indent=1, ensure_ascii=False).encode() + b"\n")
    storage.write_atomic(html, render_experiment(result).encode())
    return Written(result, html, data)


def write_overview(written: list[Written], folder: Path) -> str:
    """A page of all verdicts, linked to the experiments' pages beside it."""
    place = str(folder / "index.html")
    storage.write_atomic(place, render_overview([one.result for one in written]).encode())
    return place


def _line(scores: Scores) -> str:
    shown = {name: scores.values[name] for name in ("loss", "loss_long", "needle_long") if name in scores.values}
    return ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
