"""Scores of a folder of predictions, without torch and without the model that wrote them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lc_data.charts.heatmap import Heatmap, draw_picture
from lc_data.corpus import storage
from lc_data.evaluation.needle.scoring import Grid
from lc_data.evaluation.prediction import Prediction, read_predictions
from lc_data.evaluation.suite import ScoreOptions, SuiteScore
from lc_data.evaluation.suites import SUITES, suite_of_task
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError


@dataclass(frozen=True)
class Scores:
    """The scores of every suite that has predictions."""

    folder: Path
    suites: tuple[SuiteScore, ...]

    def as_json(self) -> dict[str, Any]:
        """The content of ``result.json``."""
        return {"suites": {score.suite: score.as_json() for score in self.suites}}

    def as_text(self) -> str:
        """Tables for people."""
        return "\n\n".join(_table(score) for score in self.suites)


def score_folder(folder: Path, options: ScoreOptions) -> Scores:
    """Score every ``<task>.jsonl`` in a folder and in its sub-folders of suites, and write ``result.json`` there.

    Grids of needles become pictures beside it, ``<task>.svg``.

    Raises:
        RecipeError: where there is no file of predictions, or one of a task that no suite has.
        Failure: for a line that is no prediction.

    """
    if not folder.is_dir():
        raise RecipeError(f"{folder} is not a folder of predictions")
    found: dict[str, dict[str, Sequence[Prediction]]] = {}
    places = [folder, *(folder / name for name in SUITES if (folder / name).is_dir())]
    for path in (path for place in places for path in sorted(place.glob("*.jsonl"))):
        suite = suite_of_task(path.stem)
        if path.parent != folder and suite.name != path.parent.name:
            raise RecipeError(f"{path}: {path.stem} is a task of {suite.name}, not of {path.parent.name}")
        tasks = found.setdefault(suite.name, {})
        if path.stem in tasks:
            raise RecipeError(f"{path.stem}.jsonl is in {folder} and in {folder / suite.name}: keep one of them")
        rows = read_predictions(path)
        if not rows:
            raise Failure(f"{path} holds no prediction: remove it, or evaluate the task")
        tasks[path.stem] = rows
    if not found:
        raise RecipeError(f"{folder} holds no predictions: files <task>.jsonl, there or in {', '.join(SUITES)}")
    scores = Scores(folder, tuple(SUITES[name].score(found[name], options) for name in SUITES if name in found))
    for task, detail in ((task, detail) for score in scores.suites for task, detail in score.details.items()):
        if "grid" in detail:
            grid = Grid.from_json(detail["grid"])
            heatmap = Heatmap(grid.lengths, grid.depths, grid.cells, grid.columns)
            picture = draw_picture(heatmap, f"{task}: {grid.score:.2f}")
            storage.write_atomic(str(folder / f"{task}.svg"), picture.encode())
    content = json.dumps(scores.as_json(), indent=1, ensure_ascii=False)
    storage.write_atomic(str(folder / "result.json"), content.encode() + b"\n")
    return scores


def _table(score: SuiteScore) -> str:
    rows = [(f"  {task}", value, f"{score.predictions[task]:,}") for task, value in score.tasks.items()]
    rows += [(group, value, "") for group, value in score.groups.items()]
    rows += [(f"average ({rule})", value, "") for rule, value in score.averages.items()]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{score.suite}: {score.convention}"]
    lines += [f"{name:<{width}}  {value:7.2f}  {count:>7}".rstrip() for name, value, count in rows]
    if cut := sum(score.cut.values()):
        lines.append(f"{cut:,} of {sum(score.predictions.values()):,} prompts were cut to fit")
    if score.missing:
        lines.append(f"without predictions ({len(score.missing)}): {', '.join(score.missing)}")
    return "\n".join(lines)
