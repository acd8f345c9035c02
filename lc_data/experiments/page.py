"""The page of an experiment: its verdict first, then the claims, the table with the spread over seeds, and the data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import yaml

from lc_data.experiments.result import ArmResult, Result
from lc_data.experiments.verdict import Found, Judgement, spread
from lc_data.reports.page import numbers
from lc_data.reports.page.markup import Html, element, folded, join, table
from lc_data.reports.page.shell import Section, render_document

_WIDTH, _ROW, _LEFT, _RIGHT = 360, 22, 100, 350
_COLUMNS = 6
"""Measures of one table."""
RULE = (
    "Arms are compared seed by seed. Around the mean difference lies an interval that reaches, to each side, as far as "
    "the largest and the smallest of the seeds' differences are apart, and at least twice the standard error of the "
    "questions where a measure is a share of them. A claim is supported when the whole interval lies within its "
    "bounds, contradicted when it lies wholly outside of them, and otherwise the experiment was too small to say."
)
NAMES = {
    "loss": "loss, nats/token",
    "loss_short": "loss, short positions",
    "loss_long": "loss, long positions",
    "long_gain": "gain from long context",
    "cloze": "cloze accuracy",
    "needle_short": "needle, short",
    "needle_long": "needle, long",
}
_SHARES = ("cloze", "needle_short", "needle_long")


def render_experiment(result: Result) -> str:
    """The page as one HTML file that needs nothing else."""
    sections = [
        Section("verdict", "Verdict", _headline(result.verdict), _verdicts(result)),
        Section("scores", "Scores", "Every arm, with the spread over seeds", _scores(result)),
        Section("data", "Data", "What each arm trained on", _data(result)),
        Section("definition", "Definition", "How it was asked", _definition(result)),
    ]
    return render_document(result.experiment.title, _header(result), sections, _FOOTER)


def render_overview(results: Sequence[Result]) -> str:
    """A page of the verdicts of several experiments, linked to theirs."""
    rows = [
        [result.experiment.title, claim.text, claim.verdict] for result in results for claim in result.judgements
    ]  # fmt: skip
    links = (
        element("li", element("a", result.experiment.title, href=f"{result.experiment.name}/index.html"))
        for result in results
    )
    content = join(
        table("Published claims and what became of them here", ["experiment", "claim", "verdict"], rows, 3),
        element("p", RULE, class_="note"),
        element("ul", links),
    )
    header = element(
        "header",
        element("h1", "Published claims, in miniature"),
        element("p", f"{len(results)} experiments at the size {results[0].size_name}."),
    )
    return render_document(
        "Published claims, in miniature", header, [Section("verdicts", "Verdicts", "Verdicts", content)], _FOOTER
    )


_FOOTER = "Written by lc_data. All figures, by seed, are in result.json beside each experiment's page."


def _header(result: Result) -> Html:
    size = result.size
    facts = [
        ("arms", str(len(result.arms))),
        ("seeds", str(len(size.seeds))),
        ("tokens per arm and seed", numbers.rounded(size.arm_tokens)),
        ("tokens of a row", numbers.length(size.long_tokens)),
    ]
    tiles = (element("div", element("dt", name), element("dd", value)) for name, value in facts)
    return element(
        "header",
        element("h1", result.experiment.title),
        element("p", result.experiment.question),
        element("dl", tiles, class_="facts"),
    )


def _headline(verdict: str) -> str:
    return {
        "supported": "As published",
        "contradicted": "Other than published",
        "too small to say": "Too small to say",
    }[verdict]


def _verdicts(result: Result) -> Html:
    return join(
        *(_claim(one) for one in result.judgements),
        element("p", f"The rule: {RULE}", class_="note"),
        element("p", f"Size: {result.size_name}. A miniature says what small models do, no more.", class_="note"),
    )


def _claim(one: Judgement) -> Html:
    rows = [_found(found) for found in one.found]
    conditions = [_found(found) for found in one.given]
    head = ["measure", "difference", "claimed", "mean", "interval", "by itself"]
    return join(
        element("h3", f"{one.text}: {one.verdict}"),
        element("p", f"Published in {one.source}. Here: {one.why}."),
        table("What the claim rests on", head, rows, text_columns=3),
        folded("What must be seen first", table("Conditions", head, conditions, text_columns=3))
        if conditions
        else None,
    )


def _found(one: Found) -> list[str]:
    percent = "%" in one.bounds
    subject = one.arm if one.than is None else f"{one.arm} less {one.than}"
    low, mean, high = (_signed(value, percent) for value in (one.low, one.mean, one.high))
    return [_name(one.measure), subject, one.bounds, mean, f"{low} to {high}", one.verdict]


def _signed(value: float, percent: bool) -> str:
    if not math.isfinite(value):
        return numbers.NONE
    return f"{value * 100:+.2f}%" if percent else f"{value:+.4f}"


def _scores(result: Result) -> Html:
    names = result.measures
    parts = [names[first : first + _COLUMNS] for first in range(0, len(names), _COLUMNS)]
    tables = (
        table(
            "Mean over seeds, \N{PLUS-MINUS SIGN} half of how far they are apart",
            ["arm", *(_name(name) for name in part)],
            [[arm.name, *(_cell(arm, name) for name in part)] for arm in result.arms],
        )
        for part in parts
    )
    figures = (element("figure", _strip(result.arms, name), element("figcaption", _name(name))) for name in names)
    return join(
        element("p", "Losses: lower is better. Needles: the share found among 16 candidates, chance is 6.25%."),
        join(tables),
        element("p", "Each dot is a seed, the stroke their mean.", class_="note"),
        element("div", figures, class_="charts"),
    )


def _cell(arm: ArmResult, measure: str) -> str:
    values, mean = arm.values(measure), arm.mean(measure)
    if mean is None:
        return numbers.NONE
    if measure in _SHARES:
        return f"{mean * 100:.1f}% \N{PLUS-MINUS SIGN}{spread(values) * 50:.1f}"
    return f"{mean:.4f} \N{PLUS-MINUS SIGN}{spread(values) / 2:.4f}"


def _strip(arms: Sequence[ArmResult], measure: str) -> Html:
    """A row for each arm with a dot for each seed, on a common scale."""
    every = [value for arm in arms for value in arm.values(measure)]
    low, high = min(every), max(every)
    width = (high - low) or 1.0
    drawn: list[Html] = []

    def place(value: float) -> float:
        return _LEFT + 8 + (value - low) / width * (_RIGHT - _LEFT - 16)

    for number, arm in enumerate(arms):
        y = _ROW * number + _ROW / 2
        drawn.append(element("text", arm.name, x=_LEFT - 6, y=y + 4, class_="tick end"))
        drawn.append(element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="grid"))
        mean = arm.mean(measure)
        if mean is not None:
            drawn.append(element("line", x1=place(mean), x2=place(mean), y1=y - 7, y2=y + 7, class_="line ink"))
            drawn += [element("circle", cx=place(v), cy=y, r=3.5, class_="dot c0") for v in arm.values(measure)]
    bottom = _ROW * len(arms)
    shown = (lambda v: f"{v * 100:.1f}%") if measure in _SHARES else (lambda v: f"{v:.3f}")
    drawn.append(element("text", shown(low), x=_LEFT, y=bottom + 13, class_="tick"))
    drawn.append(element("text", shown(high), x=_RIGHT, y=bottom + 13, class_="tick end"))
    return element(
        "svg", drawn, class_="chart", viewBox=f"0 0 {_WIDTH} {bottom + 18}", role="img",
        aria_label=f"{_name(measure)} by arm and seed",
    )  # fmt: skip


def _data(result: Result) -> Html:
    domains = list(dict.fromkeys(domain for arm in result.arms for domain in arm.shares))
    rows = [
        [
            arm.name,
            arm.what,
            numbers.exact(arm.tokens) if arm.tokens else "not trained",
            numbers.percent(arm.long_share),
            *(numbers.percent(arm.shares.get(domain)) for domain in domains),
        ]
        for arm in result.arms
    ]
    head = ["arm", "what it does", "tokens trained", "in long documents", *domains]
    note = (
        f"Shares are of the tokens of the plan, as packed. A document is long from "
        f"{numbers.exact(result.size.threshold_tokens)} tokens on. All arms share documents, tokens and held-out set."
    )
    return join(table("What the arms trained on", head, rows, text_columns=2), element("p", note, class_="note"))


def _definition(result: Result) -> Html:
    arms = [[arm.name, arm.train, arm.rope, " ".join(arm.overrides) or numbers.NONE]
            for arm in result.experiment.arms]  # fmt: skip
    text = yaml.safe_dump(result.experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return join(
        table("What each arm changes", ["arm", "training", "rope", "overrides"], arms, text_columns=4),
        folded("The whole definition", element("pre", text, tabindex="0")),
    )


def _name(measure: str) -> str:
    if measure.startswith("loss."):
        return f"loss, {measure.removeprefix('loss.')}"
    return NAMES.get(measure, measure)
