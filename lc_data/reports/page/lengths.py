"""How long the documents are, in documents and in tokens, and what length mixing made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lc_data.reports.content import DomainLengths, Lengths, PlanContent, Report
from lc_data.reports.page import charts, numbers
from lc_data.reports.page.markup import Html, element, folded, join, table
from lc_data.reports.page.palette import Palette
from lc_data.reports.page.steps import steps_tables


@dataclass(frozen=True)
class Comparison:
    """Two distributions of one domain over the length bins, as counts."""

    domain: str
    filled: Sequence[int]
    outlined: Sequence[int]
    caption: str


def lengths_section(report: Report, lengths: Lengths, palette: Palette) -> Html:
    """Classes, histograms of the corpus, and what the plans changed."""
    ordered = palette.order(lengths.domains, lambda domain: domain.domain)
    return join(
        element("p", _lead(lengths), class_="lead"),
        element("h3", "Share of documents and share of tokens, by document length"),
        _classes(lengths, ordered),
        steps_tables(lengths, report.plans, ordered),
        element("h3", "The same in finer steps"),
        _corpus_charts(lengths, ordered),
        (_plan_change(lengths, plan, ordered) for plan in report.plans if plan.purpose != "held_out"),
    )


def _lead(lengths: Lengths) -> str:
    documents = [sum(column) for column in zip(*(domain.class_documents for domain in lengths.domains), strict=True)]
    tokens = [sum(column) for column in zip(*(domain.class_tokens for domain in lengths.domains), strict=True)]
    longest = max(domain.longest_tokens for domain in lengths.domains)
    last = max(place for place, count in enumerate(documents) if count)
    lead = (
        f"{numbers.exact(sum(documents))} documents hold {numbers.rounded(sum(tokens))} tokens; the longest has "
        f"{numbers.exact(longest)}."
    )
    if last == 0:
        return lead
    return (
        f"{lead} Documents of {numbers.length(lengths.class_edges_tokens[last])} tokens and more are "
        f"{numbers.percent(documents[last] / sum(documents))} of the documents and "
        f"{numbers.percent(tokens[last] / sum(tokens))} of the tokens."
    )


def _classes(lengths: Lengths, domains: Sequence[DomainLengths]) -> Html:
    edges = lengths.class_edges_tokens
    names = [numbers.length_range(edges, place) for place in range(len(edges))]
    bars, rows = [], []
    for domain in domains:
        for unit, counts in (("documents", domain.class_documents), ("tokens", domain.class_tokens)):
            name = element("span", domain.domain if unit == "documents" else "", class_="name")
            drawing = _class_bar(counts, names, f"{domain.domain}: {unit} by document length")
            bars.append(element("div", name, element("span", unit, class_="unit"), drawing, class_="row"))
            shares = (numbers.percent(share) for share in _shares(counts))
            rows.append([domain.domain, unit, *shares, numbers.exact(sum(counts))])
    return join(
        charts.legend([(f"{name} tokens", f"l{place}", None) for place, name in enumerate(names)]),
        element("div", bars, class_="rows classes"),
        table("Share of each domain by document length in tokens", ["domain", "share of", *names, "all"], rows, 2),
    )


def _class_bar(counts: Sequence[int], names: Sequence[str], label: str) -> Html:
    at, segments = 0.0, []
    for place, (share, name) in enumerate(zip(_shares(counts), names, strict=True)):
        segments.append(charts.Segment(at, at + share, f"l{place}", f"{name}: {numbers.percent(share)}"))
        at += share
    return charts.bar(segments, label)


def _corpus_charts(lengths: Lengths, domains: Sequence[DomainLengths]) -> Html:
    comparisons = [
        Comparison(
            domain.domain,
            domain.tokens,
            domain.documents,
            f"Half the documents have at least {numbers.exact(domain.median_tokens)} tokens; half the tokens are in "
            f"documents of at least {numbers.exact(domain.token_median_tokens)}.",
        )
        for domain in domains
    ]
    rows = [
        [
            domain.domain,
            numbers.length_range(lengths.edges_tokens, place),
            numbers.exact(documents),
            numbers.exact(tokens),
        ]
        for domain in domains
        for place, (documents, tokens) in enumerate(zip(domain.documents, domain.tokens, strict=True))
        if documents
    ]
    head = ["domain", "length in tokens", "documents", "tokens"]
    return join(
        charts.legend([("share of tokens", "column", None), ("share of documents", "outline", None)]),
        _histograms(comparisons, lengths.edges_tokens),
        folded("These lengths as a table", table("Documents and tokens by document length", head, rows, 2)),
    )


def _plan_change(lengths: Lengths, plan: PlanContent, domains: Sequence[DomainLengths]) -> Html:
    planned = {domain.domain: domain.document_tokens for domain in plan.domains}
    mine = [domain for domain in domains if domain.domain in planned]
    comparisons = [
        Comparison(
            domain.domain,
            planned[domain.domain],
            domain.tokens,
            f"{numbers.rounded(sum(domain.tokens))} tokens in the corpus, "
            f"{numbers.rounded(sum(planned[domain.domain]))} in the plan.",
        )
        for domain in mine
    ]
    rows = [
        [domain.domain, numbers.length_range(lengths.edges_tokens, place), numbers.exact(there), numbers.exact(taken),
         numbers.times(taken / there)]
        for domain in mine
        for place, (there, taken) in enumerate(zip(domain.tokens, planned[domain.domain], strict=True))
        if there
    ]  # fmt: skip
    head = ["domain", "length in tokens", "tokens in corpus", "tokens in plan", "seen"]
    return join(
        element("h3", f"Lengths before and after mixing: plan {plan.purpose}"),
        charts.legend([("share of tokens in the plan", "column", None), ("in the corpus", "outline", None)]),
        _histograms(comparisons, lengths.edges_tokens),
        folded("This change as a table", table(f"Tokens by document length, plan {plan.purpose}", head, rows, 2)),
    )


def _histograms(comparisons: Sequence[Comparison], edges_tokens: Sequence[int]) -> Html:
    """A chart for each domain, all on the same two axes."""
    highest = max((max(*_shares(one.filled), *_shares(one.outlined)) for one in comparisons), default=0.0)
    y_ticks = charts.nice_ticks(0, highest or 1.0, 4)
    y = charts.Axis("share", 0, y_ticks[-1], [(tick, f"{tick * 100:.0f}%") for tick in y_ticks])
    x = charts.Axis(
        "document length in tokens (each column doubles it)", 0, len(edges_tokens), charts.octave_ticks(edges_tokens)
    )
    figures = (
        element(
            "figure",
            element("h4", one.domain),
            charts.histogram(_shares(one.filled), _shares(one.outlined), x, y, f"{one.domain}: {one.caption}"),
            element("figcaption", one.caption),
        )
        for one in comparisons
    )
    return element("div", figures, class_="charts")


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]
