"""A forecast from raw text: the recipe's own stages on a sample, the rest imputed, the plan made over the result."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from lc_data.corpus.fingerprint import child_seed
from lc_data.corpus.run import RunFolder
from lc_data.engine.backend import DeferredBackend
from lc_data.forecast.estimate import Estimate, estimate
from lc_data.forecast.exact import forecast_exactly
from lc_data.forecast.imputation import DRAWS, Completed, Imputation
from lc_data.forecast.index import Index, publish_index
from lc_data.forecast.interval import LEVEL
from lc_data.forecast.meter import MeteredBackend
from lc_data.forecast.planning import Planned, plan_index, thin_recipe
from lc_data.forecast.population import Findings, Population
from lc_data.forecast.purpose import Uncertain, describe_purposes
from lc_data.forecast.reading import Reading, choose_reading
from lc_data.forecast.resources import add_up, count_workers
from lc_data.forecast.result import Forecast, SampleFacts, StageCost
from lc_data.forecast.scratch import scratch_folder
from lc_data.forecast.trial import Trial, try_out
from lc_data.lengths.buckets import assign_buckets
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.stages.chain import chain_of

_TRAINED_JITTER = 0.01
"""A tokenizer that is yet to be trained gives so much more or less tokens: here its corpus is not filtered yet."""
MOST_DOCUMENTS = 24_000_000
"""A larger corpus is planned over every so-many-th document: planning holds 60 bytes for each."""


class _Tried(NamedTuple):
    """What a plan has found out before it plans."""

    reading: Reading
    trial: Trial
    costs: list[StageCost]


def forecast_sampled(recipe: Recipe, run: RunFolder, tokens_per_second: float | None) -> Forecast:
    """Forecast a recipe whose run has no index of it; raises RecipeError for what cannot be."""
    for stage in chain_of(recipe):
        stage.check(recipe)
    reading = choose_reading(recipe)
    with scratch_folder() as folder:
        with DeferredBackend(recipe.engine) as engine:
            backend = MeteredBackend(engine)
            trial = try_out(recipe, reading, folder, backend)
        tried = _Tried(reading, trial, _stage_costs(recipe, reading, trial, backend))
        if trial.population is None or trial.findings is None:
            return forecast_exactly(recipe, run, trial.read, "corpus", tried.costs, tokens_per_second)
        return _estimated(recipe, run, tried, folder, tokens_per_second)


def _estimated(
    recipe: Recipe, run: RunFolder, tried: _Tried, folder: Path, tokens_per_second: float | None
) -> Forecast:
    """The forecast where a sample stands for the rest."""
    trial, reading = tried.trial, tried.reading
    population, findings = trial.population, trial.findings
    assert population is not None
    assert findings is not None
    domains, edges = trial.facts["domains"], trial.facts["edges_tokens"]
    jitter = _TRAINED_JITTER if recipe.tokenizer.train is not None else 0.0
    seed = child_seed(recipe.seed, "plan")
    found = estimate(Imputation(population, findings, jitter), len(domains), edges, seed)
    planned = _plan(recipe, trial, found.typical, folder / "typical")
    warnings = _warnings(recipe, tried)
    extremes: list[Planned | None] = []
    for name, completed in (("low", found.scarce), ("high", found.plentiful)):
        try:
            extremes.append(_plan(recipe, trial, completed, folder / name))
        except RecipeError as error:
            extremes.append(None)
            warnings.append(f"at the {name} end of the estimated tokens the mixture cannot be had: {error}")
    purposes = describe_purposes(
        recipe, planned, edges, Uncertain(_cell_bounds(found, domains), trial.facts["purposes"], *extremes)
    )
    return Forecast(
        recipe=recipe.name,
        origin="sample",
        exact=False,
        documents=round(found.documents),
        tokens=round(float(found.tokens.sum())),
        tokens_low=round(found.total_low),
        tokens_high=round(found.total_high),
        thinned_by=planned.thinned_by,
        sample=_sample_facts(reading, population, findings),
        warnings=warnings,
        purposes=purposes,
        cost=add_up(recipe, run, [*tried.costs, *planned.costs], purposes, tokens_per_second),
    )


def _plan(recipe: Recipe, trial: Trial, completed: Completed, folder: Path) -> Planned:
    """Plan a completed corpus in a scratch run of its own: over every so-many-th document of a very large one."""
    scratch = RunFolder(str(folder))
    divisor = -(-int(completed.weight[completed.tokens > 0].sum()) // MOST_DOCUMENTS) or 1
    publish_index(scratch, _index(trial, completed, divisor), trial.facts)
    return plan_index(thin_recipe(recipe, divisor), scratch).count_up(divisor)


def _index(trial: Trial, completed: Completed, divisor: int) -> Index:
    """The index of a completed corpus: strata together, and shuffled within, as bucketing leaves them."""
    assert trial.population is not None
    generator = np.random.default_rng(child_seed(trial.recipe.seed, "plan index"))
    times = np.floor(completed.weight / divisor + generator.random(len(completed.weight))).astype(np.int64)
    documents = np.repeat(np.arange(len(times)), np.where(completed.tokens > 0, times, 0))
    bucket = assign_buckets(completed.tokens[documents], trial.facts["edges_tokens"])
    domain = trial.population.domain[documents]
    order = np.lexsort((generator.random(len(documents)), bucket, domain))
    documents = documents[order]
    return Index(
        completed.tokens[documents].astype(np.uint32),
        domain[order].astype(np.uint16),
        bucket[order],
        {name: values[completed.donor[documents]] for name, values in trial.columns.items()},
    )


def _cell_bounds(found: Estimate, domains: list[str]) -> dict[tuple[str, int], tuple[int, int, int]]:
    return {
        (domain, bucket): (
            round(found.tokens[code, bucket]),
            int(np.floor(found.band.low[code, bucket])),
            int(np.ceil(found.band.high[code, bucket])),
        )
        for code, domain in enumerate(domains)
        for bucket in range(found.tokens.shape[1])
    }


def _sample_facts(reading: Reading, population: Population, findings: Findings) -> SampleFacts:
    return SampleFacts(
        read_bytes=reading.read_bytes,
        total_bytes=reading.total_bytes,
        looked_at_documents=int(findings.sampled.sum()),
        looked_at_bytes=int(population.size_bytes[findings.sampled].sum()),
        level=LEVEL,
        draws=DRAWS,
    )


def _warnings(recipe: Recipe, tried: _Tried) -> list[str]:
    """What the estimate cannot see, and what dedupe may stop at."""
    warnings = []
    if not tried.reading.is_whole:
        warnings.append(
            "duplicates of documents that were not read cannot be seen: the corpus may have fewer tokens than estimated"
        )
    if tried.reading.beginnings:
        warnings.append(
            f"{tried.reading.beginnings} compressed files were read from their beginning only: what comes late in them "
            "and is different was not seen"
        )
    section = recipe.dedupe
    for domain, account in tried.trial.reports["dedupe"].manifest.ledger.domains.items():
        came, kept = account.came_in.documents, account.kept.documents
        limit = section.max_loss_by_domain.get(domain, section.max_loss)
        if came >= section.min_documents_for_alarm and came - kept > limit * came:
            warnings.append(
                f"dedupe may stop: {domain} loses {(came - kept) / came:.0%} of its documents before the filter, "
                f"dedupe.max_loss allows {limit:.0%}"
            )
    return warnings


def _stage_costs(recipe: Recipe, reading: Reading, trial: Trial, backend: MeteredBackend) -> list[StageCost]:
    """What the stages up to bucket take on all of the corpus."""
    workers, reports = count_workers(recipe), trial.reports
    read_times = reading.total_bytes / max(reading.read_bytes, 1)
    there = reports["ingest"].manifest.ledger.kept().bytes * read_times
    times = {"ingest": read_times, "dedupe": read_times, "filter": 1.0, "bucket": 1.0}
    if trial.population is not None:
        looked = {name: reports[name].manifest.ledger.received().bytes for name in ("filter", "bucket")}
        passed = reports["filter"].manifest.ledger.kept().bytes / max(looked["filter"], 1)
        unique = float((trial.population.size_bytes * trial.population.factor).sum())
        times["filter"] = there / max(looked["filter"], 1)
        times["bucket"] = unique * passed / max(looked["bucket"], 1)
    folders = {"ingest": trial.read, "dedupe": trial.read, "filter": trial.looked, "bucket": trial.looked}
    return [
        backend.cost(reports[name], folders[name].stage(name).uri, times[name], workers)
        for name in ("ingest", "filter", "dedupe", "bucket")
    ]
