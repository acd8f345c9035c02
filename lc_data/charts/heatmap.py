"""A grid of scores as SVG: lengths from left to right, depths from top to bottom, red to green.

One drawing for the page of a run and for the file beside a score. It is narrow enough for a phone with NeedleBench's
eight lengths; every cell holds its number, because red and green are one colour to one man in twelve. Written by
hand: a drawing library would be a dependency of scoring for one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

_WIDTH, _HEIGHT = 38, 22
_LEFT, _BELOW, _RIGHT = 40, 36, 4
_HEAD = 26
_STOPS = ((0.0, (198, 40, 57)), (50.0, (240, 190, 70)), (100.0, (46, 160, 90)))
_DARKEST_FOR_INK = 0.18
"""Luminance from which dark figures are easier to read than white ones."""


@dataclass(frozen=True)
class Heatmap:
    """Scores from 0 to 100 by depth, then by length."""

    lengths: Sequence[int]
    """Tokens of each column."""
    depths: Sequence[float]
    """Per cent of each row."""
    cells: Sequence[Sequence[float | None]]
    """None where nothing was asked."""
    columns: Sequence[float]
    """The mean of each length."""


def draw_heatmap(heatmap: Heatmap, label: str) -> str:
    """The grid as an SVG element of a page, whose own colour its figures outside of cells take."""
    width, height = _size(heatmap)
    return (
        f'<svg class="heatmap" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}" font-size="10">{_grid(heatmap)}</svg>'
    )


def draw_picture(heatmap: Heatmap, title: str) -> str:
    """The grid as an SVG file, with its title above and what the figures are below."""
    width, height = _size(heatmap)
    remark = "below: tokens, mean of the column; left: depth"
    width = max(width, 7 * len(title) + 16, 5 * len(remark) + 16)
    whole = height + _HEAD + 18
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}" width="{width}" height="{whole}" '
        f'role="img" aria-label="{escape(title)}" font-family="sans-serif" font-size="10" color="#222222">\n'
        f'<rect width="{width}" height="{whole}" fill="#ffffff"/>\n'
        f"{_text(width / 2, 17, title, size=13)}\n"
        f'<g transform="translate(0 {_HEAD})">\n{_grid(heatmap)}\n</g>\n'
        f"{_text(width / 2, whole - 8, remark)}\n</svg>\n"
    )


def _size(heatmap: Heatmap) -> tuple[int, int]:
    return _LEFT + _WIDTH * len(heatmap.lengths) + _RIGHT, _HEIGHT * len(heatmap.depths) + _BELOW


def _grid(heatmap: Heatmap) -> str:
    parts = []
    for row, depth in enumerate(heatmap.depths):
        top = row * _HEIGHT
        parts.append(_text(_LEFT - 5, top + 15, f"{depth:g}%", anchor="end"))
        for column, value in enumerate(heatmap.cells[row]):
            left = _LEFT + column * _WIDTH
            color = (221, 221, 221) if value is None else _color(value)
            fill = "#" + "".join(f"{part:02x}" for part in color)
            parts.append(f'<rect x="{left}" y="{top}" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" fill="{fill}"/>')
            if value is not None:
                ink = "#111111" if _luminance(color) >= _DARKEST_FOR_INK else "#ffffff"
                parts.append(_text(left + (_WIDTH - 1) / 2, top + 15, f"{value:.1f}", ink=ink))
    below = _HEIGHT * len(heatmap.depths)
    for column, (length, mean) in enumerate(zip(heatmap.lengths, heatmap.columns, strict=True)):
        middle = _LEFT + column * _WIDTH + (_WIDTH - 1) / 2
        parts += [_text(middle, below + 14, _length(length)), _text(middle, below + 28, f"{mean:.2f}")]
    return "\n".join(parts)


def _text(
    x: float, y: float, text: str, anchor: str = "middle", size: int | None = None, ink: str = "currentColor"
) -> str:
    sized = "" if size is None else f' font-size="{size}"'
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{sized} fill="{ink}">{escape(text)}</text>'


def _length(tokens: int) -> str:
    """``32K`` for 32,768 and ``32,000`` for that."""
    return f"{tokens // 1024}K" if tokens % 1024 == 0 else f"{tokens:,}"


def _color(value: float) -> tuple[int, ...]:
    """Red at 0, yellow at 50, green at 100; raises ``ValueError`` for what is no score."""
    if not 0 <= value <= 100:
        raise ValueError(f"a score is from 0 to 100, got {value}")
    (low, start), (high, end) = next(pair for pair in pairwise(_STOPS) if value <= pair[1][0])
    part = (value - low) / (high - low)
    return tuple(round(a + part * (b - a)) for a, b in zip(start, end, strict=True))


def _luminance(color: tuple[int, ...]) -> float:
    """Relative luminance as WCAG 2 has it."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
