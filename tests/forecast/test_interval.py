"""Intervals hold as often as they say, on corpora whose every document is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.forecast.estimate import estimate
from lc_data.forecast.imputation import Imputation
from lc_data.forecast.interval import simultaneous_band
from lc_data.forecast.population import Findings, LongUnseen, Population, choose_sample
from tests.forecast.corpora import DOMAINS, EDGES, Corpus, draw_corpus, look_at, read_part, read_ranges, read_whole

SEEDS = 40
LEAST = 0.9
"""Of 40 corpora 38 are expected inside at 95%; fewer than 36 would be once in 20 times."""


def inside(corpus: Corpus, population: Population, findings: Findings, seed: int) -> tuple[bool, bool]:
    """Whether every cell, and whether the sum of all, is inside its interval."""
    found = estimate(Imputation(population, findings), DOMAINS, EDGES, seed, draws=150)
    truth = corpus.totals()
    cells = (truth >= found.band.low - 1e-6) & (truth <= found.band.high + 1e-6)
    return bool(cells.all()), found.total_low <= truth.sum() <= found.total_high


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_all_cells_at_once_are_inside_as_often_as_promised(share: float) -> None:
    hits = []
    for seed in range(SEEDS):
        corpus = draw_corpus(seed)
        population = read_whole(corpus)
        findings = look_at(population, corpus.tokens, int(corpus.size_bytes.sum() * share), seed)
        hits.append(inside(corpus, population, findings, seed))
    cells, totals = np.mean(hits, axis=0)
    assert cells >= LEAST
    assert totals >= 0.85


@pytest.mark.parametrize("read", [read_part, read_ranges])
def test_reading_one_piece_in_ten_knows_that_pieces_differ(
    read: Callable[[Corpus, int, int], tuple[Population, np.ndarray]],
) -> None:
    hits = []
    for seed in range(SEEDS):
        corpus = draw_corpus(seed, times=10)
        population, kept = read(corpus, 10, seed)
        findings = look_at(population, corpus.tokens[kept], int(population.size_bytes.sum() * 0.3), seed)
        hits.append(inside(corpus, population, findings, seed))
    cells, totals = np.mean(hits, axis=0)
    assert cells >= LEAST
    assert totals >= 0.8


def test_more_text_looked_at_means_narrower_intervals() -> None:
    corpus = draw_corpus(1)
    population = read_whole(corpus)
    widths = []
    for share in (0.05, 0.2, 0.8):
        findings = look_at(population, corpus.tokens, int(corpus.size_bytes.sum() * share), 1)
        band = estimate(Imputation(population, findings), DOMAINS, EDGES, 1, draws=100).band
        widths.append(float((band.high - band.low).sum()))
    assert widths[0] > 1.2 * widths[1] > 2 * widths[2]


def test_all_looked_at_leaves_nothing_to_estimate() -> None:
    corpus = draw_corpus(2)
    population = read_whole(corpus)
    findings = look_at(population, corpus.tokens, int(corpus.size_bytes.sum()), 2)
    found = estimate(Imputation(population, findings), DOMAINS, EDGES, 2, draws=10)
    for each in (found.tokens, found.band.low, found.band.high):
        np.testing.assert_allclose(each, corpus.totals())
    assert found.total_low == found.total_high == corpus.totals().sum()
    np.testing.assert_array_equal(found.typical.tokens, corpus.tokens)


def test_the_same_seed_gives_the_same_answer() -> None:
    corpus = draw_corpus(3)
    population = read_whole(corpus)
    findings = look_at(population, corpus.tokens, 500_000, 3)
    first, second = (estimate(Imputation(population, findings), DOMAINS, EDGES, 9, draws=20) for _ in range(2))
    np.testing.assert_array_equal(first.band.high, second.band.high)
    np.testing.assert_array_equal(first.typical.tokens, second.typical.tokens)


def test_a_band_holds_its_share_of_the_draws_whole_and_leaves_constants_alone() -> None:
    draws = np.random.default_rng(5).gamma(20, 1, (400, 3, 4)) * 1000
    draws[:, 0, 0] = 7.0
    band = simultaneous_band(draws)
    whole = ((draws >= band.low - 1e-9) & (draws <= band.high + 1e-9)).all(axis=(1, 2)).mean()
    assert whole >= 0.95
    narrow = simultaneous_band(draws, 0.2)
    assert ((draws >= narrow.low) & (draws <= narrow.high)).all(axis=(1, 2)).mean() < 0.9
    assert band.low[0, 0] == pytest.approx(7)
    assert band.high[0, 0] == pytest.approx(7)


def test_what_nobody_looked_at_has_room_in_an_empty_cell() -> None:
    """Ten short documents were looked at; of the others, a longer one may lie in a bucket where none was seen."""
    size = np.array([800] * 400 + [1000] * 40, np.int64)
    population = Population(np.zeros(440, np.int64), size, np.zeros(440, np.int64), np.ones(440), np.ones(440, bool))
    sampled = choose_sample(population, 1, 0, least_bytes=0)
    tokens = np.where(sampled, size // 4, 0)
    found = estimate(Imputation(population, Findings(sampled, tokens)), 1, [260], 0, draws=50)
    assert found.tokens[0, 1] == 0
    assert 260 <= found.band.high[0, 1] <= 400


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 1 << 22)), max_size=200), st.integers(0, 1 << 20))
def test_every_stratum_gives_its_least_or_all_of_it(rows: list[tuple[int, int]], wanted: int) -> None:
    domain, size = (np.array([row[place] for row in rows], np.int64) for place in (0, 1))
    population = Population(domain, size, np.zeros(len(rows), np.int64), np.ones(len(rows)), np.ones(len(rows), bool))
    sampled = choose_sample(population, wanted, 4, least_bytes=0)
    for stratum in np.unique(population.stratum):
        mine = population.stratum == stratum
        assert sampled[mine].sum() >= min(10, mine.sum())
    octave = np.floor(np.log2(np.maximum(size, 1))).astype(np.int64) if len(rows) else size
    np.testing.assert_array_equal(population.stratum, domain * 64 + octave)


def test_documents_longer_than_a_range_have_room_where_ranges_lay_inside_one() -> None:
    size = np.full(400, 800, np.int64)
    whole = np.ones(400, bool)
    parts = Population(np.zeros(400, np.int64), size, np.arange(400) // 20, np.full(400, 10.0), ~whole)
    found = []
    for unseen in ((), (LongUnseen(domain=0, longer_than_bytes=8000, bytes=1_000_000, factor=10.0, empty=0),)):
        population = replace(parts, long_unseen=unseen)
        sampled = choose_sample(population, 100_000, 0, least_bytes=0)
        imputation = Imputation(population, Findings(sampled, np.where(sampled, size // 4, 0)))
        found.append(estimate(imputation, 1, [100, 1000, 10_000], 0, draws=50).band.high[0])
    np.testing.assert_allclose(found[0][2:], 0)
    np.testing.assert_allclose(found[1], [*found[0][:2], 312_500, 312_500])
