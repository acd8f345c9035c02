"""``lc-data plan``: shares, repeats, rows, hours and disk of a recipe, before anything of it is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.forecast.planning import Planned, plan_index
from lc_data.forecast.result import Cell, Cost, DomainPlan, Forecast, PurposePlan
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.stages import bucket


def forecast(recipe: Recipe, run: RunFolder, tokens_per_second: float | None = None) -> Forecast:
    """Plan a recipe over the index of a run whose bucket stage is that of the recipe.

    Writes nothing but a temporary folder, which is removed. Raises RecipeError when there is no such index, when the
    mixture cannot be had (naming what binds), when the plan is smaller than one batch, and when the disk is too small.
    """
    index = run.stage("bucket")
    if not index.is_published():
        raise RecipeError(
            f"{run.uri} has no index to plan from: bring one up to date with `lc-data bucket RECIPE --out {run.uri}`"
        )
    manifest = index.manifest()
    if manifest.config != json.loads(json.dumps(bucket.STAGE.config(recipe))):
        raise RecipeError(
            f"the index of {run.uri} was made with another tokenizer or other buckets than this recipe's: bring it up "
            f"to date with `lc-data bucket RECIPE --out {run.uri}`"
        )
    planned = plan_index(recipe, run)
    edges = manifest.facts["edges_tokens"]
    purposes = [_purpose(recipe, name, planned, edges) for name in ("pretrain", "sft") if name in planned.plans]
    kept = manifest.ledger.kept()
    found = Forecast(
        recipe=recipe.name,
        origin="index",
        documents=kept.documents,
        tokens=kept.tokens,
        thinned_by=planned.thinned_by,
        purposes=purposes,
        cost=_cost(recipe, run, planned, purposes, tokens_per_second),
    )
    _refuse(found)
    return found


def _purpose(recipe: Recipe, name: str, planned: Planned, edges: Sequence[int]) -> PurposePlan:
    mixture = recipe.mixture if name == "pretrain" else recipe.sft_mixture
    facts = planned.plans[name]
    cells = _cells([row for row in planned.sampling if row["purpose"] == name], edges)
    total = sum(cell.planned_tokens for cell in cells)
    there = sum(cell.available_tokens for cell in cells)
    long = [cell for cell in cells if cell.from_tokens >= mixture.lengths.threshold_tokens]
    domains = []
    for domain in sorted({cell.domain for cell in cells}):
        mine = [cell for cell in cells if cell.domain == domain]
        tokens = sum(cell.planned_tokens for cell in mine)
        domains.append(
            DomainPlan(
                domain=domain,
                natural_share=sum(cell.available_tokens for cell in mine) / max(there, 1),
                planned_share=tokens / max(total, 1),
                planned_tokens=tokens,
                epochs=max(cell.epochs for cell in mine),
            )
        )
    return PurposePlan(
        purpose=name,
        seq_len=facts["seq_len"],
        packs=facts["packs"],
        planned_tokens=total,
        fill=facts["fill"],
        batches=facts["packs"] // facts["global_batch_packs"],
        long_share_before=sum(cell.available_tokens for cell in long) / max(there, 1),
        long_share_after=sum(cell.planned_tokens for cell in long) / max(total, 1),
        domains=domains,
        cells=cells,
    )


def _cells(rows: list[dict[str, Any]], edges: Sequence[int]) -> list[Cell]:
    """The cells of a purpose, what its mixture stages draw added up."""
    cells: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        cell = cells.setdefault((row["domain"], row["bucket"]), row | {"planned_tokens": 0})
        cell["planned_tokens"] += row["planned_tokens"]
    borders = [0, *edges]
    return [
        Cell(
            domain=domain,
            from_tokens=borders[number],
            to_tokens=borders[number + 1] if number + 1 < len(borders) else None,
            documents=cell["documents"],
            tokens=cell["tokens"],
            available_tokens=cell["available_tokens"],
            planned_tokens=cell["planned_tokens"],
            epochs=cell["planned_tokens"] / max(cell["available_tokens"], 1),
        )
        for (domain, number), cell in sorted(cells.items())
    ]


def _cost(
    recipe: Recipe, run: RunFolder, planned: Planned, purposes: list[PurposePlan], tokens_per_second: float | None
) -> Cost:
    section = recipe.pretrain
    tokens = next((purpose.planned_tokens for purpose in purposes if purpose.purpose == "pretrain"), 0)
    if section is not None:
        tokens = section.total_tokens or (section.steps * section.batch_tokens if section.steps else tokens)
    rate = tokens_per_second or _measured_rate(run)
    return Cost(
        plan_disk_bytes=planned.disk_bytes,
        free_disk_bytes=_free_bytes(run.uri),
        training_tokens=tokens,
        tokens_per_second=rate,
        training_hours=None if rate is None else tokens / rate / 3600,
    )


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


def _refuse(found: Forecast) -> None:
    for purpose in found.purposes:
        if not purpose.batches:
            raise RecipeError(
                f"{purpose.purpose}: {purpose.packs} rows of {purpose.seq_len} tokens are less than one global batch: "
                "give more documents, a larger budget_tokens, or a smaller pack.global_batch_packs"
            )
    free, needed = found.cost.free_disk_bytes, found.cost.plan_disk_bytes
    if free is not None and needed > free:
        raise RecipeError(f"the plan takes {needed / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB are free there")
