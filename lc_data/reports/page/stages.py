"""The stages of a mixture: what each was asked for, what it settled on, what its rows hold, and what bound it."""

from __future__ import annotations

from lc_data.reports.content import PlanContent
from lc_data.reports.page import numbers
from lc_data.reports.page.markup import Html, element, folded, join, table
from lc_data.reports.page.palette import Palette
from lc_data.reports.promises import DomainDraw, MixtureStage, PlanPromises

_BOUNDS = {
    "one_epoch": "it ends the epoch: all of it is seen once",
    "max_epochs": "gives all that max_epochs allows",
    "min_long_share": "moved by min_long_share",
    "max_long_share": "moved by max_long_share",
}


def stages_part(plan: PlanContent, palette: Palette) -> Html:
    """Tables by stage, of the lengths drawn, and of the long share; a sentence where an older version said nothing."""
    if plan.promises is None:
        text = "This plan was made by an older version of lc_data, which did not say what was asked for stage by stage."
        return element("p", text, class_="note")
    stages = [stage for stage in plan.promises.stages if stage.domains]
    if not stages:
        return join()
    return join(
        element("p", _lead(stages), class_="lead"),
        _domains_table(plan.purpose, stages, palette),
        _stage_table(plan.purpose, stages),
        folded("Tokens by domain and length of the document, stage by stage", _buckets(plan, stages, palette)),
    )


def _lead(stages: list[MixtureStage]) -> str:
    moved = [
        (abs(draw.settled_share - draw.asked_share), draw.domain, stage) for stage in stages for draw in stage.domains
    ]
    most, domain, stage = max(moved, key=lambda item: item[0])
    count = "The mixture has one stage" if len(stages) == 1 else f"The mixture has {len(stages)} stages"
    if most < 5e-5:
        return f"{count}; what was asked for can be had, so it is what was settled on."
    return (
        f"{count}; what was asked for could not be had in full: {domain} in stage {stage.name} was moved by "
        f"{most * 100:.2f} points."
    )


def _domains_table(purpose: str, stages: list[MixtureStage], palette: Palette) -> Html:
    rows = [
        [
            stage.name,
            draw.domain,
            _bound_in_words(draw),
            numbers.percent(draw.asked_share, 2),
            numbers.percent(draw.settled_share, 2),
            numbers.percent(draw.tokens / max(stage.tokens, 1), 2),
            numbers.exact(draw.tokens),
            numbers.times(draw.epochs),
            numbers.times(draw.most_epochs),
        ]
        for stage in stages
        for draw in palette.order(stage.domains, lambda draw: draw.domain)
    ]
    head = ["stage", "domain", "what binds", "asked for", "settled on", "in the rows", "tokens in the rows",
            "epochs", "epochs of the most repeated length"]  # fmt: skip
    return table(f"Stages of the plan {purpose}: shares of each stage's tokens", head, rows, text_columns=3)


def _bound_in_words(draw: DomainDraw) -> str:
    return "; ".join(_BOUNDS.get(reason, reason) for reason in draw.bound) or "nothing"


def _stage_table(purpose: str, stages: list[MixtureStage]) -> Html:
    rows = [
        [
            stage.name,
            numbers.exact(stage.from_token),
            numbers.exact(stage.from_step),
            numbers.exact(stage.packs),
            numbers.exact(stage.budget_tokens),
            numbers.exact(stage.tokens),
            f"{stage.share_off * 100:.3f}",
            numbers.length(stage.long.threshold_tokens) if stage.long else numbers.NONE,
            numbers.percent(stage.long.before if stage.long else None, 2),
            numbers.percent(stage.long.after if stage.long else None, 2),
        ]
        for stage in stages
    ]
    head = ["stage", "begins at token", "begins at step", "rows", "tokens to draw", "tokens in the rows",
            "farthest domain off its plan, points", "long is at least, tokens", "long share before mixing",
            "long share after"]  # fmt: skip
    return table(f"Where the stages of the plan {purpose} begin, and their long shares", head, rows)


def _buckets(plan: PlanContent, stages: list[MixtureStage], palette: Palette) -> Html:
    promises: PlanPromises | None = plan.promises
    edges = promises.edges_tokens if promises else []
    head = ["stage", "domain", *(f"{numbers.length_range(edges, place)} tokens" for place in range(len(edges)))]
    rows = [
        [stage.name, draw.domain, *map(numbers.exact, draw.tokens_by_bucket)]
        for stage in stages
        for draw in palette.order(stage.domains, lambda draw: draw.domain)
    ]
    return table(f"Tokens of the plan {plan.purpose} by stage, domain and document length", head, rows, 2)
