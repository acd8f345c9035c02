"""What a recipe takes of this machine, and whether the machine has it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.forecast.result import Cost, Forecast, PurposePlan, StageCost
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe


def count_workers(recipe: Recipe) -> int:
    """Tasks at once: as the recipe says, or the cores of this machine."""
    if recipe.engine.backend == "serial":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return recipe.engine.workers or cores


def add_up(
    recipe: Recipe,
    run: RunFolder,
    stages: Sequence[StageCost],
    purposes: Sequence[PurposePlan],
    tokens_per_second: float | None,
) -> Cost:
    """The cost of the stages one after the other, and of the training."""
    section = recipe.pretrain
    tokens = next((purpose.planned_tokens for purpose in purposes if purpose.purpose == "pretrain"), 0)
    if section is not None:
        tokens = section.total_tokens or (section.steps * section.batch_tokens if section.steps else tokens)
    rate = tokens_per_second or _measured_rate(run)
    left, most = 0, 0
    for stage in stages:
        most = max(most, left + stage.working_disk_bytes)
        left += stage.disk_bytes
    return Cost(
        stages=list(stages),
        workers=count_workers(recipe),
        hours=sum(stage.hours for stage in stages),
        memory_bytes=max((stage.memory_bytes for stage in stages), default=0),
        machine_memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk_bytes=max(most, left),
        free_disk_bytes=_free_bytes(run.uri),
        training_tokens=tokens,
        tokens_per_second=rate,
        training_hours=None if rate is None else tokens / rate / 3600,
    )


def refuse_impossible(recipe: Recipe, found: Forecast) -> Forecast:
    """Raise RecipeError for what this machine or this corpus does not give, with both numbers.

    Too few dialogues for a batch, in a recipe that trains on none, is a warning of the forecast that is returned.
    """
    warnings = []
    for purpose in found.purposes:
        if purpose.batches:
            continue
        problem = (
            f"{purpose.purpose}: {purpose.packs} rows of {purpose.seq_len} tokens are less than one global batch: "
            "give more documents, a larger budget_tokens, or a smaller pack.global_batch_packs"
        )
        if purpose.purpose == "pretrain" or recipe.sft is not None:
            raise RecipeError(problem)
        warnings.append(problem)
    cost = found.cost
    if cost.free_disk_bytes is not None and cost.disk_bytes > cost.free_disk_bytes:
        largest = max(cost.stages, key=lambda stage: stage.working_disk_bytes)
        raise RecipeError(
            f"the run takes {cost.disk_bytes / 1e9:.2f} GB of disk, {cost.free_disk_bytes / 1e9:.2f} GB are free there "
            f"(most of it in {largest.stage}: {largest.working_disk_bytes / 1e9:.2f} GB): give another --out"
        )
    if cost.memory_bytes > cost.machine_memory_bytes:
        largest = max(cost.stages, key=lambda stage: stage.memory_bytes)
        raise RecipeError(
            f"{largest.stage} takes {largest.memory_bytes / 1e9:.1f} GB of memory with {cost.workers} workers, this "
            f"machine has {cost.machine_memory_bytes / 1e9:.1f} GB: set engine.workers to fewer"
        )
    return found.model_copy(update={"warnings": [*found.warnings, *warnings]})


def _measured_rate(run: RunFolder) -> float | None:
    """Tokens a second of the run's own pretraining: the median of its steps; None when there was none."""
    uri = storage.join(run.stage("pretrain").uri, "metrics.jsonl")
    if not storage.exists(uri):
        return None
    lines = storage.read_bytes(uri).decode().split("\n")[:-1]
    rates = sorted(json.loads(line)["tokens_per_second"] for line in lines)
    return rates[len(rates) // 2] if rates else None


def _free_bytes(uri: str) -> int | None:
    if not storage.is_local(uri):
        return None
    place = Path(storage.local_path(uri)).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
