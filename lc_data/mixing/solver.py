"""The closest mixture that the corpus can give, when the one that was asked for is over-determined.

Closest means: the largest deviation of a domain's share is as small as can be, then the sum of deviations, then each
next largest; then the same for the length groups inside the domains. That order has exactly one optimum, so the plan
depends neither on the order of domains nor on the solver's path. HiGHS solves a linear program per level: a few
milliseconds for the few dozen groups of a corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt

GRAIN = 1_000_000
"""Shares are rounded to a millionth of the budget: what floating point leaves open is far below, so that every machine
plans the same; a hundredth of the 0.1 points that a realised share may be off."""

SLACK = 1e-9
"""How much an earlier level may give way to a later one: what linear programming cannot tell from zero."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """Groups of a mixture, each with what it wants and what it may be given."""

    domain: tuple[int, ...]
    """The domain of each group."""
    share: tuple[Fraction, ...]
    """Wanted shares of the budget, positive; they sum to 1."""
    limit: tuple[int, ...]
    """Most tokens of each group."""
    long: tuple[bool, ...]
    """Which groups hold long documents; meaningless without bounds."""
    budget: int
    least_long: int = 0
    """Tokens that long groups give at least."""
    most_long: int | None = None

    @property
    def long_range(self) -> tuple[int, int]:
        """The least and the most that long groups can give, all constraints together; empty where least > most."""
        there = [sum(limit for limit, long in zip(self.limit, self.long, strict=True) if long is kind)
                 for kind in (False, True)]  # fmt: skip
        most = self.budget if self.most_long is None else self.most_long
        return max(self.least_long, self.budget - there[0], 0), min(most, there[1], self.budget)

    @property
    def is_feasible(self) -> bool:
        """Whether any choice of tokens meets budget, limits and long bounds; exact."""
        least, most = self.long_range
        return least <= most


def solve_closest(problem: Problem) -> list[int]:
    """Return the tokens of each group: they sum to the budget and meet every limit and bound, exactly.

    Raises ValueError for a problem that is not feasible.
    """
    if not problem.is_feasible:
        raise ValueError("budget, limits and long bounds cannot be met together")
    budget, groups = problem.budget, len(problem.share)
    want = np.array([float(share) for share in problem.share])
    long = np.array(problem.long, float)
    least, most = problem.long_range
    within = _Within(
        top=np.array([min(limit / budget, 1.0) for limit in problem.limit]),
        at_most=np.stack([long, -long]),
        bounds=np.array([most / budget, -least / budget]) + SLACK,
    )
    member = _members(problem.domain)
    found = _approach(within, member, member @ want)
    if len(member) < groups:
        # Lengths are judged inside what their domain got, so that a domain cut in half keeps its lengths if it can.
        reached = member @ found
        aim = want * (member.T @ (reached / (member @ want)))
        pinned = np.concatenate([reached, -reached]) + SLACK
        within = _Within(
            top=within.top,
            at_most=np.vstack([within.at_most, member, -member]),
            bounds=np.concatenate([within.bounds, pinned]),
        )
        found = _approach(within, np.eye(groups), aim)
    return _whole_tokens(problem, found)


@dataclass(frozen=True)
class _Within:
    """Shares x of the budget, with sum 1, 0 <= x <= top and at_most @ x <= bounds."""

    top: Array
    at_most: Array
    bounds: Array


def _members(domain: Sequence[int]) -> Array:
    """Return which groups make up each domain: 0 or 1, [domains, groups]."""
    return np.array([[float(own == name) for own in domain] for name in sorted(set(domain))])


def _approach(within: _Within, rows: Array, aim: Array) -> Array:
    """Return the x whose deviations ``|rows @ x - aim|`` are least: the largest, then their sum, then each next one.

    Once the largest deviation is as small as can be, those whose dual value says that they cannot be less are fixed,
    and the largest of the others is made small in turn (Ogryczak et al., 2005): a few programs instead of one for each
    pair of groups.
    """
    largest = _Level(within, rows, aim, caps=np.full(len(rows), np.inf), free=np.ones(len(rows), bool))
    level = largest.solve()
    caps = np.full(len(rows), level.fun + SLACK)
    total = _Level(within, rows, aim, caps, free=np.zeros(len(rows), bool)).solve().fun
    free = np.ones(len(rows), bool)
    while free.any():
        level = _Level(within, rows, aim, caps, free, total + SLACK * len(rows)).solve()
        caps = np.where(free, np.minimum(caps, level.fun + SLACK), caps)
        binding = np.zeros(len(rows), bool)
        binding[free] = -level.ineqlin.marginals[-int(free.sum()) :] > SLACK
        if level.fun < SLACK * 10 or not binding.any():
            break
        free &= ~binding
    return level.x[: rows.shape[1]]


@dataclass(frozen=True)
class _Level:
    """One linear program over shares x, their deviations e, and t: the largest e among the ``free`` ones is made small.

    With none free it is their sum. No e exceeds its cap, nor their sum ``total``.
    """

    within: _Within
    rows: Array
    aim: Array
    caps: Array
    free: npt.NDArray[np.bool_]
    total: float = np.inf

    def solve(self) -> Any:
        """Return scipy's result: ``x`` begins with the shares, the last inequalities are those of the free e."""
        from scipy.optimize import linprog

        count, groups = self.rows.shape
        unit, none = np.eye(count), np.zeros((count, 1))
        pads = np.zeros((len(self.within.bounds), count + 1))
        sum_of_e = np.concatenate([np.zeros(groups), np.ones(count), [0.0]])
        upper = [
            np.hstack([self.rows, -unit, none]),
            np.hstack([-self.rows, -unit, none]),
            np.hstack([self.within.at_most, pads]),
            sum_of_e[None],
            np.hstack([np.zeros((count, groups)), unit, none - 1])[self.free],
        ]
        cap = np.array([min(self.total, 2.0 * count)])
        most = [self.aim, -self.aim, self.within.bounds, cap, np.zeros(int(self.free.sum()))]
        highest = [*self.within.top, *np.minimum(self.caps, 2.0), 2.0]
        result = linprog(
            np.eye(len(sum_of_e))[-1] if self.free.any() else sum_of_e,
            A_ub=np.vstack(upper),
            b_ub=np.concatenate(most),
            A_eq=np.concatenate([np.ones(groups), np.zeros(count + 1)])[None],
            b_eq=[1.0],
            bounds=[(0.0, high) for high in highest],
            method="highs",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
        if not result.success:
            raise ArithmeticError(f"the linear program of a feasible mixture was not solved: {result.message}")
        return result


def _whole_tokens(problem: Problem, found: Array) -> list[int]:
    """Turn shares into tokens that meet every hard constraint, by whole numbers alone from here on."""
    budget, grain = problem.budget, Fraction(1, GRAIN)
    tokens, pliable = [], []
    for share, limit, x in zip(problem.share, problem.limit, found.tolist(), strict=True):
        rounded = Fraction(round(x * GRAIN), GRAIN)
        asked, full = abs(Fraction(x) - share) <= grain, abs(Fraction(x) - Fraction(limit, budget)) <= grain
        exact = Fraction(limit) if full else (share if asked else rounded) * budget
        tokens.append(min(floor(exact), limit))
        pliable.append(not asked and not full)
    # What rounding left over goes to groups that were moved anyway.
    order = sorted(range(len(tokens)), key=lambda group: (not pliable[group], group))
    least, most = problem.long_range
    of_long = min(max(sum(t for t, long in zip(tokens, problem.long, strict=True) if long), least), most)
    for kind, target in ((True, of_long), (False, budget - of_long)):
        mine = [group for group in order if problem.long[group] is kind]
        missing = target - sum(tokens[group] for group in mine)
        for group in mine:
            step = max(-tokens[group], min(missing, problem.limit[group] - tokens[group]))
            tokens[group] += step
            missing -= step
    return tokens
