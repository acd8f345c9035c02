from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from lc_data.mixing.mixture import InfeasibleMixtureError, keep_rate, plan_mixture
from lc_data.mixing.strata import Strata
from lc_data.recipe.mixture import MixtureSection

EDGES = (4096, 32768)
TABLES = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, 10**12), min_size=3, max_size=3), min_size=n, max_size=n)
)


def table(rows: list[list[int]]) -> Strata:
    tokens = np.array(rows, np.int64)
    return Strata(np.minimum(tokens, 1), tokens)


def section(**keys: Any) -> MixtureSection:
    return MixtureSection.model_validate(keys)


def stays_under(tokens: np.ndarray, rows: list[list[int]], cap: float) -> bool:
    return all(
        taken <= ceil(Fraction(cap) * there)
        for taken, there in zip(tokens.ravel().tolist(), np.array(rows).ravel().tolist(), strict=True)
    )


def names(count: int) -> list[str]:
    return [f"d{i}" for i in range(count)]


@given(TABLES)
def test_the_default_takes_every_token_once(rows: list[list[int]]) -> None:
    assume(any(map(sum, rows)))
    plan = plan_mixture(table(rows), names(len(rows)), section(), EDGES)
    assert plan.wanted_tokens.tolist() == rows


@given(TABLES, st.sampled_from([0.5, 2, 3]))
def test_epochs_take_every_token_as_often(rows: list[list[int]], epochs: float) -> None:
    assume(sum(map(sum, rows)) > 1)
    plan = plan_mixture(table(rows), names(len(rows)), section(epochs=epochs, max_epochs=3), EDGES)
    assert plan.budget_tokens == int(sum(map(sum, rows)) * epochs)
    assert np.abs(plan.wanted_tokens - np.array(rows) * epochs).max() < 1


def test_epochs_are_of_what_is_scarcest_for_its_share() -> None:
    plan = plan_mixture(
        table([[100, 0, 0], [9000, 0, 0]]), ["a", "b"], section(weights={"a": 1, "b": 3}, epochs=2), EDGES
    )
    assert plan.wanted_tokens[:, 0].tolist() == [200, 600]


def test_more_epochs_than_may_be_are_refused() -> None:
    with pytest.raises(InfeasibleMixtureError, match=r"(?s)needed 50: cap 4 epochs allows 40.*at most 80 is possible"):
        plan_mixture(table([[10, 0, 0], [10, 0, 0]]), ["a", "b"], section(epochs=5), EDGES)


@given(TABLES, st.data())
def test_weights_are_kept_to_the_token_and_nothing_repeats_without_a_budget(rows: list[list[int]], data: Any) -> None:
    assume(all(map(sum, rows)))
    weights = {name: data.draw(st.integers(1, 99)) for name in names(len(rows))}
    try:
        plan = plan_mixture(table(rows), names(len(rows)), section(weights=weights), EDGES)
    except InfeasibleMixtureError:
        assert (
            min(Fraction(sum(row)) / w for row, w in zip(rows, weights.values(), strict=True)) * sum(weights.values())
            < 1
        )
        return
    assert (plan.wanted_tokens <= np.array(rows)).all()
    for row, weight in zip(plan.wanted_tokens, weights.values(), strict=True):
        assert abs(row.sum() - Fraction(weight, sum(weights.values())) * plan.budget_tokens) <= len(EDGES) + 1
    # No larger budget would do: some domain is used up but for rounding.
    assert any(sum(row) - taken <= 3 + sum(row) // plan.budget_tokens * 2
               for row, taken in zip(rows, plan.wanted_tokens.sum(axis=1).tolist(), strict=True))  # fmt: skip


def test_long_share_30_to_70_keeps_short_documents_at_the_published_rate() -> None:
    rows = [[700_000, 200_000, 100_000], [7_000_000, 3_000_000, 0]]
    mixture = section(weights={"web": 1, "books": 10}, lengths={"mode": "per_source", "long_share": 0.7})
    plan = plan_mixture(table(rows), ["web", "books"], mixture, EDGES)
    rate = plan.wanted_tokens / np.maximum(rows, 1)
    assert keep_rate(0.3, 0.7) == pytest.approx(0.184, abs=5e-4)
    assert rate[:, 0] == pytest.approx(keep_rate(0.3, 0.7), abs=1e-6)
    assert rate[0] == pytest.approx([keep_rate(0.3, 0.7), 1, 1], abs=1e-6)
    assert plan.wanted_tokens[:, 1:].sum(axis=1) / plan.wanted_tokens.sum(axis=1) == pytest.approx(0.7, abs=1e-6)
    assert plan.wanted_tokens.sum(axis=1) / plan.budget_tokens == pytest.approx([1 / 11, 10 / 11], abs=1e-6)


def test_a_table_of_long_shares_leaves_other_domains_as_they_are() -> None:
    rows = [[500, 500, 0], [900, 100, 0]]
    mixture = section(budget_tokens=1000, lengths={"mode": "per_source", "long_share": {"books": 0.9}})
    plan = plan_mixture(table(rows), ["books", "web"], mixture, EDGES)
    assert plan.wanted_tokens.tolist() == [[50, 450, 0], [450, 50, 0]]


