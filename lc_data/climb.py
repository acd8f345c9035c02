"""Several lengths in turn: each rung trains from the checkpoint of the one before, once that was promoted.

A rung is the recipe under a few overrides, in the same run: what does not change (documents, tokens) is up to date, and
packing, training and evaluation follow the length. A checkpoint that fails its requirements ends the climb with the
numbers: training on at a length the model has not learned costs most and helps least.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import fingerprint
from lc_data.corpus.run import RunFolder
from lc_data.failure import Failure
from lc_data.journey import Step, travel
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.ladder import LadderSection, Requirement, Rung
from lc_data.recipe.load import dump_recipe, parse_recipe
from lc_data.recipe.recipe import Recipe

Scorer = Callable[[Path, Path | None, Recipe, RunFolder], Mapping[str, float]]
"""From a rung's checkpoint, the one it began with (None for random weights), its recipe and the run to measures."""

SUITES = "suites"
"""The folder of answers beside a checkpoint, and of a rung."""


class NotPromotedError(Failure):
    """A checkpoint does not show what its rung requires."""


def climb(recipe: Recipe, run: RunFolder, score: Scorer | None = None) -> Iterator[Step]:
    """Train every rung of the recipe's ladder, from where the last climb ended, and yield each step as it is done.

    ``RUN/ladder/<rung>/`` gets ``export/``, ``scores.json`` and the answers in ``suites/``. A rung whose recipe and
    start are those of its record is not trained again; its scores are judged anew, so that a requirement may change.

    Args:
        recipe: with a ladder and a section ``pretrain``.
        run: on a file system.
        score: measures a checkpoint; None takes :func:`measure_checkpoint`.

    Raises:
        RecipeError: for a recipe without them, before any work.
        NotPromotedError: when a requirement is not met.

    """
    ladder = recipe.ladder
    if ladder is None or recipe.pretrain is None:
        raise RecipeError("the recipe has no ladder, or nothing to pretrain: it needs sections `ladder` and `pretrain`")
    start = Path(recipe.pretrain.model.path) if recipe.pretrain.model.path else None
    plans = [(rung, rung_recipe(recipe, rung)) for rung in ladder.rungs]  # all are read before the first is trained
    for rung, planned in plans:
        place = storage.local_path(run.uri) / "ladder" / rung.name
        staged = planned if start is None else _from(planned, start)
        identity = fingerprint([staged.model_dump(mode="json"), _weights(start)])
        scores = _recorded(place, identity, rung)
        if scores is None:
            for step in travel(staged, run, "pretrain"):
                yield Step(f"{rung.name}: {step.name}", step.ran, step.seconds, step.detail)
            export = storage.local_path(run.stage("pretrain").uri) / "export"
            started = time.perf_counter()
            scores = dict((score or _scorer(ladder))(export, start, staged, run))
            _record(place, export, {"fingerprint": identity, "scores": scores})
            yield Step(f"{rung.name}: gate", True, time.perf_counter() - started, _text(scores))
        else:
            yield Step(f"{rung.name}: gate", False, 0.0, _text(scores))
        judge(rung, scores)
        start = place / "export"


def judge(rung: Rung, scores: Mapping[str, float]) -> None:
    """Raise :class:`NotPromotedError` when a measure is missing or lies outside of what its rung requires."""
    faults = [
        f"{measure} was not measured" if measure not in scores else f"{measure} is {fault}"
        for measure, requirement in rung.require.items()
        if (fault := _fault(requirement, scores.get(measure))) is not None
    ]
    if faults:
        raise NotPromotedError(
            f"{rung.name} is not promoted: {'; '.join(faults)}. Train it longer (another pretrain.steps among its "
            "overrides), or change what it requires"
        )


def rung_recipe(recipe: Recipe, rung: Rung) -> Recipe:
    """The recipe of one rung; raises :class:`RecipeError` where its overrides do not fit."""
    try:
        return parse_recipe(dump_recipe(recipe), [*rung.overrides, "ladder=null"])
    except RecipeError as error:
        raise RecipeError(f"ladder.rungs.{rung.name}: {error}") from error


def measure_checkpoint(
    checkpoint: Path, start: Path | None, recipe: Recipe, run: RunFolder, ladder: LadderSection
) -> dict[str, float]:
    """Loss at short positions, its rise, the gain from long context, and the scores of the ladder's suites.

    Answers to the suites lie in ``suites/`` beside the checkpoint, and so are moved aside with it.
    """
    from lc_data.evaluation.evaluate import evaluate
    from lc_data.evaluation.evaluate_suites import evaluate_suites

    def short_loss(folder: Path, name: str) -> float:
        table = evaluate(folder, run.uri, recipe, name).results[name]["all"]["buckets"]
        cells = [cell for cell in table if cell["to"] <= ladder.short_tokens] or table[:1]
        return sum(cell["nll"] * cell["tokens"] for cell in cells) / sum(cell["tokens"] for cell in cells)

    scores = {"short_loss": short_loss(checkpoint, "pretrain")}
    if start is not None:
        scores["short_loss_rise"] = scores["short_loss"] - short_loss(start, "ladder_start")
    gain = _last_gain(checkpoint.parent / "losses.jsonl")
    if gain is not None:
        scores["long_gain"] = gain
    if ladder.suites is not None:
        found = evaluate_suites(checkpoint, ladder.suites, str(checkpoint.parent / SUITES), run.uri).scores
        for suite in found.suites:
            scores[suite.suite] = sum(suite.tasks.values()) / len(suite.tasks)
            scores |= {f"{suite.suite}.{task}": value for task, value in suite.tasks.items()}
    return scores


def _scorer(ladder: LadderSection) -> Scorer:
    return lambda checkpoint, start, recipe, run: measure_checkpoint(checkpoint, start, recipe, run, ladder)


def _fault(requirement: Requirement, value: float | None) -> str | None:
    return "" if value is None else requirement.fault(value)


def _from(recipe: Recipe, start: Path) -> Recipe:
    overrides = [f"pretrain.model.path={json.dumps(str(start))}", "pretrain.model.shape=null"]
    return parse_recipe(dump_recipe(recipe), overrides)


def _weights(start: Path | None) -> str | None:
    from lc_data.training.weights import weights_fingerprint

    return None if start is None else weights_fingerprint(start)


def _recorded(place: Path, identity: str, rung: Rung) -> dict[str, float] | None:
    """The scores of a rung that was trained before, just so; None where there are none, or not all that are asked."""
    path = place / "scores.json"
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = record.get("fingerprint") == identity and rung.require.keys() <= record["scores"].keys()
    return record["scores"] if known else None


def _record(place: Path, export: Path, record: dict[str, Any]) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(export, place / "export")
    if (answers := export.parent / SUITES).is_dir():
        shutil.copytree(answers, place / SUITES)
    storage.write_atomic(str(place / "scores.json"), json.dumps(record, indent=1).encode() + b"\n")


def _last_gain(path: Path) -> float | None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    gains = [row["long_gain"]["gain"] for row in rows if row["long_gain"]]
    return gains[-1] if gains else None


def _text(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
