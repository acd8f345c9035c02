"""The mixture: how many tokens to draw from each stratum in each stage, or why what was asked for cannot be had.

What can be had as it was asked for is planned in exact fractions; only where the recipe says ``infeasible: closest``
and something binds is a linear program solved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from lc_data.mixing.refusal import Bounded, InfeasibleMixtureError, refuse_budget, refuse_caps, refuse_long_share
from lc_data.mixing.solver import GRAIN, Problem, solve_closest
from lc_data.mixing.strata import Strata, long_buckets
from lc_data.mixing.wants import Scene, Want, split_by_bucket, split_by_length, wants_of
from lc_data.recipe.lengths import LengthMix
from lc_data.recipe.mixture import WHOLE_RUN, MixtureSection

__all__ = ["InfeasibleMixtureError", "MixturePlan", "keep_rate", "plan_mixture", "plan_stages"]

ONE_EPOCH, MAX_EPOCHS, MIN_LONG, MAX_LONG = "one_epoch", "max_epochs", "min_long_share", "max_long_share"


@dataclass(frozen=True)
class MixturePlan:
    """What a stage draws: arrays [n_domains, n_buckets]."""

    name: str
    """Of the stage; ``all`` where the mixture has none."""
    asked_share: np.ndarray
    """float64: what the recipe asks for, of all tokens; sums to 1"""
    wanted_share: np.ndarray
    """float64: what the plan aims at; the same unless the closest mixture is another one"""
    wanted_tokens: np.ndarray
    """int64; sums to the budget"""
    bound: np.ndarray
    """str: what kept a stratum from giving more or less. ``one_epoch``: without a budget, it is what ends the epoch;
    ``max_epochs``: it gives all it may; ``min_long_share``, ``max_long_share``: the bound moved it. Else empty."""

    @property
    def budget_tokens(self) -> int:
        """All tokens to draw."""
        return int(self.wanted_tokens.sum())


def plan_stages(
    available: Strata,
    domains: Sequence[str],
    mixture: MixtureSection,
    edges_tokens: Sequence[int],
    before: npt.NDArray[np.int64] | None = None,
) -> list[MixturePlan]:
    """Decide how many tokens each stratum gives in each stage of a mixture.

    ``available`` has one row per name in ``domains``. Inside a domain, and inside each length group that the mode makes
    of it, all documents are drawn at the same rate, so that they stay an unbiased sample. Per-source mixing to a long
    share q is, at a budget that uses each long document once, what Fu et al. (arXiv:2402.10171) do: keep every long
    document and each shorter one with probability r = p(1-q) / (q(1-p)). max_epochs holds over all stages together,
    and over what was drawn ``before``, int64 [n_domains, n_buckets].

    Raises ValueError for names that do not fit the domains and for lengths that are no bucket edge;
    :class:`InfeasibleMixtureError` where the corpus cannot give what is asked for and ``infeasible`` says error, or
    cannot give the budget in any shares.
    """
    order = sorted(range(len(domains)), key=lambda row: domains[row])
    back = np.argsort(order)
    ordered = Strata(available.documents[order], available.tokens[order])
    scene = Scene(ordered, [domains[row] for row in order], edges_tokens)
    # Exact, because a token that was rounded up would be a large part of a bucket that has ten.
    drawn, plans = np.full(ordered.tokens.shape, Fraction(0), object), []
    if before is not None:
        drawn = drawn + before[order]
    for name, part in mixture.resolved_stages():
        try:
            plan, exact = _plan(scene, name, part, drawn)
        except InfeasibleMixtureError as error:
            raise (error if name == WHOLE_RUN else InfeasibleMixtureError(f"stage {name}: {error}")) from None
        drawn = drawn + exact
        plans.append(plan)
    return [
        MixturePlan(
            plan.name, plan.asked_share[back], plan.wanted_share[back], plan.wanted_tokens[back], plan.bound[back]
        )
        for plan in plans
    ]


def plan_mixture(
    available: Strata, domains: Sequence[str], mixture: MixtureSection, edges_tokens: Sequence[int]
) -> MixturePlan:
    """Return the only stage of a mixture that has one; as :func:`plan_stages` otherwise."""
    (plan,) = plan_stages(available, domains, mixture, edges_tokens)
    return plan


def keep_rate(long_share: float, wanted_long_share: float) -> float:
    """Return r = p(1-q) / (q(1-p)): the rate of short documents that turns long share p into q, all long ones kept.

    Fu et al., arXiv:2402.10171, section 3; 30% to 70% is r = 0.184. Above 1 it is long documents that must be thinned.
    """
    p, q = long_share, wanted_long_share
    return p * (1 - q) / (q * (1 - p))


def _plan(
    scene: Scene, name: str, mixture: MixtureSection, drawn: np.ndarray
) -> tuple[MixturePlan, npt.NDArray[np.object_]]:
    """Plan one stage: as asked if it can be had, else the closest, else refused. The second is its tokens, exact."""
    wants = wants_of(scene, mixture)
    limits = [_bounded(scene, want, mixture, drawn) for want in wants]
    asked = _cells(scene, wants, [want.share for want in wants])
    possible = min((limit / want.share for want, limit, _, _ in limits), default=Fraction(0))
    budget, ending = mixture.budget_tokens, mixture.budget_tokens is None and mixture.epochs is None
    if budget is None:
        once = min((want.available / want.share for want in wants), default=Fraction(0))
        budget = floor(min(possible, once) if mixture.epochs is None else once * Fraction(str(mixture.epochs)))
    beyond = _long_share_beyond(scene, wants, mixture.lengths)
    if 1 <= budget <= possible and beyond is None:
        shares, reasons = (
            asked.astype(np.float64),
            [_what_ends(want, limit, budget, ending) for want, limit, _, _ in limits],
        )
        bound = _bound(scene, limits, reasons)
        exact = asked * budget
        return MixturePlan(name, shares, shares, _apportion(exact, budget), bound), exact
    if mixture.infeasible == "closest" and wants:
        return _closest(scene, name, mixture, wants, drawn)
    if beyond is not None and 1 <= budget <= possible:
        raise refuse_long_share(beyond, mixture.lengths)
    raise refuse_caps(limits, budget, floor(possible))


def _closest(
    scene: Scene, name: str, mixture: MixtureSection, wants: list[Want], drawn: np.ndarray
) -> tuple[MixturePlan, npt.NDArray[np.object_]]:
    lengths, budget = mixture.lengths, mixture.budget_tokens or 0
    asked = _cells(scene, wants, [want.share for want in wants]).astype(np.float64)
    if lengths.bounded:
        wants = split_by_length(wants, scene, lengths.threshold_tokens)
    if drawn.any():
        # Stages before have used buckets unevenly: what one of them lacks is no reason to leave the others.
        wants = split_by_bucket(wants, scene)
    limits = [_bounded(scene, want, mixture, drawn) for want in wants]
    low, high = lengths.min_long_share, lengths.max_long_share
    problem = Problem(
        domain=tuple(want.row for want in wants),
        share=tuple(want.share for want in wants),
        limit=tuple(floor(limit) for _, limit, _, _ in limits),
        long=_are_long(scene, wants, lengths),
        budget=budget,
        least_long=0 if low is None else ceil(Fraction(str(low)) * budget),
        most_long=None if high is None else floor(Fraction(str(high)) * budget),
    )
    if not problem.is_feasible:
        raise refuse_budget(budget, limits, mixture)
    given = solve_closest(problem)
    exact, tokens = _cells(scene, wants, given), np.zeros(scene.available.tokens.shape, np.int64)
    for want, amount in zip(wants, given, strict=True):
        tokens[want.row, want.buckets] = _apportion(exact[want.row, want.buckets], amount)
    bound = _bound(scene, limits, _what_bound(problem, given))
    return MixturePlan(name, asked, tokens / budget, tokens, bound), exact


def _what_ends(want: Want, limit: Fraction, budget: int, ending: bool) -> str:
    """Return what keeps a want that gets what it asked for from giving more."""
    given = want.share * budget
    if given > limit - 1:
        return MAX_EPOCHS
    return ONE_EPOCH if ending and given > want.available - 1 else ""


def _what_bound(problem: Problem, given: list[int]) -> list[str]:
    """Return for each group what kept it from what it wanted, or from more."""
    of_long = sum(tokens for tokens, long in zip(given, problem.long, strict=True) if long)
    wanted_long = sum(share for share, long in zip(problem.share, problem.long, strict=True) if long) * problem.budget
    side = MIN_LONG if of_long == problem.least_long and wanted_long < of_long else ""
    side = MAX_LONG if of_long == problem.most_long and wanted_long > of_long else side
    return [
        MAX_EPOCHS if tokens >= limit else side * (abs(tokens - share * problem.budget) * GRAIN > problem.budget)
        for tokens, limit, share in zip(given, problem.limit, problem.share, strict=True)
    ]


def _bounded(scene: Scene, want: Want, mixture: MixtureSection, drawn: np.ndarray) -> Bounded:
    """Return how many tokens a want may still be given: all its buckets at one rate, none beyond its epochs."""
    epochs = mixture.max_epochs_of(scene.domains[want.row])
    there = scene.available.tokens[want.row, want.buckets].tolist()
    used = drawn[want.row, want.buckets].tolist()
    rates = [Fraction(str(epochs)) - Fraction(gone, own) for own, gone in zip(there, used, strict=True) if own]
    return want, max(min(rates, default=Fraction(0)), Fraction(0)) * want.available, epochs, any(used)


def _long_share_beyond(scene: Scene, wants: list[Want], lengths: LengthMix) -> Fraction | None:
    """Return the long share of what is wanted, if it lies outside its bounds."""
    if not lengths.bounded:
        return None
    halves = split_by_length(wants, scene, lengths.threshold_tokens)
    long = _are_long(scene, halves, lengths)
    share = sum((want.share for want, kind in zip(halves, long, strict=True) if kind), Fraction(0))
    low, high = Fraction(str(lengths.min_long_share or 0)), Fraction(str(lengths.max_long_share or 1))
    return None if low <= share <= high else share


def _are_long(scene: Scene, wants: list[Want], lengths: LengthMix) -> tuple[bool, ...]:
    if not lengths.bounded:
        return (False,) * len(wants)
    long = long_buckets(scene.edges_tokens, lengths.threshold_tokens)
    return tuple(bool(long[want.buckets].all()) for want in wants)


def _cells(scene: Scene, wants: list[Want], amounts: Sequence[Fraction | int]) -> np.ndarray:
    """Spread what each want is given over its buckets by their tokens: exact fractions [n_domains, n_buckets]."""
    cells = np.full(scene.available.tokens.shape, Fraction(0), object)
    for want, amount in zip(wants, amounts, strict=True):
        if not want.available:
            cells[want.row, want.buckets[0]] += amount
            continue
        for bucket in want.buckets.tolist():
            cells[want.row, bucket] += amount * Fraction(int(scene.available.tokens[want.row, bucket]), want.available)
    return cells


def _bound(scene: Scene, limits: Sequence[Bounded], reasons: Sequence[str]) -> np.ndarray:
    bound = np.full(scene.available.tokens.shape, "", object)
    for (want, _, _, _), reason in zip(limits, reasons, strict=True):
        bound[want.row, want.buckets] = reason
    return bound


def _apportion(exact: np.ndarray, total: int) -> np.ndarray:
    """Whole tokens by largest remainder: they sum to the total, and none is more than its exact value rounded up."""
    values = exact.ravel().tolist()
    tokens = [floor(value) for value in values]
    order = sorted(range(len(values)), key=lambda i: (tokens[i] - values[i], i))
    for i in order[: total - sum(tokens)]:
        tokens[i] += 1
    return np.array(tokens, np.int64).reshape(exact.shape)
