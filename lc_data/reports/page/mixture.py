"""The mixture: what was wanted of each domain, what was decided, and what the rows hold."""

from __future__ import annotations

from dataclasses import dataclass

from lc_data.reports.content import PlanContent, PlanDomain
from lc_data.reports.page import charts, numbers
from lc_data.reports.page.markup import Html, element, join, table
from lc_data.reports.page.palette import Palette
from lc_data.reports.page.stages import stages_part


@dataclass(frozen=True)
class Part:
    """One domain's part of a plan and of the corpus, as shares."""

    domain: PlanDomain
    in_plan: float
    in_corpus: float
    planned: float

    @property
    def wanted(self) -> float:
        """The share that the recipe asks for."""
        return self.domain.wanted_share or 0.0


def mixture_section(plans: list[PlanContent], palette: Palette) -> Html:
    """Every plan that somebody weighed."""
    return join(_plan(plan, palette) for plan in plans)


def _plan(plan: PlanContent, palette: Palette) -> Html:
    parts = _parts(plan, palette)
    off = max((abs(part.in_plan - part.wanted) for part in parts), default=0.0)
    most = max((part.domain.most_repeats for part in parts), default=0)
    seen = "no document is seen twice" if most <= 1 else f"no document is seen more than {most} times"
    lead = (
        f"{numbers.rounded(plan.tokens)} tokens. The share of every domain is within {off * 100:.2f} points of what "
        f"was wanted, and {seen}."
    )
    widest = max((max(part.in_plan, part.in_corpus, part.wanted) for part in parts), default=0.0) or 1.0
    legend = [
        ("share of the plan", "domains", None),
        ("wanted", "marker", None),
        ("share of the corpus", "corpus", None),
    ]
    return join(
        element("h3", f"Mixture of the plan {plan.purpose}"),
        element("p", lead, class_="lead"),
        charts.legend(legend),
        element("div", (_row(part, widest, palette) for part in parts), class_="rows mixture"),
        _table(plan, parts),
        stages_part(plan, palette),
    )


def _parts(plan: PlanContent, palette: Palette) -> list[Part]:
    tokens = plan.tokens or 1
    available = sum(domain.available_tokens or 0 for domain in plan.domains) or 1
    planned = sum(domain.planned_tokens or 0 for domain in plan.domains) or 1
    return [
        Part(
            domain,
            in_plan=domain.tokens / tokens,
            in_corpus=(domain.available_tokens or 0) / available,
            planned=(domain.planned_tokens or 0) / planned,
        )
        for domain in palette.order(plan.domains, lambda domain: domain.domain)
    ]


def _row(part: Part, widest: float, palette: Palette) -> Html:
    name = part.domain.domain
    text = f"{name}: {numbers.percent(part.in_plan)} of the plan, wanted {numbers.percent(part.wanted)}"
    realised = charts.bar(
        [charts.Segment(0, part.in_plan / widest, palette.style(name), text)], text, part.wanted / widest
    )
    before = f"{name}: {numbers.percent(part.in_corpus)} of the corpus"
    corpus = charts.bar([charts.Segment(0, part.in_corpus / widest, "corpus", before)], before)
    return element(
        "div",
        element("span", name, class_="name"),
        element("span", numbers.percent(part.in_plan), class_="unit"),
        element("div", realised, element("div", corpus, class_="thin")),
        class_="row",
    )


def _table(plan: PlanContent, parts: list[Part]) -> Html:
    rows = []
    for part in parts:
        domain, there = part.domain, part.domain.available_tokens or 0
        rows.append([
            domain.domain,
            numbers.exact(there),
            numbers.percent(part.in_corpus),
            numbers.percent(part.wanted, 2),
            numbers.percent(part.planned, 2),
            numbers.percent(part.in_plan, 2),
            numbers.points(part.in_plan - part.wanted),
            numbers.exact(domain.tokens),
            numbers.times(domain.tokens / there) if there else numbers.NONE,
            numbers.exact(domain.most_repeats),
        ])  # fmt: skip
    head = ["domain", "tokens to draw from", "share of corpus", "wanted", "planned", "in the rows", "off by, points",
            "tokens in the rows", "mean repeats", "most repeats of a document"]  # fmt: skip
    return table(f"Mixture of the plan {plan.purpose}, in shares of its tokens", head, rows)
