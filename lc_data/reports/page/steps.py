"""Documents and tokens in even steps of 4K tokens of length, of each domain, before and after mixing."""

from __future__ import annotations

from collections.abc import Sequence

from lc_data.reports.content import DomainLengths, Lengths, PlanContent
from lc_data.reports.page import numbers
from lc_data.reports.page.markup import Html, element, folded, join, table
from lc_data.reports.page.palette import ALL


def steps_tables(lengths: Lengths, plans: Sequence[PlanContent], domains: Sequence[DomainLengths]) -> Html:
    """A table of the corpus, and one of what each plan made of it."""
    edges = lengths.step_edges_tokens
    head = ["domain", "what", *(f"{numbers.length_range(edges, place)}" for place in range(len(edges))), "all"]
    rows = _rows({domain.domain: (domain.step_documents, domain.step_tokens) for domain in domains})
    names = [domain.domain for domain in domains]
    corpus = {domain.domain: domain.step_tokens for domain in domains}
    return join(
        element("h3", "Documents and tokens by length in steps of 4K tokens"),
        table("Before mixing: every document of the corpus once", head, rows, text_columns=2),
        (
            folded(
                f"After mixing: the plan {plan.purpose}",
                table(f"After mixing: the plan {plan.purpose}", head, _plan_rows(plan, names, corpus), text_columns=2),
            )
            for plan in plans
            if plan.purpose != "held_out" and plan.tokens
        ),
    )


def _plan_rows(plan: PlanContent, names: Sequence[str], corpus: dict[str, list[int]]) -> list[list[str]]:
    """Counts of the plan, then the shares of tokens before and after, of the plan's domains together."""
    drawn = {domain.domain: (domain.step_documents, domain.step_tokens) for domain in plan.domains}
    ordered = {name: drawn[name] for name in names if name in drawn}
    before = [sum(column) for column in zip(*(corpus[name] for name in ordered), strict=True)]
    after = [sum(column) for column in zip(*(tokens for _, tokens in ordered.values()), strict=True)]
    return [
        *_rows(ordered),
        [ALL, "share of tokens before", *_shares(before)],
        [ALL, "share of tokens after", *_shares(after)],
    ]


def _rows(counts: dict[str, tuple[list[int], list[int]]]) -> list[list[str]]:
    rows = []
    for name, (documents, tokens) in counts.items():
        rows.append([name, "documents", *map(numbers.exact, documents), numbers.exact(sum(documents))])
        rows.append([name, "tokens", *map(numbers.exact, tokens), numbers.exact(sum(tokens))])
    return rows


def _shares(counts: list[int]) -> list[str]:
    total = sum(counts)
    return [numbers.percent(count / total if total else None) for count in (*counts, total)]
