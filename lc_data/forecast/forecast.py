"""``lc-data plan``: shares, repeats, rows, hours, memory and disk of a recipe, before anything of it is written."""

from __future__ import annotations

import json

from lc_data.corpus.run import RunFolder
from lc_data.forecast.exact import forecast_exactly
from lc_data.forecast.resources import refuse_impossible
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
    if stale is None:
        return refuse_impossible(recipe, forecast_exactly(recipe, run, run, "index", (), tokens_per_second))
    found = forecast_sampled(recipe, run, tokens_per_second)
    if run.stage("bucket").is_published():
        found = found.model_copy(update={"warnings": [f"{stale}, and was not used", *found.warnings]})
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
    read = {"sources": sources, "ingest": recipe.ingest.model_dump(mode="json")}
    if ingested.is_published() and any(ingested.manifest().config[key] != value for key, value in read.items()):
        return f"the index of {run.uri} was made from other sources than this recipe's"
    return None
