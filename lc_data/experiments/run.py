"""An experiment from its file to its verdict."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lc_data.corpus import storage
from lc_data.experiments.arms import arm_recipe, base_recipe, extended_recipe, first_recipe
from lc_data.experiments.experiment import Experiment, list_experiments, load_experiment
from lc_data.experiments.measure import Questions
from lc_data.experiments.page import render_experiment, render_overview
from lc_data.experiments.result import Result, collect
from lc_data.experiments.verdict import Scores
from lc_data.experiments.workshop import ArmWork, Measured, Note, Workshop
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
            asked = Questions(arm.rope, base.pack.seq_len, size.needles)
            one = workshop.arm(base, recipe, ArmWork(arm, place, start, asked))
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


@dataclass(frozen=True)
class Verdicts:
    """What became of several experiments."""

    overview: str
    """The page of all verdicts."""
    written: tuple[Written, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {
            "overview": self.overview,
            "experiments": [one.result.as_json() | {"html": one.html} for one in self.written],
        }

    def as_text(self) -> str:
        """A line for each claim, then where the pages are."""
        lines = [
            f"{one.result.experiment.name}: {claim.verdict}: {claim.text}"
            for one in self.written
            for claim in one.result.judgements
        ]
        return "\n".join([*lines, self.overview])


def run_experiments(name: str, size_name: str, out: Path, tell: Tell = lambda line: None) -> Verdicts:
    """Run one experiment, or ``all``; ``OUT/SIZE/index.html`` shows the verdicts of those that were run together.

    Raises :class:`RecipeError` before any work, for whichever of them is wrong.
    """
    names = sorted(list_experiments()) if name == "all" else [name]
    experiments = [load_experiment(each) for each in names]
    for each in experiments:
        check_experiment(each, size_name)
    written = tuple(run_experiment(each, size_name, out, tell) for each in experiments)
    if len(written) == 1:
        return Verdicts(written[0].html, written)
    place = str((out / size_name / "index.html").absolute())
    storage.write_atomic(place, render_overview([one.result for one in written]).encode())
    return Verdicts(place, written)


def _line(scores: Scores) -> str:
    shown = {name: scores.values[name] for name in ("loss", "loss_long", "needle_long") if name in scores.values}
    return ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
