"""Every mode of a mixture, its stages, and what it refuses."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lc_data.mixing.mixture import InfeasibleMixtureError, MixturePlan, keep_rate, plan_mixture, plan_stages
from lc_data.mixing.strata import Strata
from lc_data.recipe.mixture import MixtureSection

EDGES = (4096, 32768)
DOMAINS = ["books", "code", "web"]
ROWS = [[100_000, 300_000, 600_000], [500_000, 400_000, 100_000], [4_000_000, 900_000, 100_000]]
LONG = slice(1, None)


def plan(rows: list[list[int]] = ROWS, domains: list[str] = DOMAINS, **keys: Any) -> MixturePlan:
    return plan_mixture(strata(rows), domains, MixtureSection.model_validate(keys), EDGES)


def strata(rows: list[list[int]]) -> Strata:
    tokens = np.array(rows, np.int64)
    return Strata(np.minimum(tokens, 1), tokens)


def long_share(tokens: np.ndarray) -> Any:
    return tokens[..., LONG].sum(axis=-1) / tokens.sum(axis=-1)


def domain_shares(tokens: np.ndarray) -> Any:
    return tokens.sum(axis=1) / tokens.sum()


@pytest.mark.parametrize("q", [0.5, 0.7, 0.9])
def test_per_source_gives_each_domain_its_long_share_and_keeps_its_own(q: float) -> None:
    before = domain_shares(np.array(ROWS))
    lengths = {"mode": "per_source", "long_share": q}
    for mixture in ({"lengths": lengths}, {"lengths": lengths, "budget_tokens": 10**6}):
        made = plan(**mixture).wanted_tokens
        assert long_share(made) == pytest.approx(q, abs=0.01)
        assert domain_shares(made) == pytest.approx(before, abs=0.001)


@pytest.mark.parametrize("q", [0.5, 0.7, 0.9])
def test_global_gives_the_whole_its_long_share_and_shifts_domains(q: float) -> None:
    made = plan(lengths={"mode": "global", "long_share": q}).wanted_tokens
    assert made[:, LONG].sum() / made.sum() == pytest.approx(q, abs=1e-6)
    rate = made / np.array(ROWS)
    for part in (rate[:, :1], rate[:, LONG]):
        assert part == pytest.approx(part.flat[0], rel=1e-4)
    shift = domain_shares(made) - domain_shares(np.array(ROWS))
    assert shift[0] > 0.05
    assert shift[2] < -0.05


def test_upsampled_domains_are_drawn_so_many_times_as_much() -> None:
    before, made = np.array(ROWS), plan(
        lengths={"mode": "upsample_domains", "upsample": {"books": 3}}, budget_tokens=10**6
    ).wanted_tokens  # fmt: skip
    rate = made / before
    assert rate[0] / rate[2] == pytest.approx(3, rel=1e-3)
    assert rate[1] == pytest.approx(rate[2], rel=1e-3)
    assert long_share(made) == pytest.approx(long_share(before), abs=1e-5)
    lengths = {"mode": "upsample_domains", "upsample": {"books": 3}}
    weighed = plan(lengths=lengths, weights={"books": 1, "code": 1, "web": 2}, budget_tokens=10**6)
    assert domain_shares(weighed.wanted_tokens) == pytest.approx([3 / 6, 1 / 6, 2 / 6], abs=1e-6)


def test_free_weights_fill_ranges_at_one_rate() -> None:
    buckets = {"books": {4096: 30, 32768: 10}, "code": {32768: 0}, "web": 60}
    made = plan(lengths={"mode": "buckets", "buckets": buckets}, budget_tokens=100_000).wanted_tokens
    assert made.tolist()[:2] == [[0, 30_000, 10_000], [0, 0, 0]]
    assert made[2] == pytest.approx(60_000 * np.array(ROWS[2]) / sum(ROWS[2]), abs=1)
    below = plan(lengths={"mode": "buckets", "buckets": buckets | {"code": {0: 100, 32768: 0}}}, budget_tokens=100_000)
    assert below.wanted_tokens[1].tolist() == [27_778, 22_222, 0]


@given(st.lists(st.integers(1, 10**13), min_size=2, max_size=5), st.floats(1, 50))
def test_temperature_gives_shares_by_the_root_of_tokens(tokens: list[int], temperature: float) -> None:
    rows, names = [[own, 0, 0] for own in tokens], [f"d{at}" for at in range(len(tokens))]
    made = plan(rows, names, temperature=temperature, budget_tokens=1000, max_epochs=10**4)
    roots = np.array(tokens, float) ** (1 / temperature)
    assert made.asked_share.sum(axis=1) == pytest.approx(roots / roots.sum(), abs=1e-9)


def test_temperature_one_takes_domains_as_they_are_to_the_token() -> None:
    assert plan(temperature=1).wanted_tokens.tolist() == ROWS


def test_30_percent_long_to_70_keeps_short_documents_at_0_184() -> None:
    rows = [[7_000_000, 2_000_000, 1_000_000]]
    made = plan(rows, ["web"], lengths={"mode": "per_source", "long_share": 0.7}).wanted_tokens[0]
    assert made[0] / rows[0][0] == pytest.approx(keep_rate(0.3, 0.7), abs=1e-6) == pytest.approx(0.184, abs=5e-4)
    assert made[1:].tolist() == rows[0][1:]
    assert made[1:].sum() / made.sum() == pytest.approx(0.7, abs=0.01)


def test_caps_by_domain_and_the_closest_mixture() -> None:
    asked: dict[str, Any] = {
        "weights": {"books": 4, "code": 3, "web": 3}, "budget_tokens": 5_000_000,
        "max_epochs": {"books": 1, "code": 4},
    }  # fmt: skip
    with pytest.raises(InfeasibleMixtureError, match=r"books: 1M tokens, needed 2M: cap 1 epoch allows 1M") as caught:
        plan(**asked)
    assert "code" not in str(caught.value).split("\nbudget")[0]
    made = plan(**asked, infeasible="closest")
    assert made.wanted_tokens.sum(axis=1).tolist() == [1_000_000, 2_000_000, 2_000_000]
    assert made.asked_share.sum(axis=1).tolist() == pytest.approx([0.4, 0.3, 0.3])
    assert set(made.bound[0]) == {"max_epochs"}
    assert set(made.bound[1]) == {""}


def test_closest_is_what_was_asked_for_where_that_can_be_had() -> None:
    asked: dict[str, Any] = {"weights": {"books": 1, "code": 1, "web": 1}, "budget_tokens": 999_999}
    assert np.array_equal(plan(**asked).wanted_tokens, plan(**asked, infeasible="closest").wanted_tokens)


def test_bounds_of_the_long_share_refuse_or_move_lengths() -> None:
    asked: dict[str, Any] = {"budget_tokens": 1_000_000, "lengths": {"min_long_share": 0.5}}
    with pytest.raises(
        InfeasibleMixtureError, match=r">= 4K: 34.29% of the tokens, below lengths.min_long_share 50.00"
    ):
        plan(**asked)
    made = plan(**asked, infeasible="closest")
    assert made.wanted_tokens[:, LONG].sum() == 500_000
    assert domain_shares(made.wanted_tokens) == pytest.approx(domain_shares(np.array(ROWS)), abs=2e-6)
    assert "min_long_share" in made.bound
    high: dict[str, Any] = {"budget_tokens": 1_000_000, "lengths": {"max_long_share": 0.2}}
    with pytest.raises(InfeasibleMixtureError, match=r"above lengths.max_long_share 20.00%"):
        plan(**high)
    assert plan(**high, infeasible="closest").wanted_tokens[:, LONG].sum() == 200_000
    assert np.array_equal(plan(lengths={"min_long_share": 0.3}).wanted_tokens, ROWS)


def test_a_budget_that_no_shares_could_fill_is_refused_with_all_that_binds() -> None:
    asked: dict[str, Any] = {"infeasible": "closest", "max_epochs": 1}
    with pytest.raises(
        InfeasibleMixtureError, match=r"no mixture has budget_tokens 8M \(all that may be drawn is 7M\)"
    ):
        plan(**asked, budget_tokens=8_000_000)
    with pytest.raises(InfeasibleMixtureError, match=r"min_long_share 90.00% of documents >= 4K"):
        plan(**asked, budget_tokens=6_000_000, lengths={"min_long_share": 0.9})


def test_a_domain_without_long_documents_gives_what_it_has() -> None:
    rows = [[1000, 0, 0], [1000, 1000, 1000]]
    asked: dict[str, Any] = {"budget_tokens": 1000, "lengths": {"mode": "per_source", "long_share": 0.5}}
    with pytest.raises(InfeasibleMixtureError, match="a >= 4K: 0 tokens, needed 125"):
        plan(rows, ["a", "b"], **asked)
    assert plan(rows, ["a", "b"], **asked, infeasible="closest").wanted_tokens.tolist() == [
        [250, 0, 0], [375, 188, 187]
    ]  # fmt: skip


TABLES = st.lists(st.lists(st.integers(0, 10**9), min_size=3, max_size=3), min_size=2, max_size=4)


@given(TABLES, st.data())
def test_closest_holds_budget_caps_and_bounds_whatever_the_order_of_domains(rows: list[list[int]], data: Any) -> None:
    names = [f"d{at}" for at in range(len(rows))]
    asked: dict[str, Any] = {
        "budget_tokens": data.draw(st.integers(1, 10**10)), "infeasible": "closest",
        "weights": {name: data.draw(st.integers(1, 9)) for name in names},
        "max_epochs": {name: data.draw(st.sampled_from([0.5, 1, 3])) for name in names},
        "lengths": {"mode": "per_source", "long_share": data.draw(st.sampled_from([0.2, 0.7])), "min_long_share": 0.4},
    }  # fmt: skip
    try:
        made = plan(rows, names, **asked)
    except InfeasibleMixtureError:
        there = np.array(rows) * np.array([[asked["max_epochs"][name]] for name in names])
        capacity = min(there.sum(), there[:, LONG].sum() / 0.4)
        assert asked["budget_tokens"] > capacity - 2 * len(rows) - 1
        return
    assert made.budget_tokens == asked["budget_tokens"]
    assert made.wanted_tokens[:, LONG].sum() >= Fraction("0.4") * made.budget_tokens
    for row, name in zip(range(len(rows)), names, strict=True):
        cap = asked["max_epochs"][name]
        assert all(taken <= np.ceil(cap * own) for taken, own in zip(made.wanted_tokens[row], rows[row], strict=True))
    order = data.draw(st.permutations(range(len(rows))))
    moved = plan([rows[at] for at in order], [names[at] for at in order], **asked)
    assert np.array_equal(moved.wanted_tokens, made.wanted_tokens[order])


def test_stages_inherit_what_they_do_not_name_and_share_the_epochs() -> None:
    mixture = MixtureSection.model_validate({
        "weights": {"books": 1, "code": 1, "web": 2},
        "max_epochs": 3,
        "stages": [
            {"name": "stable", "budget_tokens": 2_000_000},
            {"name": "decay", "budget_tokens": 1_000_000, "weights": {"books": 1, "code": 0, "web": 1},
             "lengths": {"mode": "per_source", "long_share": 0.6}},
        ],
    })  # fmt: skip
    stable, decay = plan_stages(strata(ROWS), DOMAINS, mixture, EDGES)
    assert (stable.name, decay.name) == ("stable", "decay")
    assert stable.wanted_tokens.sum(axis=1).tolist() == [500_000, 500_000, 1_000_000]
    assert decay.wanted_tokens.sum(axis=1).tolist() == [500_000, 0, 500_000]
    assert long_share(decay.wanted_tokens[[0, 2]]) == pytest.approx(0.6, abs=1e-6)
    assert mixture.stage_names == ["stable", "decay"]


def test_a_stage_finds_what_the_ones_before_left() -> None:
    stages = [{"name": name, "budget_tokens": 1500} for name in ("first", "second")]
    asked: dict[str, Any] = {"max_epochs": 2, "weights": {"a": 2, "b": 1}, "stages": stages}
    rows = [[200, 300, 250], [4000, 4000, 4000]]

    def planned(**more: Any) -> list[list[int]]:
        mixture = MixtureSection.model_validate(asked | more)
        return [
            made.wanted_tokens.sum(axis=1).tolist() for made in plan_stages(strata(rows), ["a", "b"], mixture, EDGES)
        ]

    with pytest.raises(
        InfeasibleMixtureError, match=r"stage second: .*\n  a: 750 tokens, needed 1000: cap 2 epochs leaves 500 after"
    ):
        planned()
    # Each of three buckets may be a token short of its cap: what an earlier stage drew of it was no whole number.
    assert np.array(planned(infeasible="closest")) == pytest.approx(np.array([[1000, 500], [500, 1000]]), abs=3)
    assert planned(max_epochs=3) == [[1000, 500], [1000, 500]]


def test_a_bucket_used_up_by_a_stage_does_not_close_its_domain_to_the_next() -> None:
    stages = [
        {"name": "long", "budget_tokens": 600_000, "lengths": {"mode": "buckets", "buckets": {"books": {32768: 1}}}},
        {"name": "rest", "budget_tokens": 300_000},
    ]
    mixture = MixtureSection.model_validate({"max_epochs": 1, "infeasible": "closest", "stages": stages})
    _, rest = plan_stages(strata([ROWS[0]]), ["books"], mixture, EDGES)
    assert rest.wanted_tokens.tolist() == [[100_000, 200_000, 0]]
    assert rest.bound.tolist() == [["max_epochs", "", "max_epochs"]]


@given(TABLES)
def test_stages_alike_draw_what_one_stage_of_their_sum_draws(rows: list[list[int]]) -> None:
    assume(sum(map(sum, rows)) > 100)
    total, names = sum(map(sum, rows)), [f"d{at}" for at in range(len(rows))]
    halves = [{"name": "a", "budget_tokens": total // 2}, {"name": "b", "budget_tokens": total - total // 2}]
    mixture = MixtureSection.model_validate({"stages": halves})
    made = plan_stages(strata(rows), names, mixture, EDGES)
    assert np.abs(sum(part.wanted_tokens for part in made) - np.array(rows)).max() <= 1


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({"mode": "per_source", "long_share": {"x": 0.5}}, "lengths.long_share: the corpus has no domain 'x'"),
        ({"mode": "upsample_domains", "upsample": {"x": 2}}, "lengths.upsample: the corpus has no domain 'x'"),
        ({"mode": "buckets", "buckets": {"x": 1}}, "lengths.buckets: the corpus has no domain 'x'"),
        ({"mode": "buckets", "buckets": {"books": 1}}, "lengths.buckets: no weight for domain 'code': add it, with 0"),
        (
            {"mode": "buckets", "buckets": {"books": {5000: 1}, "code": 0, "web": 0}},
            "lengths.buckets.books: 5000 is no bucket edge: take 0 or one of 4096, 32768",
        ),
        ({"mode": "global", "long_share": 0.5, "threshold_tokens": 8192}, "8192, which is no bucket edge"),
    ],
)
def test_a_mixture_that_does_not_fit_the_corpus_is_refused(lengths: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(lengths=lengths)
