"""Scores of suites of tasks, checkpoints side by side, and the grids of needles as pictures."""

from __future__ import annotations

from itertools import pairwise

from lc_data.reports.content import NeedleGrid, SuiteScores
from lc_data.reports.page import numbers
from lc_data.reports.page.markup import Html, element, join, table

_WIDTH, _HEIGHT, _LEFT, _TOP = 60, 24, 52, 6
_STOPS = ((0.0, (198, 40, 57)), (50.0, (240, 190, 70)), (100.0, (46, 160, 90)))


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
        (_heatmap(f"{task}, {scores.checkpoint}", grid) for scores in found for task, grid in scores.grids.items()),
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
        parts.append(f"Without predictions, and in no average: {', '.join(scores.missing)}.")
    return " ".join(parts)


def _heatmap(title: str, grid: NeedleGrid) -> Html:
    """Lengths from left to right, depths from top to bottom, red to green."""
    width, height = _LEFT + _WIDTH * len(grid.lengths), _TOP + _HEIGHT * len(grid.depths)
    cells = []
    for row, depth in enumerate(grid.depths):
        top = _TOP + row * _HEIGHT
        cells.append(element("text", f"{depth:g}%", x=_LEFT - 6, y=top + 16, text_anchor="end"))
        for column, value in enumerate(grid.cells[row]):
            left = _LEFT + column * _WIDTH
            fill = "#dddddd" if value is None else _color(value)
            cells.append(element("rect", x=left, y=top, width=_WIDTH - 1, height=_HEIGHT - 1, fill=fill))
            if value is not None:
                middle = left + _WIDTH / 2
                cells.append(
                    element("text", f"{value:.0f}", x=middle, y=top + 16, text_anchor="middle", fill="#111111")
                )
    for column, (length, mean) in enumerate(zip(grid.lengths, grid.columns, strict=True)):
        middle = _LEFT + column * _WIDTH + _WIDTH / 2
        cells.append(element("text", numbers.length(length), x=middle, y=height + 14, text_anchor="middle"))
        cells.append(element("text", f"{mean:.1f}", x=middle, y=height + 28, text_anchor="middle"))
    drawing = element(
        "svg", cells, class_="chart", viewBox=f"0 0 {width} {height + 34}", role="img",
        aria_label=f"{title}: score by length and depth",
    )  # fmt: skip
    caption = f"{title}. Below each length the mean of its depths; on the left the depth of the needle."
    return element("figure", drawing, element("figcaption", caption))


def _color(value: float) -> str:
    """Red at 0, yellow at 50, green at 100."""
    (low, start), (high, end) = next(pair for pair in pairwise(_STOPS) if value <= pair[1][0])
    part = (value - low) / (high - low)
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(start, end, strict=True))
