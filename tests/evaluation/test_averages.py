"""Our averages over published scores give the published averages."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.evaluation.averages import group_means
from lc_data.evaluation.leval.scoring import leval_averages
from lc_data.evaluation.leval.tasks import GROUPS
from lc_data.evaluation.longbench.scoring import longbench_averages
from lc_data.evaluation.longbench.tasks import TASKS, categories
from tests.evaluation.published_tables import LEVAL_ORDER, LONGBENCH_ORDER, leval, longbench


def printed(value: float, like: str, cut: bool = False) -> str:
    """A value with as many decimals as a printed one, rounded unless it was cut."""
    places = Decimal(1).scaleb(-len(like.partition(".")[2]))
    exact = Decimal(repr(round(value, 12)))
    return str(exact.quantize(places, ROUND_DOWN if cut else ROUND_HALF_UP))


def test_the_tables_name_all_tasks() -> None:
    assert set(LONGBENCH_ORDER) == {task.name for task in TASKS}
    assert set(LEVAL_ORDER) == {name for group in GROUPS.values() for name in group}


@pytest.mark.parametrize(
    ("column", "average", "cut"),
    [
        ("Index-1.9B-32K", "35.2356", False),
        ("Index-1.9B-32K", "35.23", True),  # printed without rounding: it would be 35.24
        ("Qwen2-1.5B-Instruct", "23.7229", False),
        ("longchat-7b-v1.5-32k", "29.3065", False),
        ("GPT-4", "51.0301", False),
        ("GPT-4", "51.03", False),
        ("GPT-3.5-turbo-16k", "46.17", False),
        ("Index-1.9B-4K Dynamic NTK", "10.9", False),
    ],
)
def test_longbench_is_the_mean_of_six_categories(column: str, average: str, cut: bool) -> None:
    assert printed(longbench_averages(longbench(column))["all"], average, cut) == average


def test_the_average_of_the_4k_model_counts_missing_tasks_as_zero() -> None:
    scores = longbench("Index-1.9B-4K")
    assert printed(longbench_averages(scores, missing_as_zero=True)["all"], "7.65") == "7.65"
    assert printed(longbench_averages(scores)["all"], "7.90") == "7.90"
    assert group_means(scores, categories()).missing == ("lsht", "passage_count")


def test_the_mean_of_tasks_is_another_number() -> None:
    assert printed(longbench_averages(longbench("Index-1.9B-32K"))["tasks"], "33.41") == "33.41"
    assert printed(leval_averages(leval("Index-1.9B-32K"))["tasks"], "33.33") == "33.33"


def test_the_three_averages_of_the_paper() -> None:
    averages = longbench_averages(longbench("GPT-3.5-Turbo-16k, LongBench's paper"))
    assert [printed(averages[rule], "0.0") for rule in ("en", "zh", "all")] == ["44.0", "44.5", "44.7"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("Index-1.9B-32K", ("37.305", "25.9375", "17.46", "51.0425", "15.3333", "64.335")),
        ("Qwen2-1.5B-Instruct", ("32.72", "24.04", "17.015", "30.6725", "7.98", "29.91")),
        ("GPT-4", ("48.3675", "50.8875", "25.13", "64.6275", "59.833", "57.335")),
        ("GPT-3.5-turbo-16k", ("46.37", "37.77", "24.38", "60.98", "52.83", "54.72")),
        ("Index-1.9B-4K Dynamic NTK", ("12.03", "5.31", "7.57", "3.18", "1.11", "36.21")),
    ],
)
def test_category_means_are_those_printed(column: str, expected: tuple[str, ...]) -> None:
    groups = group_means(longbench(column), categories()).groups
    assert tuple(printed(value, like) for value, like in zip(groups.values(), expected, strict=True)) == expected


def test_category_means_of_the_4k_model() -> None:
    groups = group_means(longbench("Index-1.9B-4K"), categories(), missing_as_zero=True).groups
    expected = ("12.47", "2.33", "5.26", "3.82", "0.55", "21.46")
    assert tuple(printed(value, like) for value, like in zip(groups.values(), expected, strict=True)) == expected


@pytest.mark.parametrize(
    ("column", "exact", "generation", "average"),
    [
        ("Index-1.9B-32K", "41.542", "30.17461538", "35.8583"),
        ("Index-1.9B-32K", "41.54", "30.17", "35.86"),
        ("Qwen2-1.5B-Instruct", "46.412", "32.33692308", "39.3745"),
        ("longchat-7b-v1.5-32k", "21.008", "26.80076923", "23.9044"),
        ("GPT-4", "81.434", "41.53923077", "61.4866"),
        # The report prints 65.03 for GPT-3.5, which its own two group means do not give.
        ("GPT-3.5-turbo-16k", "68.984", "41.279", "55.13"),
    ],
)
def test_leval_is_the_mean_of_two_groups(column: str, exact: str, generation: str, average: str) -> None:
    scores = leval(column)
    groups = group_means(scores, GROUPS).groups
    assert printed(groups["Exact Match"], exact) == exact
    assert printed(groups["Generation"], generation) == generation
    assert printed(leval_averages(scores)["groups"], average) == average


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 100), max_size=6))
def test_what_is_missing_is_named_and_never_averaged(scores: dict[str, float]) -> None:
    groups = {"first": ("a", "b", "c"), "second": ("d", "e", "f")}
    means = group_means(scores, groups)
    assert set(means.missing) == set("abcdef") - scores.keys()
    for group, tasks in groups.items():
        values = [scores[task] for task in tasks if task in scores]
        assert (group in means.groups) == bool(values)
        if values:
            assert means.groups[group] == pytest.approx(sum(values) / len(values))
    zero = group_means(scores, groups, missing_as_zero=True)
    assert zero.missing == means.missing
    assert zero.mean == pytest.approx(sum(scores.values()) / 6)
