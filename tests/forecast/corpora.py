"""Corpora that are only numbers, of a known distribution: sizes, what a filter keeps, and tokens per byte."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lc_data.forecast.population import Findings, Population, choose_sample
from lc_data.lengths.buckets import assign_buckets

EDGES = (256, 1024, 4096, 16384)
DOMAINS = 4
_MEDIAN_BYTES, _SPREAD = (1500, 6000, 2500, 60000), (1.3, 1.0, 0.4, 1.2)
_STAYS, _RATIO, _RATIO_SPREAD = (0.7, 0.93, 1.0, 0.95), (0.25, 0.3, 0.28, 0.24), (0.12, 0.25, 0.05, 0.1)
_DOCUMENTS = (1500, 700, 900, 60)


@dataclass(frozen=True)
class Corpus:
    """All documents, and what would become of each; arrays [n]."""

    domain: np.ndarray
    size_bytes: np.ndarray
    tokens: np.ndarray
    piece: np.ndarray
    """Which piece of the input it lies in."""

    def totals(self) -> np.ndarray:
        """The truth: tokens [domains, buckets]."""
        cell = self.domain * (len(EDGES) + 1) + assign_buckets(self.tokens, EDGES)
        return np.bincount(cell, self.tokens, minlength=DOMAINS * (len(EDGES) + 1)).reshape(DOMAINS, -1)


def draw_corpus(seed: int, times: int = 1, piece_documents: int = 20) -> Corpus:
    """A corpus of four domains; documents of a piece of the input are alike in size and in what the filter says."""
    generator = np.random.default_rng([seed, 77])
    count = np.array(_DOCUMENTS) * times
    domain = np.repeat(np.arange(DOMAINS), count)
    piece = np.concatenate([np.arange(each) // piece_documents for each in count]) + domain * 1_000_000
    _, of = np.unique(piece, return_inverse=True)
    shared = generator.normal(0, 0.3, int(of.max()) + 1)[of]
    size = np.exp(
        np.log(np.array(_MEDIAN_BYTES))[domain] + generator.normal(0, 1, len(domain)) * np.array(_SPREAD)[domain]
    )
    size = np.maximum(size * np.exp(shared), 20).astype(np.int64)
    stays = generator.random(len(domain)) < np.array(_STAYS)[domain] - 0.1 * (size < 500)
    ratio = np.array(_RATIO)[domain] * np.exp(generator.normal(0, 1, len(domain)) * np.array(_RATIO_SPREAD)[domain])
    return Corpus(domain, size, np.where(stays, np.maximum(size * ratio, 1), 0).astype(np.int64), piece)


def read_whole(corpus: Corpus) -> Population:
    """All of it was read."""
    everything = len(corpus.domain)
    return Population(corpus.domain, corpus.size_bytes, corpus.piece, np.ones(everything), np.ones(everything, bool))


def read_part(corpus: Corpus, one_in: int, seed: int) -> tuple[Population, np.ndarray]:
    """One piece in so many was read, spread over each domain; also which documents these are."""
    read = np.zeros(len(corpus.domain), bool)
    factor = np.ones(len(corpus.domain))
    start = np.random.default_rng([seed, 78]).integers(one_in)
    for code in range(DOMAINS):
        mine = corpus.domain == code
        pieces = np.unique(corpus.piece[mine])
        chosen = mine & np.isin(corpus.piece, pieces[start % len(pieces) :: one_in])
        read |= chosen
        factor[mine] = corpus.size_bytes[mine].sum() / corpus.size_bytes[chosen].sum()
    kept = np.flatnonzero(read)
    sized = np.ones(len(kept), bool)
    return Population(corpus.domain[kept], corpus.size_bytes[kept], corpus.piece[kept], factor[kept], sized), kept


def read_ranges(corpus: Corpus, one_in: int, seed: int, pieces: int = 32) -> tuple[Population, np.ndarray]:
    """Ranges of bytes were read, spread over each domain: the documents that begin in one, however long they are."""
    cluster = np.full(len(corpus.domain), -1)
    start = np.random.default_rng([seed, 79]).random()
    for code in range(DOMAINS):
        mine = np.flatnonzero(corpus.domain == code)
        begins = np.cumsum(corpus.size_bytes[mine]) - corpus.size_bytes[mine]
        period = corpus.size_bytes[mine].sum() / pieces
        place, inside = np.divmod(begins / period + start, 1)
        cluster[mine[inside < 1 / one_in]] = code * 1000 + place[inside < 1 / one_in]
    kept = np.flatnonzero(cluster >= 0)
    factor, sized = np.full(len(kept), float(one_in)), np.zeros(len(kept), bool)
    return Population(corpus.domain[kept], corpus.size_bytes[kept], cluster[kept], factor, sized), kept


def look_at(population: Population, tokens: np.ndarray, wanted_bytes: int, seed: int) -> Findings:
    """Sample a population, and see what its sampled documents become."""
    sampled = choose_sample(population, wanted_bytes, seed, least_bytes=0)
    return Findings(sampled, np.where(sampled, tokens, 0))
