from __future__ import annotations

import re
import xml.dom.minidom

import pytest

from lc_data.charts.heatmap import Heatmap, draw_heatmap, draw_picture

GRID = Heatmap((1000, 32_768), (0, 50, 100), ((0.0, 50.0), (None, 100.0), (25.0, 9.96)), (12.5, 53.32))


def test_both_drawings_hold_the_same_grid() -> None:
    fragment, picture = draw_heatmap(GRID, "a < b"), draw_picture(GRID, "a < b")
    inner = fragment[fragment.index(">") + 1 : fragment.rindex("</svg>")]
    assert inner in picture
    for drawing in (fragment, picture):
        xml.dom.minidom.parseString(drawing)
        assert 'aria-label="a &lt; b"' in drawing


def test_cells_stand_at_their_place_in_their_color() -> None:
    rects = re.findall(r'<rect x="(\d+)" y="(\d+)" width="37" height="21" fill="(#\w+)"/>', draw_heatmap(GRID, "x"))
    columns, rows = sorted({int(x) for x, _, _ in rects}), sorted({int(y) for _, y, _ in rects})
    placed = {(columns.index(int(x)), rows.index(int(y))): fill for x, y, fill in rects}
    assert placed == {
        (0, 0): "#c62839", (1, 0): "#f0be46",
        (0, 1): "#dddddd", (1, 1): "#2ea05a",
        (0, 2): "#db7340", (1, 2): "#ce463c",
    }  # fmt: skip


def test_numbers_are_written_and_readable() -> None:
    texts = dict(re.findall(r'fill="([^"]+)">([\d.]+)</text>', draw_heatmap(GRID, "x"))[::-1])
    assert texts["#ffffff"] == "0.0"
    assert texts["#111111"] == "50.0"
    words = re.findall(r">([^<>]+)</text>", draw_heatmap(GRID, "x"))
    assert words == ["0%", "0.0", "50.0", "50%", "100.0", "100%", "25.0", "10.0", "1,000", "12.50", "32K", "53.32"]


@pytest.mark.parametrize("value", [-0.1, 100.1, float("nan")])
def test_what_is_no_score_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 100"):
        draw_heatmap(Heatmap((1,), (0,), ((value,),), (0.0,)), "x")


def test_eight_lengths_fit_a_phone() -> None:
    wide = Heatmap(range(1, 9), (0,), (tuple([1.0] * 8),), [1.0] * 8)
    assert int(re.search(r' width="(\d+)"', draw_heatmap(wide, "x"))[1]) <= 390 - 2 * 16  # type: ignore[index]
