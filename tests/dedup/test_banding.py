"""Bands and rows against datasketch's optimum."""

from __future__ import annotations

import pytest

from lc_data.dedup.banding import choose_banding, find_probability


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("permutations", [64, 128])
@pytest.mark.parametrize("miss_weight", [0.1, 0.5, 0.9])
def test_the_choice_is_that_of_datasketch(threshold, permutations, miss_weight):
    lsh = pytest.importorskip("datasketch.lsh")
    expected = lsh._optimal_param(threshold, permutations, 1 - miss_weight, miss_weight)
    assert choose_banding(threshold, permutations, miss_weight) == expected


def test_a_higher_weight_of_misses_finds_more():
    chances = [find_probability(0.8, *choose_banding(0.8, 128, weight)) for weight in (0.1, 0.5, 0.9, 0.99)]
    assert chances == sorted(chances)
    assert chances[0] < 0.7
    assert chances[-1] > 0.98


def test_the_probability_is_that_of_one_equal_band():
    assert find_probability(1.0, 4, 8) == 1.0
    assert find_probability(0.0, 4, 8) == 0.0
    assert find_probability(0.8, 16, 8) == pytest.approx(1 - (1 - 0.8**8) ** 16)
