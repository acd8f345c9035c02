"""Verdicts over planted tables: what is seen must be said, and nothing more."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.experiments.experiment import Claim, Comparison
from lc_data.experiments.verdict import Scores, Table, combine, compare, judge


def claim(*holds: dict, given: tuple[dict, ...] = ()) -> Claim:
    return Claim.model_validate({"text": "t", "source": "s", "holds": holds, "given": given})


def table(**arms: list[float]) -> Table:
    return {name: [Scores({"loss": value}) for value in values] for name, values in arms.items()}


BETTER = {"measure": "loss", "arm": "a", "than": "b", "at_most": 0}


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ([1.00, 1.01], [1.20, 1.22], "supported"),
        ([1.20, 1.22], [1.00, 1.01], "contradicted"),
        ([1.00, 1.30], [1.10, 1.10], "too small to say"),
        ([1.00, 1.00], [1.00, 1.00], "supported"),  # at most 0 holds with equality
        ([2.00, 5.00], [2.50, 5.50], "supported"),  # what a seed does to both arms cancels out
    ],
)
def test_a_difference_is_judged_seed_by_seed(first: list[float], second: list[float], verdict: str) -> None:
    assert judge(claim(BETTER), table(a=first, b=second)).verdict == verdict


def test_equality_is_supported_only_when_the_whole_interval_is_within_it() -> None:
    equal = claim({"measure": "loss", "arm": "a", "than": "b", "relative": True, "at_least": -0.01, "at_most": 0.01})
    assert judge(equal, table(a=[2.0, 2.0], b=[2.002, 2.001])).verdict == "supported"
    assert judge(equal, table(a=[2.0, 2.0], b=[2.06, 1.95])).verdict == "too small to say"
    contradicted = judge(equal, table(a=[2.2, 2.2], b=[2.0, 2.01]))
    assert contradicted.verdict == "contradicted"
    assert "outside of its bounds" in contradicted.why


def test_what_was_not_learned_supports_nothing() -> None:
    met = {"measure": "loss", "arm": "a", "at_most": 1.5}
    same = {"measure": "loss", "arm": "a", "than": "b", "at_least": -0.1, "at_most": 0.1}
    low, high = table(a=[1.0, 1.0], b=[1.0, 1.0]), table(a=[9.0, 9.0], b=[9.0, 9.0])
    assert judge(claim(same, given=(met,)), low).verdict == "supported"
    found = judge(claim(same, given=(met,)), high)
    assert found.verdict == "too small to say"
    assert "loss of a is 9 to 9, at most 1.5 is needed first" in found.why


def test_a_domain_that_loses_is_enough_against_every_and_for_some() -> None:
    def rows(code: float, books: float) -> list[Scores]:
        return [Scores({"loss": 1.0, "loss_long": 9.0, "loss.code": code, "loss.books": books})] * 2

    arms = {"a": rows(1.05, 1.0), "b": rows(1.0, 1.0)}
    none_loses = claim({"measure": "loss.*", "arm": "a", "than": "b", "at_most": 0.01})
    judged = judge(none_loses, arms)
    assert judged.verdict == "contradicted"
    assert [one.measure for one in judged.found] == ["loss.books", "loss.code"]
    loses = {"measure": "loss.*", "arm": "a", "than": "b", "at_least": 0.01, "domains": "some"}
    assert judge(claim(loses), arms).verdict == "supported"
    assert judge(claim(loses), {"a": rows(1.0, 1.0), "b": rows(1.0, 1.0)}).verdict == "contradicted"


def test_few_questions_widen_the_interval_though_seeds_agree() -> None:
    asked = claim({"measure": "needle", "arm": "a", "than": "b", "at_least": 0.05})

    def arms(error: float) -> Table:
        return {
            "a": [Scores({"needle": 0.5}, {"needle": error})] * 2,
            "b": [Scores({"needle": 0.3}, {"needle": error})] * 2,
        }

    assert judge(asked, arms(0.01)).verdict == "supported"
    assert judge(asked, arms(0.1)).verdict == "too small to say"


def test_one_seed_and_a_missing_measure_say_nothing() -> None:
    assert judge(claim(BETTER), table(a=[1.0], b=[2.0])).verdict == "too small to say"
    absent = {"measure": "needle", "arm": "a", "than": "b", "at_most": 0}
    found = judge(claim(absent), table(a=[1.0, 1.0], b=[2.0, 2.0]))
    assert found.verdict == "too small to say"
    assert math.isnan(found.found[0].mean)


VALUES = st.lists(st.floats(-10, 10), min_size=2, max_size=4)


@given(VALUES, st.floats(-5, 5), st.floats(0, 5))
def test_a_claim_and_its_opposite_are_never_both_supported(values: list[float], bound: float, gap: float) -> None:
    arms = table(a=values)
    low = Comparison.model_validate({"measure": "loss", "arm": "a", "at_most": bound})
    high = Comparison.model_validate({"measure": "loss", "arm": "a", "at_least": bound + gap + 1e-6})
    (first,), (second,) = compare(low, arms), compare(high, arms)
    assert {first.verdict, second.verdict} != {"supported"}
    assert (first.verdict == "supported") <= (second.verdict == "contradicted")
    assert first.low <= first.mean <= first.high


@given(st.lists(st.sampled_from(["supported", "contradicted", "too small to say"]), min_size=1, max_size=4))
def test_all_must_hold_and_one_that_fails_is_enough(verdicts: list) -> None:
    both = combine(verdicts)
    assert (both == "contradicted") == ("contradicted" in verdicts)
    assert (both == "supported") == (set(verdicts) == {"supported"})
