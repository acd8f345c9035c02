"""The solver against every point of a grid, in whole units: small enough to try them all, rich enough to bind twice."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc_data.mixing.solver import GRAIN, Problem, solve_closest

UNITS = 24
UNIT = 10**9
"""Tokens in a unit. Wants, limits and bounds are multiples of 6 units, so that optima are whole ones."""


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    groups = draw(st.integers(1, 4))
    domain = tuple(sorted(draw(st.lists(st.integers(0, 2), min_size=groups, max_size=groups))))
    cuts = sorted(draw(st.lists(st.sampled_from((6, 12, 18)), min_size=groups - 1, max_size=groups - 1, unique=True)))
    share = tuple(Fraction(high - low, UNITS) for low, high in itertools.pairwise([0, *cuts, UNITS]))
    limit = tuple(draw(st.sampled_from((0, 6, 12, 18, 24))) * UNIT for _ in range(groups))
    long = tuple(draw(st.lists(st.booleans(), min_size=groups, max_size=groups)))
    low, high = sorted(draw(st.tuples(*[st.sampled_from((0, 6, 12, 18, 24))] * 2)))
    return Problem(domain, share, limit, long, UNITS * UNIT, low * UNIT, high * UNIT)


Score = tuple[Fraction | float, ...]


def score(problem: Problem, tokens: list[int]) -> Score:
    """What is to be small: domain deviations (largest, sum, each next largest), then the same of groups."""
    budget, domains = problem.budget, sorted(set(problem.domain))
    got = {d: Fraction(0) for d in domains}
    asked = dict(got)
    for domain, share, own in zip(problem.domain, problem.share, tokens, strict=True):
        got[domain] += Fraction(own, budget)
        asked[domain] += share
    of_groups = [
        abs(Fraction(own, budget) - share * got[domain] / asked[domain])
        for domain, share, own in zip(problem.domain, problem.share, tokens, strict=True)
    ]
    levels: list[Fraction | float] = []
    for deviations in ([abs(got[d] - asked[d]) for d in domains], of_groups):
        ordered = sorted(deviations, reverse=True)
        levels += [ordered[0], sum(ordered, Fraction(0)), *ordered[1:]]
    return tuple(levels)


def meets(problem: Problem, tokens: list[int]) -> bool:
    of_long = sum(own for own, long in zip(tokens, problem.long, strict=True) if long)
    most = problem.budget if problem.most_long is None else problem.most_long
    return (
        sum(tokens) == problem.budget
        and all(0 <= own <= limit for own, limit in zip(tokens, problem.limit, strict=True))
        and problem.least_long <= of_long <= most
    )


def best_of_grid(problem: Problem, step: int = UNIT) -> Score | None:
    """Try all points of the grid; None where none is feasible."""
    units, groups = problem.budget // step, len(problem.share)
    points = np.array(list(itertools.product(*[range(limit // step + 1) for limit in problem.limit[:-1]])), np.int64)
    last = units - points.reshape(len(points), groups - 1).sum(axis=1)
    there = np.column_stack([points.reshape(len(points), groups - 1), last])
    long = np.array(problem.long)
    most = problem.budget if problem.most_long is None else problem.most_long
    of_long = there[:, long].sum(axis=1) * step
    fits = (last >= 0) & (last * step <= problem.limit[-1]) & (of_long >= problem.least_long) & (of_long <= most)
    there = there[fits]
    member = np.array([[own == domain for own in problem.domain] for domain in sorted(set(problem.domain))])
    asked = np.array([round(share * units) for share in problem.share])
    off = np.abs(there @ member.T - asked @ member.T)
    # First by numbers that numpy can sort by, then the few that are left exactly.
    key = off.max(axis=1, initial=0) * 1000 + off.sum(axis=1)
    rows = there[key == key.min(initial=10**9)]
    return min((score(problem, (row * step).tolist()) for row in rows), default=None)


@settings(max_examples=200)
@given(problems())
def test_the_closest_mixture_is_the_best_of_all(problem: Problem) -> None:
    best = best_of_grid(problem)
    assert problem.is_feasible == (best is not None)
    if best is None:
        with pytest.raises(ValueError, match="cannot be met together"):
            solve_closest(problem)
        return
    tokens = solve_closest(problem)
    assert meets(problem, tokens)
    mine = score(problem, tokens)
    # Domains: as good as the best point, which lies on the grid. Lengths: never worse, and no better by chance.
    domains = len(set(problem.domain)) + 1
    assert [float(value) for value in mine[:domains]] == pytest.approx(
        [float(value) for value in best[:domains]], abs=4e-6
    )
    assert not clearly_less(best, mine)


def clearly_less(one: Score, other: Score) -> bool:
    """Whether the first score is smaller by more than rounding to a millionth of the budget explains."""
    for mine, theirs in zip(one, other, strict=True):
        if abs(mine - theirs) > Fraction(10, GRAIN):
            return mine < theirs
    return False


@settings(max_examples=60)
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_groups_is_of_no_matter(problem: Problem, random: Random) -> None:
    if not problem.is_feasible:
        return
    tokens = solve_closest(problem)
    order = list(range(len(tokens)))
    random.shuffle(order)
    moved = replace(
        problem,
        domain=tuple(problem.domain[at] for at in order),
        share=tuple(problem.share[at] for at in order),
        limit=tuple(problem.limit[at] for at in order),
        long=tuple(problem.long[at] for at in order),
    )
    off = [abs(a - tokens[at]) for a, at in zip(solve_closest(moved), order, strict=True)]
    assert max(off) * GRAIN <= 4 * problem.budget


def problem_of(**keys: object) -> Problem:
    base: dict[str, object] = {"domain": (0, 1, 2), "long": (False,) * 3, "budget": 1000}
    return Problem(**(base | keys))  # type: ignore[arg-type]


def test_what_one_domain_lacks_is_shared_evenly_by_the_others() -> None:
    shares = tuple(Fraction(part, 10) for part in (5, 3, 2))
    assert solve_closest(problem_of(share=shares, limit=(300, 1000, 1000))) == [300, 400, 300]
    # The third can take 50 of the 200 only: the next largest deviation is then 150.
    assert solve_closest(problem_of(share=shares, limit=(300, 1000, 250))) == [300, 450, 250]


def test_lengths_give_way_before_domains() -> None:
    problem = problem_of(domain=(0, 0, 1), share=tuple(Fraction(part, 10) for part in (3, 3, 4)), limit=(100, 900, 900))
    assert solve_closest(problem) == [100, 500, 400]


def test_a_bound_of_the_long_share_moves_lengths_inside_domains() -> None:
    problem = problem_of(
        domain=(0, 0, 1, 1), share=tuple(Fraction(part, 10) for part in (3, 2, 4, 1)),
        limit=(1000,) * 4, long=(False, True, False, True), least_long=500,
    )  # fmt: skip
    assert solve_closest(problem) == [200, 300, 300, 200]
    assert solve_closest(replace(problem, least_long=0, most_long=100)) == [400, 100, 500, 0]


def test_a_grid_with_a_limit_forgotten_would_be_noticed() -> None:
    """Planted fault: a solver that overlooks a limit fails the check that every solution above passes."""
    shares = tuple(Fraction(part, 10) for part in (5, 3, 2))
    problem = problem_of(share=shares, limit=(300, 1000, 1000))
    careless = solve_closest(replace(problem, limit=(1000,) * 3))
    assert not meets(problem, careless)
    assert clearly_less((Fraction(1, 10),), score(problem, [300, 500, 200])[:1])
