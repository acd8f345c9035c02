"""The few kinds of charts of the page, as SVG.

Bars that stand beside text are drawn in per cent of their width, so that they fit any screen and their text is never
scaled. Charts with axes have a fixed drawing size close to a phone's width and are shown little larger than that.
Colours come from the style sheet by class, so that one drawing serves light, dark and paper; what colour tells apart
is told apart by place, dash or outline too.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lc_data.reports.page.markup import Html, element
from lc_data.reports.page.numbers import length

WIDTH, HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 350, 10, 150


@dataclass(frozen=True)
class Segment:
    """A part of a bar: where it begins and ends, as shares of the bar's full width."""

    begin: float
    end: float
    style: str
    """Class of the style sheet."""
    title: str


@dataclass(frozen=True)
class Band:
    """What flows from one bar to the next one below, as shares of the full width."""

    above: tuple[float, float]
    below: tuple[float, float]
    style: str


@dataclass(frozen=True)
class Axis:
    """One axis: its title, its range, and where it is labelled."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def place(self, value: float, begin: float, end: float) -> float:
        """Where a value lies between two coordinates."""
        return begin + (value - self.low) / (self.high - self.low) * (end - begin)


@dataclass(frozen=True)
class Series:
    """Points of one line, and the class and dash pattern by which it is told apart."""

    name: str
    points: Sequence[tuple[float, float]]
    style: str
    dash: str | None = None


def bar(segments: Sequence[Segment], label: str, marker: float | None = None) -> Html:
    """A horizontal bar of segments, with a marker line where something was wanted."""
    rects = [
        element(
            "rect",
            element("title", segment.title),
            x=f"{100 * segment.begin:.3f}%",
            width=f"{100 * max(segment.end - segment.begin, 0):.3f}%",
            y=0,
            height="100%",
            class_=f"segment {segment.style}",
        )
        for segment in segments
        if segment.end > segment.begin
    ]
    if marker is not None:
        place = f"{100 * marker:.3f}%"
        rects.append(element("line", x1=place, x2=place, y1=0, y2="100%", class_="marker"))
    return element("svg", rects, class_="bar", role="img", aria_label=label)


def ribbons(bands: Sequence[Band]) -> Html:
    """Bands from the bar above to the bar below, stretched to whatever size the place has."""
    paths = []
    for band in bands:
        (a, b), (c, d) = ((1000 * begin, 1000 * end) for begin, end in (band.above, band.below))
        path = f"M{a:.1f} 0C{a:.1f} 50 {c:.1f} 50 {c:.1f} 100L{d:.1f} 100C{d:.1f} 50 {b:.1f} 50 {b:.1f} 0Z"
        paths.append(element("path", d=path, class_=f"ribbon {band.style}"))
    return element(
        "svg", paths, class_="ribbons", viewBox="0 0 1000 100", preserveAspectRatio="none", aria_hidden="true"
    )


def histogram(filled: Sequence[float], outlined: Sequence[float], x: Axis, y: Axis, label: str) -> Html:
    """Two distributions over the same bins: one as filled columns, one as an outline over them."""
    step = (_RIGHT - _LEFT) / len(filled)
    columns = [
        element(
            "rect",
            x=_LEFT + number * step + 0.75,
            width=step - 1.5,
            y=y.place(value, _BOTTOM, _TOP),
            height=_BOTTOM - y.place(value, _BOTTOM, _TOP),
            class_="column",
        )
        for number, value in enumerate(filled)
        if value > 0
    ]
    outline = [f"M{_LEFT} {_BOTTOM}"]
    for number, value in enumerate(outlined):
        top = y.place(value, _BOTTOM, _TOP)
        outline.append(f"V{top:.1f}H{_LEFT + (number + 1) * step:.1f}")
    outline.append(f"V{_BOTTOM}")
    return _frame([*columns, element("path", d="".join(outline), class_="outline")], x, y, label)


def lines(series: Sequence[Series], x: Axis, y: Axis, label: str) -> Html:
    """Lines over a common axis; a line of one point is drawn as a dot."""
    drawn = []
    for one in series:
        places = [(x.place(a, _LEFT, _RIGHT), y.place(b, _BOTTOM, _TOP)) for a, b in one.points]
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
        drawn.append(
            element("path", element("title", one.name), d=path, class_=f"line {one.style}", stroke_dasharray=one.dash)
        )
        if len(places) <= 24:
            drawn += [element("circle", cx=a, cy=b, r=2.2, class_=f"dot {one.style}") for a, b in places]
    return _frame(drawn, x, y, label)


def legend(entries: Sequence[tuple[str, str, str | None]]) -> Html:
    """What stands for what: name, class of its mark, and dash where the mark is a line."""
    items = []
    mark: Html | list[Html]
    for name, style, dash in entries:
        if style.startswith("line"):
            mark = element("line", x1=1, x2=27, y1=6, y2=6, class_=style, stroke_dasharray=dash)
        elif style == "outline":
            mark = element("path", d="M1 11V2H27V11", class_=style)
        elif style == "domains":
            mark = [element("rect", x=2 + 8 * n, width=8, y=0, height=12, class_=f"segment c{n}") for n in range(3)]
        elif style == "marker":
            mark = element("line", x1=14, x2=14, y1=0, y2=12, class_=style)
        else:
            mark = element("rect", x=8, width=12, y=0, height=12, class_=f"segment {style}")
        drawing = element("svg", mark, width=28, height=12, viewBox="0 0 28 12", aria_hidden="true")
        items.append(element("li", drawing, " ", name))
    return element("ul", items, class_="legend")


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values from at or below ``low`` to at or above ``high``, at most ``most`` steps apart.

    Values closer to each other than a double can step between (a billionth of their size, or a
    number too small to divide) are drawn as one value.
    """
    size = max(abs(low), abs(high))
    span = max(high - low, size * 1e-9)
    if span < sys.float_info.min * 1e6:
        span = 1.0
    magnitude = 10 ** math.floor(math.log10(span / most))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10, 20) if span / (magnitude * factor) <= most)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * number for number in range(first, max(last, first + 1) + 1)]


