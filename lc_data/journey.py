"""The whole way of a recipe: the chain of stages, then training, evaluation and the report.

Each step knows by itself whether it is up to date, so a second journey does nothing and says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lc_data.corpus import storage
from lc_data.corpus.run import STAGES, STEPS, RunFolder
from lc_data.engine.stage import StageReport
from lc_data.progress import format_seconds
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe

if TYPE_CHECKING:
    from lc_data.training.launch import Kind


@dataclass(frozen=True)
class Step:
    """How one step of the way came to be done."""

    name: str
    ran: bool
    seconds: float
    detail: str

    @property
    def text(self) -> str:
        """One line for people."""
        state = f"ran in {format_seconds(self.seconds)}" if self.ran else "is up to date"
        return f"{self.name:9} {state}{': ' if self.detail else ''}{self.detail}"

    def as_json(self) -> dict[str, Any]:
        """The step as a JSON object."""
        return asdict(self)


def travel(recipe: Recipe, run: RunFolder, to: str) -> Iterator[Step]:
    """Bring every step up to ``to`` up to date, and yield each as it is done. Steps without a section are left out."""
    from lc_data.stages.chain import run_chain

    last = STEPS.index(to)
    _check_model(recipe, STEPS[: last + 1])
    _check_suites(recipe, STEPS[: last + 1])
    worked = False
    for report in run_chain(recipe, run, STEPS[min(last, len(STAGES) - 1)]):
        worked |= report.ran
        yield _stage_step(report)
    wanted = STEPS[len(STAGES) : last + 1]
    for name in wanted:
        if name == "pretrain" and recipe.pretrain is not None:
            step = _train("pretrain", recipe, run)
        elif name == "sft" and recipe.sft is not None:
            step = _train("sft", recipe, run)
        elif name == "evaluate" and (recipe.pretrain or recipe.sft):
            step = _evaluate(recipe, run)
        elif name == "report":
            step = _report(run, worked)
        else:
            continue
        worked |= step.ran
        yield step


def _check_model(recipe: Recipe, steps: Sequence[str]) -> None:
    """Raise :class:`RecipeError` when a checkpoint to train from is not there: before the work that leads to it."""
    wanted = {
        "pretrain": ("pretrain.model.path", recipe.pretrain.model.path if recipe.pretrain else None),
        "sft": ("sft.init_from", recipe.sft.init_from if recipe.sft else None),
    }
    for step, (key, path) in wanted.items():
        if step in steps and path is not None and not storage.exists(storage.join(path, "config.json")):
            raise RecipeError(
                f"{key} is {path!r}, where there is no config.json: give the folder of a checkpoint in Hugging Face "
                "format, or stop before training with --to pack"
            )


def _check_suites(recipe: Recipe, steps: Sequence[str]) -> None:
    """Raise :class:`RecipeError` for suites that no model could be put to: before the work that leads to one."""
    section = recipe.evaluation.suites
    if section is not None and "evaluate" in steps and (recipe.pretrain or recipe.sft):
        from lc_data.evaluation.evaluate_suites import check_suites

        check_suites(section)


def _stage_step(report: StageReport) -> Step:
    ledger = report.manifest.ledger
    kept, received = ledger.kept(), ledger.received()
    detail = f"{kept.documents:,} of {received.documents:,} documents kept" if received.documents else ""
    if kept.tokens:
        detail += f", {kept.tokens:,} tokens"
    engines = report.manifest.facts.get("engines", {})
    if engines.get("why_not_gigatoken"):
        reasons = "; ".join(engines["why_not_gigatoken"])
        count = engines["documents"].get("tokenizers", 0)
        detail += f"; {count:,} documents encoded by `tokenizers`, because {reasons}"
    if report.changes:
        detail += f" (again, because {'; '.join(report.changes)})"
    return Step(report.stage, report.ran, report.seconds, detail)


def _train(kind: Kind, recipe: Recipe, run: RunFolder) -> Step:
    from lc_data.training.launch import launch

    started = time.perf_counter()
    outcome = launch(kind, run.uri, recipe)
    return Step(kind, outcome.ran, time.perf_counter() - started, outcome.summary)


def _evaluate(recipe: Recipe, run: RunFolder) -> Step:
    from lc_data.evaluation.evaluate import evaluate_run

    started = time.perf_counter()
    result = evaluate_run(recipe, run.uri)
    return Step("evaluate", result.ran, time.perf_counter() - started, result.summary)


def _report(run: RunFolder, worked: bool) -> Step:
    from lc_data.reports import write_report

    place = run.stage("report").file("index.html")
    if not worked and storage.exists(place):
        return Step("report", False, 0.0, place)
    started = time.perf_counter()
    write_report(run.uri)
    return Step("report", True, time.perf_counter() - started, place)
