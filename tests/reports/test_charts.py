from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.reports.page import charts, numbers
from lc_data.reports.page.flow import levels_of
from lc_data.reports.page.palette import ALL, COLOURS, Palette

VALUES = st.floats(-1e9, 1e9, allow_nan=False)


@given(VALUES, VALUES, st.integers(2, 8))
def test_ticks_are_round_ascending_and_around_the_values(a, b, most):
    low, high = min(a, b), max(a, b)
    ticks = charts.nice_ticks(low, high, most)
    step = ticks[1] - ticks[0]
    slack = 1e-9 * max(abs(low), abs(high), step)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= most + 2
    assert all(later > earlier for earlier, later in pairwise(ticks))


def test_labels_have_as_many_decimals_as_the_finest_tick():
    assert [text for _, text in charts.tick_labels([6.5, 7.0, 7.5])] == ["6.5", "7.0", "7.5"]
    assert [text for _, text in charts.tick_labels([0.0, 1000.0, 2000.0])] == ["0", "1,000", "2,000"]
    assert [text for _, text in charts.tick_labels([0.025, 0.05])] == ["0.025", "0.050"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_columns_are_as_high_as_their_values(values):
    x = charts.Axis("x", 0, len(values), [])
    y = charts.Axis("y", 0, 1, [(0, "0"), (1, "1")])
    drawing = charts.histogram(values, values, x, y, "label")
    heights = [float(height) for height in re.findall(r'height="([\d.]+)" class="column"', drawing)]
    expected = [140 * value for value in values if value > 0]
    assert len(heights) == len(expected)
    assert all(abs(height - value) <= 0.01 for height, value in zip(heights, expected, strict=True))


def test_segments_lie_where_their_shares_say():
    drawing = charts.bar(
        [charts.Segment(0, 0.25, "c0", "a"), charts.Segment(0.25, 0.25, "c1", "none")], "label", marker=0.5
    )
    assert 'x="0.000%" width="25.000%"' in drawing
    assert "none" not in drawing
    assert 'x1="50.000%"' in drawing


@given(st.integers(0, 10**14))
def test_rounded_numbers_are_within_a_percent_and_short(value):
    text = numbers.rounded(value)
    digits, _, unit = text.partition("\N{NO-BREAK SPACE}")
    scale = {"": 1, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}[unit]
    assert abs(float(digits.replace(",", "")) * scale - value) <= 0.01 * value
    assert len(digits) <= 5


def test_what_is_not_zero_never_reads_as_zero_nor_almost_all_as_all():
    assert numbers.percent(0) == "0.0%"
    assert numbers.percent(0.00001) == "<0.1%"
    assert numbers.percent(0.99999) == "99.9990%"
    assert numbers.percent(1.0, 2) == "100.00%"
    assert numbers.length_range([0, 4096, 32768], 1) == "4K–32K"
    assert numbers.length_range([0, 4096, 32768], 2) == "32K+"
    assert numbers.length(1 << 20) == "1M"
    assert numbers.length(1000) == "1,000"


def test_more_domains_than_colours_share_the_last():
    palette = Palette([f"domain-{number}" for number in range(12)])
    assert len({palette.style(domain) for domain in palette.domains}) == COLOURS
    assert palette.style(ALL) == "ink"


def test_the_flow_is_drawn_from_the_ledgers(report):
    levels = levels_of(report)
    assert [level.name for level in levels] == ["sources", *(books.stage for books in report.stages)]
    dedupe, bucket, balance = (
        next(level for level in levels if level.name == name) for name in ("dedupe", "bucket", "balance")
    )
    assert sum(dedupe.volume.values()) == report.stage("dedupe").total.kept.bytes
    assert abs(sum(bucket.volume.values()) - sum(dedupe.volume.values())) < 1
    kept = {name: account.kept.tokens for name, account in report.stage("balance").domains.items()}
    assert balance.volume["web"] / balance.volume["books"] == pytest.approx(kept["web"] / kept["books"])
    account = report.stage("balance").domains["web"]
    lost = sum(count.tokens for count in account.dropped.values())
    assert balance.removed_share["web"] == lost / account.came_in.tokens
