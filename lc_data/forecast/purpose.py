"""What each purpose of a recipe would be trained on, by domain and by cell, from what the stages planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lc_data.forecast.planning import Planned
from lc_data.forecast.result import Cell, DomainPlan, PurposePlan
from lc_data.recipe.recipe import Recipe

CellBounds = Mapping[tuple[str, int], tuple[int, int, int]]
"""Expected tokens of a domain and bucket, the least and the most."""


@dataclass(frozen=True)
class Uncertain:
    """How far the plan of an estimated corpus may be off."""

    cells: CellBounds
    purposes: Mapping[str, str]
    """By domain."""
    scarce: Planned | None
    """Planned over a corpus with few tokens; None where that could not be planned."""
    plentiful: Planned | None


def describe_purposes(
    recipe: Recipe, planned: Planned, edges: Sequence[int], uncertain: Uncertain | None = None
) -> list[PurposePlan]:
    """The purposes that have a plan, pretraining first."""
    found = [_purpose(recipe, name, planned, edges) for name in ("pretrain", "sft") if name in planned.plans]
    return found if uncertain is None else [_bound(each, uncertain, recipe, edges) for each in found]


def _purpose(recipe: Recipe, name: str, planned: Planned, edges: Sequence[int]) -> PurposePlan:
    mixture = recipe.mixture if name == "pretrain" else recipe.sft_mixture
    facts = planned.plans[name]
    cells = _cells([row for row in planned.sampling if row["purpose"] == name], edges)
    total = sum(cell.planned_tokens for cell in cells)
    there = sum(cell.available_tokens for cell in cells)
    long = [cell for cell in cells if cell.from_tokens >= mixture.lengths.threshold_tokens]
    return PurposePlan(
        purpose=name,
        seq_len=facts["seq_len"],
        packs=facts["packs"],
        packs_low=facts["packs"],
        packs_high=facts["packs"],
        planned_tokens=total,
        fill=facts["fill"],
        batches=facts["packs"] // facts["global_batch_packs"],
        long_share_before=sum(cell.available_tokens for cell in long) / max(there, 1),
        long_share_after=sum(cell.planned_tokens for cell in long) / max(total, 1),
        domains=[_domain(domain, cells, there, total) for domain in sorted({cell.domain for cell in cells})],
        cells=cells,
    )


def _domain(domain: str, cells: Sequence[Cell], there: int, total: int) -> DomainPlan:
    mine = [cell for cell in cells if cell.domain == domain]
    tokens, epochs = sum(cell.planned_tokens for cell in mine), max(cell.epochs for cell in mine)
    return DomainPlan(
        domain=domain,
        natural_share=sum(cell.available_tokens for cell in mine) / max(there, 1),
        planned_share=tokens / max(total, 1),
        planned_tokens=tokens,
        epochs=epochs,
        epochs_low=epochs,
        epochs_high=epochs,
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
            tokens_low=cell["tokens"],
            tokens_high=cell["tokens"],
            available_tokens=cell["available_tokens"],
            planned_tokens=cell["planned_tokens"],
            epochs=cell["planned_tokens"] / max(cell["available_tokens"], 1),
        )
        for (domain, number), cell in sorted(cells.items())
    ]


def _bound(purpose: PurposePlan, uncertain: Uncertain, recipe: Recipe, edges: Sequence[int]) -> PurposePlan:
    """The purpose with the ends of its intervals; cells that may be there and are not expected are added."""
    borders = [0, *edges, None]
    known = {(cell.domain, borders.index(cell.from_tokens)): cell for cell in purpose.cells}
    cells = []
    for (domain, bucket), (tokens, low, high) in sorted(uncertain.cells.items()):
        if uncertain.purposes[domain] != purpose.purpose or not high:
            continue
        empty = Cell(
            domain=domain, from_tokens=borders[bucket] or 0, to_tokens=borders[bucket + 1], documents=0, tokens=0,
            tokens_low=0, tokens_high=0, available_tokens=0, planned_tokens=0, epochs=0.0,
        )  # fmt: skip
        cell = known.get((domain, bucket), empty)
        cells.append(cell.model_copy(update={"tokens": tokens, "tokens_low": low, "tokens_high": high}))
    others = [
        _purpose(recipe, purpose.purpose, planned, edges)
        for planned in (uncertain.scarce, uncertain.plentiful)
        if planned is not None and purpose.purpose in planned.plans
    ]
    packs = [purpose.packs, *(other.packs for other in others)]
    domains = []
    for plan in purpose.domains:
        same = [each.epochs for other in others for each in other.domains if each.domain == plan.domain]
        epochs = [plan.epochs, *same]
        domains.append(plan.model_copy(update={"epochs_low": min(epochs), "epochs_high": max(epochs)}))
    update = {"cells": cells, "domains": domains, "packs_low": min(packs), "packs_high": max(packs)}
    return purpose.model_copy(update=update)