def test_an_infeasible_mixture_names_what_binds_and_a_budget_that_works() -> None:
    rows = [[2_000_000_000, 700_000_000, 500_000_000], [9_000_000_000, 0, 0]]
    asked: dict[str, Any] = {
        "weights": {"books": 50, "web": 50},
        "lengths": {"mode": "per_source", "threshold_tokens": 4096, "long_share": {"books": 0.5}},
        "max_epochs": 2,
    }
    with pytest.raises(InfeasibleMixtureError) as caught:
        plan_mixture(table(rows), ["books", "web"], section(**asked, budget_tokens=12_400_000_000), EDGES)
    message = str(caught.value)
    assert "books >= 4K: 1.2B tokens, needed 3.1B: cap 2 epochs allows 2.4B" in message
    assert "web" not in message
    assert "budget_tokens of at most 9600000000 is possible" in message
    plan = plan_mixture(table(rows), ["books", "web"], section(**asked, budget_tokens=9_600_000_000), EDGES)
    assert plan.wanted_tokens[0].tolist() == [2_400_000_000, 1_400_000_000, 1_000_000_000]
    with pytest.raises(InfeasibleMixtureError):
        plan_mixture(table(rows), ["books", "web"], section(**asked, budget_tokens=9_600_000_001), EDGES)


def test_a_domain_without_documents_binds_even_without_a_budget() -> None:
    with pytest.raises(InfeasibleMixtureError, match=r"books: 0 tokens, needed 20.00% of the budget"):
        plan_mixture(table([[0, 0, 0], [9, 9, 9]]), ["books", "web"], section(weights={"books": 1, "web": 4}), EDGES)
    with pytest.raises(InfeasibleMixtureError, match="the corpus has none"):
        plan_mixture(table([[0, 0, 0]]), ["books"], section(), EDGES)


def test_a_domain_without_documents_needs_no_weight() -> None:
    plan = plan_mixture(table([[0, 0, 0], [9, 9, 9]]), ["books", "web"], section(weights={"web": 4}), EDGES)
    assert plan.wanted_tokens.tolist() == [[0, 0, 0], [9, 9, 9]]


@given(TABLES, st.integers(1, 10**13), st.sampled_from([0.5, 1, 2, 4]))
def test_what_is_planned_sums_to_the_budget_and_stays_under_the_cap(
    rows: list[list[int]], budget: int, cap: float
) -> None:
    assume(any(map(sum, rows)))
    try:
        plan = plan_mixture(table(rows), names(len(rows)), section(budget_tokens=budget, max_epochs=cap), EDGES)
    except InfeasibleMixtureError:
        assert budget > Fraction(cap) * sum(map(sum, rows))
        return
    assert plan.budget_tokens == budget
    assert stays_under(plan.wanted_tokens, rows, cap)
    assert plan.wanted_share.sum() == pytest.approx(1)


def test_a_plan_under_a_wider_cap_would_be_noticed() -> None:
    """Planted fault: what a planner with a broken cap would return fails the check that the property above makes."""
    rows = [[10, 0, 0], [500, 0, 0]]
    broken = plan_mixture(
        table(rows), ["a", "b"], section(budget_tokens=100, weights={"a": 1, "b": 1}, max_epochs=99), EDGES
    )
    assert stays_under(broken.wanted_tokens, rows, 5)
    assert not stays_under(broken.wanted_tokens, rows, 2)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weights": {"a": -1}}, "greater than or equal to 0"),
        ({"weights": {"a": 0, "b": 0}}, "weights sum to 0"),
        ({"weights": {"a": float("inf")}}, "finite"),
        ({"lengths": {"mode": "per_source"}}, "needs long_share"),
        ({"lengths": {"long_share": 0.5}}, "no effect with mode none"),
        ({"lengths": {"mode": "per_source", "long_share": 1.0}}, "less than 1"),
        ({"max_epochs": 0}, "greater than 0"),
        ({"epochs": 0}, "greater than 0"),
        ({"epochs": 2, "budget_tokens": 5}, "epochs and budget_tokens both say"),
        ({"epochs": 2, "stages": [{"name": "a", "budget_tokens": 5}]}, "epochs and stages both say"),
        ({"budget_tokens": 0}, "greater than 0"),
        ({"held_out": {"share": 0.7}}, "less than or equal to 0.5"),
    ],
)
def test_a_senseless_recipe_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        section(**keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weights": {"a": 1, "b": 1, "x": 1}}, "weights: the corpus has no domain 'x' for this purpose; it has a, b"),
        ({"weights": {"a": 1}}, "no weight for domain 'b': add it, with 0 to leave it out"),
        ({"lengths": {"mode": "per_source", "long_share": {"x": 0.5}}}, "lengths.long_share: the corpus has no domain"),
        ({"lengths": {"mode": "per_source", "long_share": 0.5, "threshold_tokens": 5}}, "no bucket edge"),
    ],
)
def test_a_mixture_that_does_not_fit_the_corpus_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_mixture(table([[9, 9, 9], [9, 9, 9]]), ["a", "b"], section(**keys), EDGES)
