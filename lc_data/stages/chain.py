"""The chain of stages, in the order in which documents go through them."""

from __future__ import annotations

from collections.abc import Iterator

from lc_data.corpus import storage
from lc_data.corpus.lock import lock_run
from lc_data.corpus.run import RunFolder
from lc_data.engine.backend import DeferredBackend
from lc_data.engine.stage import Stage, StageReport, bring_up_to_date
from lc_data.recipe.recipe import Recipe
from lc_data.stages import augment, balance, bucket, dedupe, filter, ingest, pack  # noqa: A004
from lc_data.text.warm import warm_kernels

CHAIN: tuple[Stage, ...] = (ingest.STAGE, filter.STAGE, dedupe.STAGE, bucket.STAGE, balance.STAGE, pack.STAGE)
"""Without augment, which is there where a recipe asks for it."""


def chain_of(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stages that a recipe goes through."""
    return (*CHAIN[:-1], augment.STAGE, pack.AUGMENTED) if recipe.augment else CHAIN


def run_chain(recipe: Recipe, run: RunFolder, to: str) -> Iterator[StageReport]:
    """Bring every stage up to ``to`` up to date, in order, and yield how each came to be so.

    Raises ``RecipeError`` before any work, and otherwise the first stage's error; what earlier stages published stays.
    A recipe without augment goes on to balance where that is asked for.
    """
    chain = chain_of(recipe)
    names = [stage.name for stage in chain]
    stages = chain[: names.index("balance" if to == "augment" and to not in names else to) + 1]
    for stage in stages:
        stage.check(recipe)
    steps = [*(stage.work.__module__ for stage in stages), f"{warm_kernels.__module__}:{warm_kernels.__name__}"]
    with lock_run(run.uri), DeferredBackend(recipe.engine, steps) as backend:
        _sweep(run)
        for stage in stages:
            if stage.name == "pack" and not recipe.augment:
                _withdraw(run)
            yield bring_up_to_date(stage, recipe, run, backend)


def _sweep(run: RunFolder) -> None:
    """Remove what a killed run left half written. A training may be writing its own folders at this moment."""
    storage.remove_temporaries(run.uri, below=False)
    for stage in (*CHAIN, augment.STAGE):
        storage.remove_temporaries(run.stage(stage.name).uri)


def _withdraw(run: RunFolder) -> None:
    """Remove what an earlier recipe had made of documents: no plan of this one names it."""
    if storage.exists(run.stage("augment").uri):
        storage.remove_file(run.stage("augment").manifest_uri)
        storage.remove_tree(run.stage("augment").uri)