def tick_labels(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Values with as many decimals as the finest of them needs."""
    step = min(later - earlier for earlier, later in pairwise(ticks))
    decimals = next(n for n in range(12) if n == 11 or abs(round(step, n) - step) < step / 1000)
    return [(tick, f"{tick:,.{decimals}f}") for tick in ticks]


def octave_ticks(edges_tokens: Sequence[int], most: int = 8) -> list[tuple[float, str]]:
    """Labels of bins side by side, at the place of each bin, as many as there is room for."""
    every = max(1, -(-len(edges_tokens) // most))
    return [(float(place), length(edge)) for place, edge in enumerate(edges_tokens) if place % every == 0]


def _frame(content: Sequence[Html], x: Axis, y: Axis, label: str) -> Html:
    grid = []
    for value, text in y.ticks:
        height = y.place(value, _BOTTOM, _TOP)
        grid.append(element("line", x1=_LEFT, x2=_RIGHT, y1=height, y2=height, class_="grid"))
        grid.append(element("text", text, x=_LEFT - 5, y=height + 3.5, class_="tick end"))
    for value, text in x.ticks:
        place = x.place(value, _LEFT, _RIGHT)
        grid.append(element("line", x1=place, x2=place, y1=_BOTTOM, y2=_BOTTOM + 4, class_="axis"))
        grid.append(element("text", text, x=place, y=_BOTTOM + 15, class_="tick middle"))
    axis = element("line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="axis")
    title = element("text", x.title, x=(_LEFT + _RIGHT) / 2, y=_BOTTOM + 33, class_="axis-title middle")
    return element(
        "svg", grid, content, axis, title, class_="chart", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label
    )
