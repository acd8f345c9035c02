"""What balance and pack left in their manifests about a plan, under the names of the report."""

from __future__ import annotations

from typing import Any

from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.reports.promises import (
    DomainDraw,
    LongShare,
    Loss,
    MixtureStage,
    PlanPromises,
    Stretch,
    TakeDown,
    Window,
)

STRETCHES = 100
"""A plan of billions of tokens has thousands of blocks: neighbours are added up until so many of a stage are left."""


def read_promises(plan: dict[str, Any], asked: dict[str, Any], corpus: TokenizedCorpus) -> PlanPromises | None:
    """Read the facts of a plan, and of its purpose in balance (empty for held-out documents).

    None for a plan of an older version of lc_data, which did not write them.
    """
    if "take_down" not in plan or (asked and "stages" not in asked):
        return None
    draws = asked.get("stages", [])
    return PlanPromises(
        method=plan["method"],
        order=plan["order"],
        documents_cut=plan["documents_cut"],
        edges_tokens=[0, *corpus.edges_tokens],
        stages=[_stage(draw, rows) for draw, rows in zip(draws, plan["stages"] if draws else [], strict=True)],
        window=_window(plan["windows"]["any"]),
        batch_window=_window(plan["windows"]["whole_batches"]),
        stretches=thin([Stretch.model_validate(_without_sizes(stretch)) for stretch in plan["stretches"]], STRETCHES),
        tokens_by_piece_length={int(size): row for size, row in plan.get("tokens_by_piece_length", {}).items()},
        attention_ranks=plan["attention"]["ranks"],
        attention_max_over_mean=plan["attention"]["max_over_mean"],
        losses={reason: Loss.model_validate(loss) for reason, loss in plan["losses"].items()},
        take_down=TakeDown.model_validate(plan["take_down"]),
    )


def thin(stretches: list[Stretch], most: int) -> list[Stretch]:
    """Add up neighbours so that at most ``most`` stretches of each stage are left; nothing is left out."""
    thinned: list[Stretch] = []
    for stage in sorted({stretch.stage for stretch in stretches}):
        mine = [stretch for stretch in stretches if stretch.stage == stage]
        width = -(-len(mine) // most)
        thinned += [_sum(mine[at : at + width]) for at in range(0, len(mine), width)]
    return thinned


def _sum(stretches: list[Stretch]) -> Stretch:
    first = stretches[0]
    tokens = {name: sum(one.tokens_by_domain[name] for one in stretches) for name in first.tokens_by_domain}
    packs = sum(one.packs for one in stretches)
    return Stretch(stage=first.stage, first_pack=first.first_pack, packs=packs, tokens_by_domain=tokens)


def _without_sizes(stretch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stretch.items() if name != "tokens_by_piece_length"}


def _stage(draw: dict[str, Any], rows: dict[str, Any]) -> MixtureStage:
    domains = [
        DomainDraw(
            domain=name,
            asked_share=one["asked_share"],
            settled_share=one["wanted_share"],
            tokens=rows["tokens_by_domain"][name],
            epochs=one["epochs"],
            most_epochs=one["most_epochs"],
            bound=one["bound"],
            tokens_by_bucket=rows["tokens_by_domain_bucket"][name],
        )
        for name, one in draw["domains"].items()
    ]
    return MixtureStage(
        name=draw["name"],
        from_token=draw["from_token"],
        from_step=draw["from_step"],
        first_pack=rows["first_pack"],
        packs=rows["packs"],
        tokens=rows["tokens"],
        budget_tokens=draw["budget_tokens"],
        share_off=rows["share_off"],
        domains=domains,
        long=LongShare.model_validate(draw["long"]) if draw["long"] else None,
    )


def _window(facts: dict[str, Any] | None) -> Window | None:
    return Window.model_validate(facts) if facts else None
