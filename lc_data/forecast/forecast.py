"""``lc-data plan``: shares, repeats, rows, hours, memory and disk of a recipe, before anything of it is written."""

from __future__ import annotations

import json

from lc_data.corpus.run import RunFolder
from lc_data.forecast.planning import plan_index
from lc_data.forecast.purpose import describe_purposes
from lc_data.forecast.resources import add_up, refuse_impossible
from lc_data.forecast.result import Forecast
from lc_data.forecast.sampled import forecast_sampled
from lc_data.recipe.recipe import Recipe
from lc_data.stages import bucket, dedupe, filter  # noqa: A004


def forecast(recipe: Recipe, run: RunFolder, tokens_per_second: float | None = None) -> Forecast:
    """Plan a recipe: over the index of a run that has one of this recipe, otherwise from its sources.

    Writes nothing into the run, only into a temporary folder, which is removed however the process ends. Raises
    RecipeError when the mixture cannot be had (naming what binds), when the plan is smaller than one batch, and when
    this machine has too little disk or memory.
    """
    stale = why_no_index(recipe, run)
    found = (
        forecast_sampled(recipe, run, stale, tokens_per_second)
        if stale
        else _over_index(recipe, run, tokens_per_second)
    )
    return refuse_impossible(recipe, found)


def why_no_index(recipe: Recipe, run: RunFolder) -> str | None:
    """Why a run's index cannot be planned from; None where it can."""
    if not run.stage("bucket").is_published():
        return f"{run.uri} has no index yet"
    for stage in (bucket.STAGE, dedupe.STAGE, filter.STAGE):
        folder = run.stage(stage.name)
        wanted = json.loads(json.dumps(stage.config(recipe)))
        if folder.is_published() and folder.manifest().config != wanted:
            return f"the index of {run.uri} was made by another `{stage.name}` than this recipe's"
    ingested = run.stage("ingest")
    sources = [source.model_dump(mode="json") for source in recipe.sources]
    if ingested.is_published() and ingested.manifest().config["sources"] != sources:
        return f"the index of {run.uri} was made from other sources than this recipe's"
    return None


def _over_index(recipe: Recipe, run: RunFolder, tokens_per_second: float | None) -> Forecast:
    manifest = run.stage("bucket").manifest()
    planned = plan_index(recipe, run)
    purposes = describe_purposes(recipe, planned, manifest.facts["edges_tokens"])
    kept = manifest.ledger.kept()
    return Forecast(
        recipe=recipe.name,
        origin="index",
        exact=True,
        documents=kept.documents,
        tokens=kept.tokens,
        tokens_low=kept.tokens,
        tokens_high=kept.tokens,
        thinned_by=planned.thinned_by,
        sample=None,
        warnings=[],
        purposes=purposes,
        cost=add_up(recipe, run, planned.costs, purposes, tokens_per_second),
    )
