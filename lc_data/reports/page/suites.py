"""Scores of suites of tasks, checkpoints side by side, and the grids of needles as pictures."""

from __future__ import annotations

from lc_data.charts.heatmap import Heatmap, draw_heatmap
from lc_data.reports.content import NeedleGrid, SuiteScores
from lc_data.reports.page import numbers
from lc_data.reports.page.markup import Html, element, join, table


def suites_section(suites: list[SuiteScores]) -> Html:
    """For every suite a table with a column for each checkpoint, then the grids."""
    names = list(dict.fromkeys(scores.suite for scores in suites))
    return join(_suite([scores for scores in suites if scores.suite == name]) for name in names)


def _suite(found: list[SuiteScores]) -> Html:
    rows = _rows(found, "tasks") + _rows(found, "groups", "group: ") + _rows(found, "averages", "average: ")
    head = [found[0].suite, *(scores.checkpoint for scores in found)]
    return join(
        table(f"Scores of {found[0].suite}, 0 to 100, by checkpoint", head, rows),
        (element("p", _remark(scores)) for scores in found),
        _heatmaps(found),
    )


def _rows(found: list[SuiteScores], part: str, prefix: str = "") -> list[list[str]]:
    values: list[dict[str, float]] = [getattr(scores, part) for scores in found]
    names = dict.fromkeys(name for column in values for name in column)
    return [
        [prefix + name, *(f"{column[name]:.2f}" if name in column else numbers.NONE for column in values)]
        for name in names
    ]


def _remark(scores: SuiteScores) -> str:
    """What a score must be read with: its convention, what was cut, what is missing."""
    parts = [f"{scores.checkpoint}: {scores.convention}."]
    if scores.cut:
        parts.append(f"{numbers.exact(scores.cut)} of {numbers.exact(scores.predictions)} prompts were cut to fit.")
    if scores.missing:
        parts.append(f"Without predictions: {', '.join(scores.missing)}.")
    return " ".join(parts)


def _heatmaps(found: list[SuiteScores]) -> Html | None:
    """The grids, those of a task side by side for all checkpoints as far as there is room."""
    tasks = dict.fromkeys(task for scores in found for task in scores.grids)
    figures = [
        _heatmap(f"{task}, {scores.checkpoint}", scores.grids[task])
        for task in tasks
        for scores in found
        if task in scores.grids
    ]
    if not figures:
        return None
    note = "In each picture: lengths in tokens with the mean of their column below, depths of the needle on the left."
    return join(element("p", note, class_="note"), element("div", figures, class_="heatmaps"))


def _heatmap(title: str, grid: NeedleGrid) -> Html:
    """One grid; it scrolls by itself where it has more lengths than the screen has room for."""
    heatmap = Heatmap(grid.lengths, grid.depths, grid.cells, grid.columns)
    label = f"{title}: score by length and depth"
    # The drawing is markup already, and escapes its label itself.
    drawing = Html(draw_heatmap(heatmap, label))
    scrolling = element("div", drawing, class_="scroll", tabindex="0", role="region", aria_label=label)
    return element("figure", element("h4", title), scrolling)
