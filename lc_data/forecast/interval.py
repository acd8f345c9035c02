"""Intervals that hold for all cells of a table at once.

Seventy-two cells, each by itself 95% sure, are together right one time in forty. Here the width is chosen so that in
95% of the completed corpora no cell at all is outside (the max-t of simultaneous bands), on the scale of square roots,
where a sum of few documents varies about as much as one of many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lc_data.forecast.imputation import Imputation
from lc_data.forecast.population import Floats
from lc_data.lengths.buckets import assign_buckets

LEVEL = 0.95
_RARE_DOCUMENTS = 10.0
"""In a cell to which fewer documents are imputed than this, one more or less is a step and not a spread."""
_UNSEEN = 3.0
"""Where none of n was seen, up to 3 of n may be there at 95% (the rule of three)."""
_UNSEEN_SIZES = (8.0, 2.0)
"""So many times smaller, and larger, than what was read may be what was not."""
ROOM = 1.25
"""Bands are so many times wider than the draws: how much ten documents or a few pieces of input vary is itself an
estimate. Chosen on corpora of a known distribution, on which 95% then hold (tests/forecast)."""


@dataclass(frozen=True)
class Band:
    """Lower and upper bounds of every cell, float64 [domains, buckets]."""

    low: Floats
    high: Floats


def simultaneous_band(totals: Floats, level: float = LEVEL) -> Band:
    """The band that holds ``level`` of the draws ``totals`` [draws, domains, buckets] whole, ``ROOM`` times as wide."""
    roots = np.sqrt(totals)
    centre, spread = roots.mean(axis=0), roots.std(axis=0, ddof=1)
    moves = spread > 1e-9 * np.maximum(centre, 1)
    distance = np.abs(roots - centre)[:, moves] / spread[moves]
    width = float(np.quantile(distance.max(axis=1), level)) if moves.any() else 0.0
    reach = np.where(moves, ROOM * width * spread, 0)
    return Band(np.maximum(centre - reach, 0) ** 2, (centre + reach) ** 2)


def widen_rare(band: Band, imputation: Imputation, imputed: Floats, edges: Sequence[int]) -> Band:
    """Give rare cells room for the largest document that may plausibly lie in them, and their known tokens a floor.

    ``imputed`` [domains, buckets] is how many documents that were not looked at each cell was given on average. Of
    input that was read in part, three times as many unseen documents have room as one that was read stands for; and
    where ranges of files were read, what may lie in documents longer than a range.
    """
    step = _largest_plausible(imputation, imputed.shape, edges)
    step[imputed >= _RARE_DOCUMENTS] = 0
    longer = _longer_than_ranges(imputation, imputed.shape, edges)
    low = np.maximum(band.low - step, 0)
    if imputation.population.is_whole:
        findings, population = imputation.findings, imputation.population
        cell = population.domain * imputed.shape[1] + assign_buckets(findings.tokens, edges)
        known = np.bincount(cell, findings.tokens, minlength=imputed.size).reshape(imputed.shape)
        low = np.minimum(np.maximum(low, known), band.low)
    return Band(low, band.high + np.maximum(step, longer))


def _largest_plausible(imputation: Imputation, shape: tuple[int, ...], edges: Sequence[int]) -> Floats:
    """Tokens of the largest document not looked at that may lie in a cell, times those it stands for; 0 for none."""
    population = imputation.population
    low, high = (ratio[population.domain] for ratio in imputation.domain_ratios)
    smaller, larger = (1.0, 1.0) if population.is_whole else _UNSEEN_SIZES
    least, most = population.size_bytes * low / smaller, population.size_bytes * high * larger
    stands_for = np.ones(len(least)) if population.is_whole else _UNSEEN * population.factor
    open_ = (most > 0) & (~imputation.findings.sampled | (not population.is_whole))
    step = np.zeros(shape)
    for bucket, (begin, end) in enumerate(zip([0, *edges], [*edges, np.inf], strict=True)):
        fits = np.flatnonzero(open_ & (least < end) & (most >= begin))
        tokens = np.minimum(most[fits], end - 1) * stands_for[fits]
        np.maximum.at(step[:, bucket], population.domain[fits], tokens)
    return step


def _longer_than_ranges(imputation: Imputation, shape: tuple[int, ...], edges: Sequence[int]) -> Floats:
    """Tokens that documents longer than the ranges that were read may have, in the cells where such lie."""
    room = np.zeros(shape)
    low, high = imputation.domain_ratios
    for unseen in imputation.population.long_unseen:
        cells = np.array([*edges, np.inf]) > unseen.longer_than_bytes * low[unseen.domain]
        room[unseen.domain, cells] += unseen.bytes * high[unseen.domain]
    return room
