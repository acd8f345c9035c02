"""Planning in a scratch run: the real balance and pack stages over an index, so that what is forecast is what is done.

Above a million documents packing is planned over every n-th of them and counted up: strata lie together in the index,
so each is thinned alike, and rows that hold hundreds of documents fill alike too.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import StageReport, bring_up_to_date
from lc_data.forecast.index import Index, publish_index
from lc_data.forecast.result import StageCost
from lc_data.forecast.scratch import scratch_folder
from lc_data.recipe.exclusion import ExclusionSection
from lc_data.recipe.mixture import MixtureSection
from lc_data.recipe.recipe import Recipe
from lc_data.stages import balance, pack

WHOLE_DOCUMENTS = 1_000_000
"""Up to so many documents rows are planned over all of them."""


@dataclass(frozen=True)
class Planned:
    """What the stages planned."""

    sampling: list[dict[str, Any]]
    """Rows of ``sampling.arrow``."""
    plans: dict[str, dict[str, Any]]
    """Facts of the plans, by purpose."""
    thinned_by: int
    costs: list[StageCost]
    """Of balance and pack, counted up."""

    def count_up(self, times: int) -> Planned:
        """The plan of a corpus so many times as large, and alike."""
        if times == 1:
            return self
        sampling = [
            row | {name: value * times for name, value in row.items() if name.endswith(("documents", "tokens"))}
            for row in self.sampling
        ]
        plans = {name: _count_up(facts, times) for name, facts in self.plans.items()}
        grown = ("hours", "disk_bytes", "working_disk_bytes")
        costs = [cost.model_copy(update={name: getattr(cost, name) * times for name in grown}) for cost in self.costs]
        return Planned(sampling, plans, self.thinned_by * times, costs)


def plan_index(recipe: Recipe, run: RunFolder) -> Planned:
    """Plan a recipe over the index of a run; raises what the stages raise: RecipeError for a mixture that cannot be."""
    # Taking documents down changes single packs only, and looks for their ids in shards that a scratch run lacks.
    # Nor are packs of a plan kept that a scratch run lacks; and rows are the same whichever token anchors them.
    update = {"keep": None, "anchor_token": 0 if recipe.pack.mask == "anchor" else None}
    packing = recipe.pack.model_copy(update=update)
    recipe = recipe.model_copy(update={"exclude": ExclusionSection(), "pack": packing})
    corpus = TokenizedCorpus.open(run)
    thinned_by = -(-corpus.document_count // WHOLE_DOCUMENTS)
    with _scratch(run) as scratch:
        balanced = bring_up_to_date(balance.STAGE, recipe, scratch, SerialBackend())
        sampling = read_table(scratch.stage("balance").file(balance.SAMPLING_FILE)).to_pylist()
        costs = [_cost(balanced, 1)]
        if thinned_by == 1:
            report = bring_up_to_date(pack.STAGE, recipe, scratch, SerialBackend())
            return Planned(sampling, report.manifest.facts["plans"], 1, [*costs, _cost(report, 1)])
    with scratch_folder() as folder:
        thin = RunFolder(str(folder))
        columns = {name: corpus.column(name) for name in corpus.column_names}
        whole = Index(corpus.length, corpus.domain, corpus.bucket, columns)
        publish_index(thin, whole.thin(thinned_by), run.stage("bucket").manifest().facts)
        recipe = thin_recipe(recipe, thinned_by)
        bring_up_to_date(balance.STAGE, recipe, thin, SerialBackend())
        report = bring_up_to_date(pack.STAGE, recipe, thin, SerialBackend())
        plans = {name: _count_up(facts, thinned_by) for name, facts in report.manifest.facts["plans"].items()}
        return Planned(sampling, plans, thinned_by, [*costs, _cost(report, thinned_by)])


@contextmanager
def _scratch(run: RunFolder) -> Iterator[RunFolder]:
    """A run that has the bucket stage of another one, and room for the stages after it."""
    with scratch_folder() as folder:
        scratch = RunFolder(str(folder))
        if storage.is_local(run.uri):
            Path(folder, "bucket").symlink_to(storage.local_path(run.stage("bucket").uri).absolute())
        else:
            corpus = TokenizedCorpus.open(run)
            columns = {name: corpus.column(name) for name in corpus.column_names}
            index = Index(corpus.length, corpus.domain, corpus.bucket, columns)
            publish_index(scratch, index, run.stage("bucket").manifest().facts)
        yield scratch


def _cost(report: StageReport, times: int) -> StageCost:
    """What a stage takes that was run here, over one of so many parts."""
    written = times * sum(entry.bytes for entry in report.manifest.files())
    unit = 1 if sys.platform == "darwin" else 1024
    return StageCost(
        stage=report.stage,
        hours=report.seconds * times / 3600,
        memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        disk_bytes=written,
        working_disk_bytes=written,
    )


def thin_recipe(recipe: Recipe, divisor: int) -> Recipe:
    """The recipe for a corpus that is so many times smaller."""

    def thin(mixture: MixtureSection) -> MixtureSection:
        budget = mixture.budget_tokens
        stages = tuple(
            stage.model_copy(update={"budget_tokens": max(1, stage.budget_tokens // divisor)})
            for stage in mixture.stages
        )
        return mixture.model_copy(
            update={"budget_tokens": None if budget is None else max(1, budget // divisor), "stages": stages}
        )

    return recipe.model_copy(update={"mixture": thin(recipe.mixture), "sft_mixture": thin(recipe.sft_mixture)})


def _count_up(facts: dict[str, Any], times: int) -> dict[str, Any]:
    return facts | {name: facts[name] * times for name in ("packs", "tokens", "padding_tokens", "pieces")}
