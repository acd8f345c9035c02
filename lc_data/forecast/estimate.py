"""From a sample to a corpus: tokens by domain and length with intervals, and completed corpora to plan over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lc_data.forecast.imputation import DRAWS, Completed, Imputation, cell_totals
from lc_data.forecast.interval import LEVEL, ROOM, Band, simultaneous_band, widen_rare
from lc_data.forecast.population import Floats


@dataclass(frozen=True)
class Estimate:
    """What the corpus has, as far as a sample tells."""

    tokens: Floats
    """Expected tokens, float64 [domains, buckets]."""
    band: Band
    """Bounds that hold for all cells at once."""
    documents: float
    """Expected documents that stay."""
    total_low: float
    """Bounds of all tokens together, each by itself at the same level."""
    total_high: float
    typical: Completed
    """The completed corpus that is nearest to what is expected, cell by cell."""
    scarce: Completed
    """The one that has about as few tokens as ``total_low``."""
    plentiful: Completed
    """The one that has about as many as ``total_high``."""


def estimate(
    imputation: Imputation, domains: int, edges: Sequence[int], seed: int, draws: int = DRAWS, level: float = LEVEL
) -> Estimate:
    """Complete the corpus so many times, and say what is expected and what is likely: a function of the seed."""
    population, shape = imputation.population, (domains, len(edges) + 1)
    totals, documents = np.zeros((draws, *shape)), np.zeros(draws)
    imputed = np.zeros(shape)
    for number in range(draws):
        completed = imputation.draw(np.random.default_rng([seed, number]))
        totals[number] = cell_totals(completed, population, shape, edges)
        documents[number] = completed.weight[completed.tokens > 0].sum()
        imputed += _imputed(imputation, completed, shape, edges) / draws
    band = widen_rare(simultaneous_band(totals, level), imputation, imputed, edges)
    sums = totals.sum(axis=(1, 2))
    low, high = sums.mean() + ROOM * (np.quantile(sums, [(1 - level) / 2, (1 + level) / 2]) - sums.mean())
    roots = np.sqrt(totals)
    spread = np.maximum(roots.std(axis=0), 1e-9 * np.maximum(roots.mean(axis=0), 1))
    off_centre = (((roots - roots.mean(axis=0)) / spread) ** 2).sum(axis=(1, 2))
    chosen = [int(np.argmin(each)) for each in (off_centre, np.abs(sums - low), np.abs(sums - high))]
    typical, scarce, plentiful = (imputation.draw(np.random.default_rng([seed, number])) for number in chosen)
    return Estimate(
        totals.mean(axis=0), band, float(documents.mean()), float(low), float(high), typical, scarce, plentiful
    )


def _imputed(imputation: Imputation, completed: Completed, shape: tuple[int, int], edges: Sequence[int]) -> Floats:
    """Documents of each cell that were not looked at."""
    unknown = (completed.tokens > 0) & ~imputation.findings.sampled
    bucket = np.searchsorted(edges, completed.tokens[unknown], side="right")
    cell = imputation.population.domain[unknown] * shape[1] + bucket
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
