"""A grid of scores as a picture (SVG): lengths from left to right, depths from top to bottom, red to green.

Written by hand, because a drawing library would be a dependency of scoring for one picture.
"""

from __future__ import annotations

from html import escape
from itertools import pairwise

from lc_data.evaluation.needle.scoring import Grid

_WIDTH, _HEIGHT = 64, 26
_LEFT, _TOP, _BOTTOM = 56, 34, 52
_STOPS = ((0.0, (198, 40, 57)), (0.5, (240, 190, 70)), (1.0, (46, 160, 90)))


def draw_heatmap(grid: Grid, title: str) -> str:
    """The picture of a grid, each cell with its score, the means of the columns below."""
    width, height = _WIDTH * len(grid.lengths), _HEIGHT * len(grid.depths)
    whole_width, whole_height = _LEFT + width + 12, _TOP + height + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole_width} {whole_height}" width="{whole_width}" '
        f'height="{whole_height}" font-family="sans-serif" font-size="11" role="img" aria-label="{escape(title)}">',
        f'<rect width="{whole_width}" height="{whole_height}" fill="#ffffff"/>',
        _text(_LEFT + width / 2, 18, f"{title}: {grid.score:.2f}", size=13),
    ]
    for row, depth in enumerate(grid.depths):
        top = _TOP + row * _HEIGHT
        parts.append(_text(_LEFT - 6, top + 17, f"{depth:g}%", anchor="end"))
        for column, value in enumerate(grid.cells[row]):
            left = _LEFT + column * _WIDTH
            fill = "#dddddd" if value is None else _color(value / 100)
            parts.append(f'<rect x="{left}" y="{top}" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" fill="{fill}"/>')
            if value is not None:
                parts.append(_text(left + _WIDTH / 2, top + 17, f"{value:.1f}"))
    for column, (length, mean) in enumerate(zip(grid.lengths, grid.columns, strict=True)):
        middle = _LEFT + column * _WIDTH + _WIDTH / 2
        parts += [_text(middle, _TOP + height + 16, f"{length:,}"), _text(middle, _TOP + height + 32, f"{mean:.2f}")]
    parts.append(_text(_LEFT + width / 2, whole_height - 6, "tokens, and the mean of the column; depth on the left"))
    return "\n".join([*parts, "</svg>\n"])


def _text(x: float, y: float, text: str, anchor: str = "middle", size: int = 11) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="#222222">{escape(text)}</text>'


def _color(share: float) -> str:
    """A color between red at 0, yellow at a half and green at 1."""
    for (low, start), (high, end) in pairwise(_STOPS):
        if share <= high:
            part = (max(share, low) - low) / (high - low)
            return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(start, end, strict=True))
    raise ValueError(f"{share} is no share")
