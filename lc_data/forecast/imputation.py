"""What the documents that were not looked at may be like: many completed corpora, each as likely as the next.

Multiple imputation (Rubin 1987). In each draw a stratum has a share that stays, from the Beta posterior of what its
sample showed, and a document that stays takes its tokens per byte from one of the sampled documents of its stratum, of
a pool that is itself drawn anew (the approximate Bayesian bootstrap: Rubin and Schenker 1986). Where only a part of the
input was read, the pieces that were read are weighed anew in each draw (the Bayesian bootstrap: Rubin 1981), because
neighbours in a file are alike. So what varies from draw to draw is what is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lc_data.forecast.population import Findings, Floats, Integers, Population
from lc_data.lengths.buckets import assign_buckets

DRAWS = 400
"""Completed corpora: the 95% level of an interval then rests on 20 draws beyond it."""
_LEAST_DONORS = 8
_LEAST_CLUSTERS = 8
"""Input that was read in fewer pieces is cut into so many runs of documents, to see how it varies."""


@dataclass(frozen=True)
class Completed:
    """One completed corpus; arrays [n]."""

    tokens: Integers
    """0 for a document that is dropped."""
    weight: Floats
    """How many documents of the corpus each one stands for in this draw."""
    donor: Integers
    """The sampled document that a document takes after; itself, if it was sampled; -1 for one that is dropped."""


class Imputation:
    """The strata of a population and what its sample says of them, ready to draw from."""

    def __init__(self, population: Population, findings: Findings, jitter: float = 0.0) -> None:
        """``jitter``: relative standard deviation of all tokens together, where the tokenizer is not yet there."""
        self.population, self.findings, self._jitter = population, findings, jitter
        stratum = population.stratum
        self._rest = np.flatnonzero(~findings.sampled)
        numbers, self._place = np.unique(stratum[self._rest], return_inverse=True)
        self._domain = numbers // 64
        sampled, kept = stratum[findings.sampled], stratum[findings.kept]
        looked_at = np.searchsorted(np.sort(sampled), [numbers, numbers + 1])
        stayed = np.searchsorted(np.sort(kept), [numbers, numbers + 1])
        self._kept, self._looked_at = stayed[1] - stayed[0], looked_at[1] - looked_at[0]
        pools = [self._donors(int(number)) for number in numbers]
        self._pool = np.concatenate([np.zeros(0, np.int64), *pools])
        self._pool_size = np.array([len(pool) for pool in pools], np.int64)
        self._pool_start = np.cumsum(self._pool_size) - self._pool_size
        self._clusters = _cut_few(population)

    @property
    def domain_ratios(self) -> tuple[Floats, Floats]:
        """For every domain the least and the most tokens per byte that it has shown, with a quarter to spare.

        Zero where the domain's sample kept nothing.
        """
        kept = self.findings.kept
        domains = int(self.population.domain.max(initial=-1)) + 1
        low, high = np.full(domains, np.inf), np.zeros(domains)
        ratio = self._ratio(np.flatnonzero(kept))
        np.minimum.at(low, self.population.domain[kept], ratio / 1.25)
        np.maximum.at(high, self.population.domain[kept], ratio * 1.25)
        low[~np.isfinite(low)] = 0
        return low, high

    def draw(self, generator: np.random.Generator) -> Completed:
        """Complete the corpus once."""
        tokens, donor = self.findings.tokens.copy(), np.full(len(self.findings.tokens), -1, np.int64)
        known = np.flatnonzero(self.findings.kept)
        donor[known] = known
        share = self._draw_shares(generator)
        stays = (generator.random(len(self._rest)) < share[self._place]) & (self._pool_size[self._place] > 0)
        chosen, place = self._rest[stays], self._place[stays]
        sizes = np.repeat(self._pool_size, self._pool_size)
        starts = np.repeat(self._pool_start, self._pool_size)
        redrawn = self._pool[starts + (generator.random(len(self._pool)) * sizes).astype(np.int64)]
        picks = self._pool_start[place] + (generator.random(len(place)) * self._pool_size[place]).astype(np.int64)
        donor[chosen] = redrawn[picks]
        drawn = self.population.size_bytes[chosen] * self._ratio(donor[chosen])
        tokens[chosen] = np.maximum(np.rint(drawn), 1).astype(np.int64)
        if self._jitter:
            scale = np.exp(generator.normal(0, self._jitter))
            tokens = np.where(tokens > 0, np.maximum(np.rint(tokens * scale), 1), 0).astype(np.int64)
        return Completed(tokens, self._weights(generator), donor)

    def _draw_shares(self, generator: np.random.Generator) -> Floats:
        """The share of each stratum that stays: what its sample showed, after one document's worth of its domain's.

        The domain's own is from the Jeffreys posterior. Jeffreys for each stratum by itself would take half a document
        out of every sample that lost none: 1% of all tokens.
        """
        sampled, domain = self.findings.sampled, self.population.domain
        size = int(domain.max(initial=-1)) + 1
        looked_at = np.bincount(domain[sampled], minlength=size)
        kept = np.bincount(domain[self.findings.kept], minlength=size)
        prior = generator.beta(kept + 0.5, looked_at - kept + 0.5)[self._domain]
        prior = np.clip(prior, 1e-3, 1 - 1e-3)
        return generator.beta(self._kept + prior, self._looked_at - self._kept + 1 - prior)

    def _weights(self, generator: np.random.Generator) -> Floats:
        factor = self.population.factor
        if self.population.is_whole:
            return factor
        number, of_source = self._clusters
        drawn = generator.standard_exponential(int(number.max()) + 1)
        # Ranges in which no document begins are pieces like the others, and have their weight.
        empty = np.zeros(len(np.unique(factor)), np.int64)
        for unseen in self.population.long_unseen:
            empty[np.unique(factor) == unseen.factor] += unseen.empty
        weights = np.bincount(of_source, drawn) + generator.standard_gamma(empty)
        sums = weights / (np.bincount(of_source) + empty)
        relative = drawn / sums[of_source]
        # The more of a source was read, the less its other part can differ from it.
        relative = np.maximum(1 + np.sqrt(1 - 1 / factor) * (relative[number] - 1), 0)
        # Where the size of a source is known in documents, pieces of short ones stand for more of them.
        size, source = self.population.size_bytes, of_source[number]
        scale = (np.bincount(source, size) / np.maximum(np.bincount(source, relative * size), 1e-9))[source]
        return factor * relative * np.where(self.population.sized, scale, 1)

    def _donors(self, stratum: int) -> Integers:
        """Sampled documents that stayed, of a stratum; with those of its domain's nearest sizes where it has few."""
        kept = np.flatnonzero(self.findings.kept & (self.population.domain == stratum // 64))
        distance = np.abs(self.population.stratum[kept] - stratum)
        for reach in range(64):
            near = kept[distance <= reach]
            if len(near) >= min(_LEAST_DONORS, len(kept)):
                return near
        return kept

    def _ratio(self, documents: Integers) -> Floats:
        """Tokens per byte of sampled documents."""
        return self.findings.tokens[documents] / np.maximum(self.population.size_bytes[documents], 1)


def _cut_few(population: Population) -> tuple[Integers, Integers]:
    """The cluster of each document, and of each cluster the group of clusters that stand for each other.

    Clusters are grouped by factor, which is one for each source; a group with few is cut into runs of documents.
    """
    number = np.zeros(len(population.factor), np.int64)
    of_source: list[int] = []
    for source, factor in enumerate(np.unique(population.factor)):
        mine = np.flatnonzero(population.factor == factor)
        names, cluster = np.unique(population.cluster[mine], return_inverse=True)
        if len(names) < _LEAST_CLUSTERS:
            runs = np.arange(len(mine)) * _LEAST_CLUSTERS // max(len(mine), 1)
            _, cluster = np.unique(cluster * _LEAST_CLUSTERS + runs, return_inverse=True)
        number[mine] = len(of_source) + cluster
        of_source += [source] * (int(cluster.max()) + 1)
    return number, np.array(of_source, np.int64)


def cell_totals(completed: Completed, population: Population, shape: tuple[int, int], edges: Sequence[int]) -> Floats:
    """Tokens by domain and length bucket, float64 [domains, buckets]."""
    bucket = assign_buckets(completed.tokens, edges)
    cell = population.domain * shape[1] + bucket
    weights = completed.tokens * completed.weight
    return np.bincount(cell, weights, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
