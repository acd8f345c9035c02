"""The rows: how full they are, what was cut, and how much of its own document a token can see."""

from __future__ import annotations

from lc_data.reports.content import PlanContent
from lc_data.reports.page import charts, numbers
from lc_data.reports.page.along import along_part
from lc_data.reports.page.markup import Html, element, folded, join, table
from lc_data.reports.page.palette import ALL, Palette


def packs_section(plans: list[PlanContent], edges_tokens: list[int], palette: Palette) -> Html:
    """The rows of every plan, and the context in those that a model is trained on."""
    rows = [
        [plan.purpose, numbers.exact(plan.seq_len), numbers.exact(plan.packs), numbers.exact(plan.tokens),
         numbers.percent(plan.fill, 2), numbers.exact(plan.padding_tokens), numbers.exact(plan.pieces),
         " / ".join(map(str, plan.pieces_per_pack)), numbers.exact(plan.documents_cut),
         numbers.exact(plan.documents_shortened)]
        for plan in plans
    ]  # fmt: skip
    head = ["plan", "row length, tokens", "rows", "tokens", "full", "padding tokens", "pieces",
            "pieces a row: least / median / most", "documents in several pieces",
            "documents not seen to their end"]  # fmt: skip
    main = plans[0]
    lead = (
        f"{numbers.exact(main.packs)} rows of {numbers.exact(main.seq_len)} tokens are {numbers.percent(main.fill, 2)} "
        f"full; {numbers.exact(main.documents_cut)} documents are longer than a row and lie in several pieces."
    )
    return join(
        element("p", lead, class_="lead"),
        table("Rows of each plan", head, rows),
        (_context(plan, edges_tokens, palette) for plan in plans if plan.purpose != "held_out" and plan.tokens),
        (along_part(plan, palette) for plan in plans if plan.purpose != "held_out"),
    )


def _context(plan: PlanContent, edges_tokens: list[int], palette: Palette) -> Html:
    domains = palette.order((domain for domain in plan.domains if domain.tokens), lambda domain: domain.domain)
    tokens = {domain.domain: domain.context_tokens for domain in domains}
    mean = {domain.domain: domain.context_sum / domain.tokens for domain in domains}
    whole = sum(domain.context_sum for domain in domains) / plan.tokens
    if len(domains) > 1:
        tokens[ALL], mean[ALL] = [sum(column) for column in zip(*tokens.values(), strict=True)], whole
    reach = {name: _at_least(counts) for name, counts in tokens.items()}
    used = [place for place, edge in enumerate(edges_tokens) if edge < plan.seq_len]
    series = [
        charts.Series(name, [(place, reach[name][place]) for place in used], palette.style(name), palette.dash(name))
        for name in reach
    ]
    x_ticks = charts.octave_ticks([edges_tokens[place] for place in used])
    x = charts.Axis("at least so many tokens of its own document before it", 0, max(used[-1], 1), x_ticks)
    y = charts.Axis("share of tokens", 0, 1, [(share / 4, f"{share * 25}%") for share in range(5)])
    head = [
        "domain",
        "mean context, tokens",
        *(f"at least {numbers.length(edges_tokens[place])}" for place in used[1:]),
    ]
    rows = [
        [name, numbers.exact(round(mean[name])), *(numbers.percent(reach[name][place]) for place in used[1:])]
        for name in reach
    ]
    caption = (
        f"On average {numbers.exact(round(whole))} tokens of its own document stand before a token in its row. "
        "Attention stays inside a document, so this is all the context that training can use."
    )
    legend = charts.legend([(one.name, f"line {one.style}", one.dash) for one in series])
    return join(
        element("h3", f"Context that a token really has: {plan.purpose}"),
        legend,
        element("figure", charts.lines(series, x, y, "share of tokens by context"), element("figcaption", caption)),
        folded("This context as a table", table(f"Share of tokens by context, {plan.purpose}", head, rows)),
    )


def _at_least(counts: list[int]) -> list[float]:
    """For each bin, the share of tokens in it or in a later one."""
    total = sum(counts) or 1
    return [sum(counts[place:]) / total for place in range(len(counts))]
