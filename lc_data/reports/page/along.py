"""How evenly a plan runs: the domains along the way, the worst window, the work of attention, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable

from lc_data.reports.content import PlanContent
from lc_data.reports.page import charts, numbers
from lc_data.reports.page.markup import Html, element, folded, join, table
from lc_data.reports.page.palette import Palette
from lc_data.reports.promises import PlanPromises, Stretch, Window


def along_part(plan: PlanContent, palette: Palette) -> Html:
    """Everything that only the maker of a plan knows about it; nothing for a plan of an older version."""
    promises = plan.promises
    if promises is None or not plan.tokens:
        return join()
    return join(
        element("h3", f"How evenly the plan {plan.purpose} runs"),
        element("p", _windows(promises), class_="lead"),
        _evenness_table(plan, promises),
        _shares_along(plan, promises, palette),
        _piece_lengths(plan, promises, palette),
        _left_out(plan, promises),
    )


def _windows(promises: PlanPromises) -> str:
    if promises.window is None:
        return "The plan is shorter than one window of 10 million tokens, so no window is judged."
    worst = promises.window
    return (
        f"In the worst of all windows of 10 million tokens the share of {worst.domain} is "
        f"{worst.share_off * 100:.3f} points off its plan: {numbers.exact(worst.packs)} rows from row "
        f"{numbers.exact(worst.first_pack)} on."
    )


def _evenness_table(plan: PlanContent, promises: PlanPromises) -> Html:
    rows = [
        ["worst window of 10 M tokens, from any row on", *_window_cells(promises.window)],
        ["worst window of 10 M tokens in whole optimizer steps", *_window_cells(promises.batch_window)],
        [
            f"attention work of the slowest of {promises.attention_ranks} rows side by side, by their mean",
            f"{promises.attention_max_over_mean:.3f}",
            numbers.NONE,
            numbers.NONE,
            numbers.NONE,
        ],
    ]
    head = ["what", "value", "domain", "first row", "rows"]
    return table(f"Evenness of the plan {plan.purpose}", head, rows)


def _window_cells(window: Window | None) -> list[str]:
    if window is None:
        return [numbers.NONE] * 4
    where = [window.domain, numbers.exact(window.first_pack), numbers.exact(window.packs)]
    return [f"{window.share_off * 100:.3f} points off", *where]


def _shares_along(plan: PlanContent, promises: PlanPromises, palette: Palette) -> Html | None:
    stretches = promises.stretches
    names = palette.order_names(stretches[0].tokens_by_domain) if stretches else []
    if not names:
        return None
    rows = [
        [
            numbers.exact(one.first_pack),
            numbers.exact(one.packs),
            *(numbers.percent(_share(one, name), 2) for name in names),
        ]
        for one in stretches
    ]
    whole = table(f"Domain shares along the plan {plan.purpose}", ["first row", "rows", *names], rows)
    if len(stretches) < 2:
        return whole
    series = [
        charts.Series(name, list(_points(stretches, name)), palette.style(name), palette.dash(name)) for name in names
    ]
    end = max(plan.packs, 1)
    ticks = [(tick, numbers.rounded(tick)) for tick in charts.nice_ticks(0, end, 5) if tick <= end]
    x = charts.Axis("row of the plan", 0, end, ticks)
    y = charts.Axis("share of tokens", 0, 1, [(share / 4, f"{share * 25}%") for share in range(5)])
    drawing = charts.lines(series, x, y, f"{plan.purpose}: domain shares along the plan")
    return join(
        charts.legend([(one.name, f"line {one.style}", one.dash) for one in series]),
        element("figure", drawing, element("figcaption", "Share of each domain's tokens in the rows, block by block.")),
        folded("These shares as a table", whole),
    )


def _points(stretches: list[Stretch], name: str) -> Iterable[tuple[float, float]]:
    for one in stretches:
        yield one.first_pack + one.packs / 2, _share(one, name)


def _share(stretch: Stretch, name: str) -> float:
    return stretch.tokens_by_domain[name] / max(sum(stretch.tokens_by_domain.values()), 1)


def _piece_lengths(plan: PlanContent, promises: PlanPromises, palette: Palette) -> Html | None:
    by_length = promises.tokens_by_piece_length
    if not by_length:
        return None
    names = palette.order_names(next(iter(by_length.values())))
    rows = [
        [numbers.length(size), *(numbers.exact(tokens[name]) for name in names), numbers.exact(sum(tokens.values()))]
        for size, tokens in sorted(by_length.items())
    ]
    caption = f"Tokens of the plan {plan.purpose} by length of the piece"
    return table(caption, ["piece length, tokens", *names, "all"], rows)


def _left_out(plan: PlanContent, promises: PlanPromises) -> Html:
    rows = [
        [
            f"left out by the packing policy: {reason.replace('_', ' ')}",
            numbers.exact(loss.documents),
            numbers.exact(loss.tokens),
        ]
        for reason, loss in promises.losses.items()
    ]
    taken = promises.take_down
    rows += [
        ["documents cut though they fit one row", numbers.exact(promises.documents_cut), numbers.NONE],
        ["taken out: rows changed", numbers.exact(taken.packs_changed), numbers.exact(taken.removed_tokens)],
        ["taken out: rows that became empty", numbers.exact(taken.packs_emptied), numbers.NONE],
        ["replaced by documents not yet seen", numbers.NONE, numbers.exact(taken.replaced_tokens)],
        ["replaced by documents seen before", numbers.NONE, numbers.exact(taken.repeated_tokens)],
    ]
    return table(f"What was left out of the plan {plan.purpose}", ["what", "number", "tokens"], rows)
