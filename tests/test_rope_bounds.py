from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc_data.recipe.errors import RecipeError
from lc_data.rope_bounds import (
    PUBLISHED_BOUNDS,
    bounded_length,
    critical_dimension,
    extend,
    fitted_bound,
    least_base,
    least_bounded_base,
    small_bases,
    smooth_base,
    supported_length,
)

K = 1024


def test_the_vectors_of_index() -> None:
    """Head of 128, base 10,000, 4,096 tokens of pretraining: worked out by hand from the published formulas."""
    assert critical_dimension(128, 1e4, 4096) == 92
    expected = {16 * K: "5.66e+04", 32 * K: "1.49e+05", 64 * K: "3.90e+05", 128 * K: "1.02e+06"}
    assert {length: f"{least_base(128, 92, length):.2e}" for length in expected} == expected
    assert least_base(128, 92, 32 * K) == pytest.approx(1.485e5, rel=5e-4)
    assert supported_length(128, 92, 320_000) == pytest.approx(56.9e3, rel=1e-3)
    assert smooth_base(1e4, 4096, 32 * K) == pytest.approx(1.92e5, rel=2e-3)
    assert smooth_base(1e4, 4096, 16 * K) == pytest.approx(71_738, rel=1e-5)
    assert small_bases(4096) == pytest.approx((8192 / math.pi, 4096 / math.pi, 2048 / math.pi))


def test_the_rules_disagree_on_index_and_both_verdicts_are_told() -> None:
    index = extend(128, 1e4, 4096, 32 * K, 320_000)
    assert index.fits == {"critical_dimension": True, "bounds": False}
    assert index.bounded_length < 32 * K
    assert not index.as_json()["agree"]
    text = index.as_text()
    assert "reaches 56,8" in text
    assert "disagree" in text
    assert "640,000" in text
    for base in (10_000, 5_000_000):
        both = extend(128, 1e4, 4096, 32 * K, base)
        assert set(both.fits.values()) == {base > 10_000}
        assert "disagree" not in both.as_text()


def test_the_fit_is_near_the_published_bounds() -> None:
    for length, base in PUBLISHED_BOUNDS.items():
        assert 0.7 < fitted_bound(length) / base < 1.6


@pytest.mark.parametrize("length", [4 * K, 32 * K])
def test_the_least_bounded_base_is_the_published_one(length: int) -> None:
    base = least_bounded_base(128, length)
    assert base == pytest.approx(PUBLISHED_BOUNDS[length], rel=0.07)
    assert bounded_length(128, base, length) == length
    assert not any(bounded_length(128, base / step, length) == length for step in (1.002, 1.01, 1.1, 1.3, 2.0))


def test_the_second_rule_has_gaps() -> None:
    reaches = [bounded_length(128, base, 32 * K) == 32 * K for base in (6.304e5, 1.0e6, 2.4e6, 5e6)]
    assert reaches == [True, False, True, True]


@given(base=st.floats(100, 1e6), head_dim=st.sampled_from([8, 64, 128]), limit=st.integers(1, 40_000))
@settings(max_examples=20, deadline=None)
def test_a_bounded_length_is_what_a_plain_loop_finds(base: float, head_dim: int, limit: int) -> None:
    exponents = -np.arange(0, head_dim, 2) / head_dim
    reach = bounded_length(head_dim, base, limit)
    assert all(np.cos(m * base**exponents).sum() >= 0 for m in range(0, reach + 1, 97))
    if reach < limit:
        assert np.cos((reach + 1) * base**exponents).sum() < 0


@given(length=st.integers(4096, 1 << 20))
def test_base_and_length_are_inverse(length: int) -> None:
    assert supported_length(128, 92, least_base(128, 92, length)) == pytest.approx(length)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((3, 1e4, 4096, 8192), "width of a head"),
        ((128, 1.0, 4096, 8192), "above 1"),
        ((128, 1e4, 4096, 2048), "lengths must rise"),
        ((128, 1e4, 4, 2048), "lengths must rise"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(numbers: tuple[int, float, int, int], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        extend(*numbers)
