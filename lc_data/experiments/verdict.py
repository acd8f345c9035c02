"""From scores to a verdict, by a rule that knows how much seeds differ.

Arms are compared seed by seed, so that what a seed does to all arms alike cancels out. The mean difference stands for
the arms; around it lies an interval as wide, on each side, as the largest and the smallest difference are apart, and at
least twice the standard error of the questions asked where the measure is a share of them. A claim is supported when
the whole interval lies within its bounds, contradicted when none of it does, and otherwise the experiment was too small
to say. For two seeds the interval reaches two standard errors of the mean, for three about three, and it needs no
distribution, which two seeds could not show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lc_data.experiments.experiment import Claim, Comparison

Verdict = Literal["supported", "contradicted", "too small to say"]
TOO_SMALL: Verdict = "too small to say"


@dataclass(frozen=True)
class Scores:
    """What was measured of one arm under one seed."""

    values: Mapping[str, float]
    errors: Mapping[str, float] = field(default_factory=dict)
    """Standard error of those that are shares of questions."""


Table = Mapping[str, Sequence[Scores]]
"""Arm: its scores by seed, all arms in the same order of seeds."""


@dataclass(frozen=True)
class Found:
    """One difference, and what it says of its bounds."""

    measure: str
    arm: str
    than: str | None
    mean: float
    low: float
    high: float
    bounds: str
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return asdict(self)


@dataclass(frozen=True)
class Judgement:
    """The verdict on a claim, and what it rests on."""

    text: str
    source: str
    verdict: Verdict
    why: str
    found: tuple[Found, ...]
    given: tuple[Found, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return asdict(self)


def judge(claim: Claim, table: Table) -> Judgement:
    """The verdict on one claim."""
    given = [compare(one, table) for one in claim.given]
    holds = [compare(one, table) for one in claim.holds]
    verdict = combine([one_of(found, comparison.domains) for found, comparison in zip(holds, claim.holds, strict=True)])
    missing = [
        one for found, comparison in zip(given, claim.given, strict=True)
        if one_of(found, comparison.domains) != "supported" for one in found
    ]  # fmt: skip
    flat, conditions = _flat(holds), _flat(given)
    if missing:
        lacks = "; ".join(f"{_subject(one)} is {_interval(one)}, {one.bounds} is needed first" for one in missing)
        return Judgement(claim.text, claim.source, TOO_SMALL, lacks, flat, conditions)
    return Judgement(claim.text, claim.source, verdict, _why(verdict, flat), flat, conditions)


def compare(one: Comparison, table: Table) -> list[Found]:
    """The difference that a comparison speaks of, or one for every domain."""
    return [_compare(one, name, table) for name in _measures(one, table)]


def one_of(found: Sequence[Found], domains: Literal["every", "some"]) -> Verdict:
    """One verdict of those on several domains."""
    verdicts = [one.verdict for one in found]
    if domains == "every":
        return combine(verdicts)
    if "supported" in verdicts:
        return "supported"
    return "contradicted" if set(verdicts) == {"contradicted"} else TOO_SMALL


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on all together: one that fails is enough, and all must hold."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if set(verdicts) == {"supported"} else TOO_SMALL


def spread(values: Sequence[float]) -> float:
    """How far the largest and the smallest are apart."""
    return max(values) - min(values)


def _measures(one: Comparison, table: Table) -> list[str]:
    if not one.measure.endswith("*"):
        return [one.measure]
    stem = one.measure.removesuffix("*")
    return sorted(name for name in table[one.arm][0].values if name.startswith(stem))


def _compare(one: Comparison, measure: str, table: Table) -> Found:
    first = table[one.arm]
    second: Sequence[Scores | None] = table[one.than] if one.than is not None else [None] * len(first)
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if _has(a, measure) and (b is None or _has(b, measure))]
    if not pairs:
        return Found(measure, one.arm, one.than, math.nan, -math.inf, math.inf, _bounds(one), TOO_SMALL)
    differences = [_difference(a, b, measure, one.relative) for a, b in pairs]
    mean = sum(differences) / len(differences)
    # The same questions are asked under every seed, so more seeds do not make this smaller.
    error = max(_error(a, b, measure) for a, b in pairs)
    reach = max(spread(differences), 2 * error) if len(pairs) > 1 else math.inf
    low, high = mean - reach, mean + reach
    return Found(measure, one.arm, one.than, mean, low, high, _bounds(one), _place(low, high, one))


def _has(scores: Scores, measure: str) -> bool:
    return measure in scores.values and math.isfinite(scores.values[measure])


def _difference(first: Scores, second: Scores | None, measure: str, relative: bool) -> float:
    if second is None:
        return first.values[measure]
    difference = first.values[measure] - second.values[measure]
    return difference / abs(second.values[measure]) if relative else difference


def _error(first: Scores, second: Scores | None, measure: str) -> float:
    return math.hypot(first.errors.get(measure, 0.0), second.errors.get(measure, 0.0) if second else 0.0)


def _place(low: float, high: float, one: Comparison) -> Verdict:
    least = -math.inf if one.at_least is None else one.at_least
    most = math.inf if one.at_most is None else one.at_most
    if least <= low and high <= most:
        return "supported"
    return "contradicted" if high < least or low > most else TOO_SMALL


def _bounds(one: Comparison) -> str:
    form = "{:.3g}%" if one.relative else "{:g}"
    scale = 100 if one.relative else 1
    parts = [
        f"{word} {form.format(value * scale)}"
        for word, value in (("at least", one.at_least), ("at most", one.at_most))
        if value is not None
    ]
    return " and ".join(parts)


def _subject(one: Found) -> str:
    return f"{one.measure} of {one.arm}" + (f" less {one.than}" if one.than else "")


def _interval(one: Found) -> str:
    scale, unit = (100, "%") if one.bounds.endswith("%") else (1, "")
    return f"{one.low * scale:.4g}{unit} to {one.high * scale:.4g}{unit}"


def _why(verdict: Verdict, found: Sequence[Found]) -> str:
    if verdict == "supported":
        return "every difference lies within its bounds, whichever way the seeds fell"
    decisive = [one for one in found if one.verdict == verdict] or list(found)
    worst = "; ".join(f"{_subject(one)}: {_interval(one)}, claimed {one.bounds}" for one in decisive)
    return f"{'outside of its bounds' if verdict == 'contradicted' else 'seeds differ too much'}: {worst}"


def _flat(parts: Sequence[Sequence[Found]]) -> tuple[Found, ...]:
    return tuple(one for part in parts for one in part)
