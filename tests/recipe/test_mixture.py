"""What a mixture in a recipe may say, and what is refused before any work."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import dump_recipe, parse_recipe
from lc_data.recipe.mixture import MixtureSection

BASE = """
name: small
sources:
  - {name: web, kind: jsonl, paths: [web.jsonl], domain: web}
  - {name: books, kind: parquet, paths: [books.parquet], domain: books}
tokenizer: {train: {}}
bucket: {edges_tokens: [4096, 32768], columns: [quality]}
"""


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"lengths": {"mode": "global"}}, "mode global needs long_share: for example 0.7"),
        ({"lengths": {"mode": "upsample_domains"}}, "needs upsample: for example {books: 2}"),
        ({"lengths": {"mode": "buckets"}}, "needs buckets: for example"),
        ({"lengths": {"mode": "global", "long_share": {"a": 0.5}}}, "takes one long_share for all domains"),
        ({"lengths": {"upsample": {"a": 2}}}, "no effect with mode none: write mode: upsample_domains"),
        ({"lengths": {"long_share": 0.4}}, "write mode: global or per_source"),
        ({"lengths": {"mode": "buckets", "buckets": {"a": {0: 0}}}}, "all weights are 0"),
        ({"lengths": {"mode": "buckets", "buckets": {"a": -1}}}, "greater than or equal to 0"),
        ({"lengths": {"min_long_share": 0.7, "max_long_share": 0.2}}, "min_long_share is 0.7, above max_long_share"),
        ({"lengths": {"mode": "global", "long_share": 0.5}, "weights": {"a": 1}}, "leave weights and temperature out"),
        ({"lengths": {"mode": "buckets", "buckets": {"a": 1}}, "temperature": 2}, "weighs domains and lengths"),
        ({"weights": {"a": 1}, "temperature": 2}, "weights and temperature both"),
        ({"temperature": 0.5}, "greater than or equal to 1"),
        ({"infeasible": "closest"}, "closest needs budget_tokens"),
        ({"infeasible": "nearest"}, "'error' or 'closest'"),
        ({"max_epochs": {"a": 0}}, "greater than 0"),
        ({"where": {"q": {}}}, "give min, max, or both"),
        ({"where": {"q": {"min": 2, "max": 1}}}, "min is 2.0, above max 1.0"),
        ({"prefer": {"column": "q", "order": "best"}}, "'high' or 'low'"),
        ({"stages": [{"name": "a"}]}, "budget_tokens"),
        ({"stages": [{"name": "a", "budget_tokens": 1}] * 2}, "'a' is used more than once"),
        ({"budget_tokens": 5, "stages": [{"name": "a", "budget_tokens": 4}]}, "the stages' budgets sum to 4"),
        ({"stages": [{"name": "a", "budget_tokens": 4, "weights": {"x": 0}}]}, "stages.a.weights sum to 0"),
        (
            {"weights": {"x": 1},
             "stages": [{"name": "a", "budget_tokens": 4, "lengths": {"mode": "global", "long_share": 0.5}}]},
            "stages.a.lengths: mode global draws all long documents at one rate",
        ),
    ],
)  # fmt: skip
def test_a_senseless_mixture_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MixtureSection.model_validate(keys)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("mixture.lengths={mode: upsample_domains, upsample: {bokes: 2}}", r"lengths.upsample: .*did you mean 'books'"),
        ("mixture.lengths={mode: buckets, buckets: {wbe: 1}}", r"mixture.lengths.buckets: .*did you mean 'web'"),
        ("mixture.lengths={mode: per_source, long_share: {wbe: 0.5}}", "lengths.long_share: no pretrain source"),
        ("mixture.max_epochs={wbe: 2}", "mixture.max_epochs: no pretrain source has the domain 'wbe'"),
        ("mixture.lengths={mode: buckets, buckets: {web: {5000: 1}}}", "buckets.web is 5000, which is none of"),
        (
            "mixture.lengths={mode: global, long_share: 0.5, threshold_tokens: 9}",
            "threshold_tokens is 9, which is none",
        ),
        ("mixture.lengths={min_long_share: 0.5, threshold_tokens: 9}", "threshold_tokens is 9, which is none"),
        (
            "mixture.stages=[{name: a, budget_tokens: 9, weights: {wbe: 1}}]",
            r"mixture.stages.a.weights: .*did you mean 'web'",
        ),
        (
            "mixture.stages=[{name: a, budget_tokens: 9, lengths: {mode: buckets, buckets: {web: {7: 1}}}}]",
            "mixture.stages.a.lengths.buckets.web is 7",
        ),
        ("mixture.where={qualty: {min: 1}}", r"column 'qualty', which bucket.columns \['quality'\] does not keep"),
        ("sft_mixture.prefer={column: x}", "sft_mixture: where and prefer read the column 'x'"),
    ],
)
def test_names_edges_and_columns_are_checked_in_all_modes_and_stages(override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(BASE, [override])


FULL = """
mixture:
  weights: {web: 1, books: 2}
  lengths: {mode: per_source, long_share: 0.5, min_long_share: 0.2}
  max_epochs: {books: 2}
  infeasible: closest
  where: {quality: {min: 0.3}}
  prefer: {column: quality, order: low}
  stages:
    - {name: stable, budget_tokens: 100}
    - {name: decay, budget_tokens: 50, temperature: 1, lengths: {mode: none}}
    - {name: last, budget_tokens: 25, lengths: {mode: upsample_domains, upsample: {books: 2}}}
"""


def test_a_stage_inherits_what_it_does_not_name() -> None:
    mixture = parse_recipe(BASE + FULL).mixture
    (_, stable), (_, decay), (_, last) = mixture.resolved_stages()
    assert (stable.budget_tokens, stable.weights, stable.lengths) == (100, mixture.weights, mixture.lengths)
    assert (decay.weights, decay.temperature, decay.lengths.mode) == (None, 1, "none")
    assert (last.weights, last.lengths.upsample) == (mixture.weights, {"books": 2})
    assert all(part.where == mixture.where and part.max_epochs_of("web") == 4 for part in (stable, decay, last))
    assert mixture.max_epochs_of("books") == 2
    assert mixture.columns == ["quality"]
    assert mixture.stage_names == ["stable", "decay", "last"]
    assert MixtureSection().stage_names == ["all"]


def test_a_resolved_recipe_with_everything_reads_back_as_itself() -> None:
    ranges = "  lengths: {mode: buckets, buckets: {web: 3, books: {0: 1, 4096: 2}}}\n"
    for text in (FULL, "\nmixture:\n" + ranges):
        recipe = parse_recipe(BASE + text)
        assert parse_recipe(dump_recipe(recipe)) == recipe
    assert recipe.mixture.lengths.ranges() == {"web": {0: 3}, "books": {0: 1, 4096: 2}}
