"""A forecast over an index that is that of the recipe: what it says of tokens and rows is what the run then has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lc_data.corpus.run import RunFolder
from lc_data.forecast.planning import plan_index
from lc_data.forecast.purpose import describe_purposes
from lc_data.forecast.resources import add_up
from lc_data.forecast.result import Forecast, StageCost
from lc_data.recipe.recipe import Recipe


def forecast_exactly(
    recipe: Recipe,
    run: RunFolder,
    indexed: RunFolder,
    origin: Literal["index", "corpus"],
    before: Sequence[StageCost],
    tokens_per_second: float | None,
) -> Forecast:
    """Forecast ``run`` by the index of ``indexed``, which is the run itself or a scratch run that went so far.

    ``before`` is what the stages up to the index will take, where they are still to be run.
    """
    manifest = indexed.stage("bucket").manifest()
    planned = plan_index(recipe, indexed)
    purposes = describe_purposes(recipe, planned, manifest.facts["edges_tokens"])
    kept = manifest.ledger.kept()
    return Forecast(
        recipe=recipe.name,
        origin=origin,
        exact=True,
        documents=kept.documents,
        tokens=kept.tokens,
        tokens_low=kept.tokens,
        tokens_high=kept.tokens,
        thinned_by=planned.thinned_by,
        sample=None,
        warnings=[],
        purposes=purposes,
        cost=add_up(recipe, run, [*before, *planned.costs], purposes, tokens_per_second),
    )
