"""Planning rows: our best-fit decreasing against the one that a person would write with a sorted list.

And what the order of the rows is worth, on a synthetic corpus of seven domains: against rows that are only shuffled.
"""

from __future__ import annotations

import bisect
import time
from dataclasses import dataclass

import numpy as np

from lc_data.bench.pack_peers import compare_with_packers
from lc_data.bench.result import BenchResult, BenchRow, compare_in_turn
from lc_data.mixing.stream import DocumentStream
from lc_data.packing.audit import PlanAudit
from lc_data.packing.best_fit import best_fit_decreasing
from lc_data.packing.planner import Draw, PlannedBlock, plan_packs
from lc_data.packing.subject import Subject
from lc_data.packing.windows import WorstWindow, worst_window
from lc_data.recipe.packing import PackSection

DOCUMENTS = 200_000
SEQ_LEN = 32768
EDGES_TOKENS = tuple(1024 << power for power in range(8))

_DOMAINS = (
    ("web", 0.62, 7.0, 1.1),
    ("code", 0.14, 7.3, 1.3),
    ("clean web", 0.12, 6.6, 1.0),
    ("wikipedia", 0.06, 6.5, 1.1),
    ("questions", 0.036, 6.6, 0.9),
    ("papers", 0.02, 9.4, 0.7),
    ("books", 0.004, 11.3, 0.8),
)
"""Name, share of the documents, mean and standard deviation of the logarithm of the length: books are 0.4% of the
documents and a sixth of the tokens."""


def bench_pack() -> BenchResult:
    """Time one planning of 200,000 documents, given per million, and measure what rows hold and in which order."""
    lengths = draw_lengths(DOCUMENTS, seed=1)
    pieces = np.minimum(lengths, SEQ_LEN).astype(np.int32)
    best_fit_decreasing(pieces, SEQ_LEN)  # compiles
    ours, theirs = compare_in_turn(
        lambda: best_fit_decreasing(pieces, SEQ_LEN), lambda: pack_with_sorted_list(pieces.tolist(), SEQ_LEN), rounds=3
    )
    fill_ours = pieces.sum() / (len(best_fit_decreasing(pieces, SEQ_LEN)[1]) * SEQ_LEN)
    fill_theirs = pieces.sum() / (pack_with_sorted_list(pieces.tolist(), SEQ_LEN) * SEQ_LEN)
    peer = "a sorted list in Python"
    per_million = 1e6 / DOCUMENTS
    rows = [
        BenchRow("planning", "s per million documents", ours * per_million, peer, theirs * per_million, theirs / ours),
        BenchRow("fill", "share of tokens", float(fill_ours), peer, float(fill_theirs), float(fill_ours / fill_theirs)),
    ]
    order = _measure_order(peer, theirs * per_million)
    return BenchResult("pack", rows + order + compare_with_packers(lengths, SEQ_LEN))


def draw_lengths(documents: int, seed: int) -> np.ndarray:
    """Document lengths as corpora have them: lognormal, a mean of about 4,000 tokens, 1% over 32K; int64 [n]."""
    rng = np.random.default_rng(seed)
    return np.maximum(1, rng.lognormal(mean=7.45, sigma=1.3, size=documents)).astype(np.int64)


def pack_with_sorted_list(lengths: list[int], capacity: int) -> int:
    """Best-fit decreasing over a sorted list of free spaces; the number of rows."""
    free: list[int] = []
    rows = 0
    for length in sorted(lengths, reverse=True):
        place = bisect.bisect_left(free, length)
        if place < len(free):
            room = free.pop(place)
        else:
            room, rows = capacity, rows + 1
        bisect.insort(free, room - length)
    return rows


@dataclass(frozen=True)
class SyntheticCorpus:
    """Documents of seven domains."""

    length: np.ndarray
    """tokens of each, int64 [n]"""
    stratum: np.ndarray
    """domain * length buckets + length bucket, [n]"""

    @classmethod
    def of(cls, documents: int, seed: int) -> SyntheticCorpus:
        """About so many documents, always the same for a seed."""
        rng = np.random.default_rng(seed)
        counts = [int(documents * share) for _, share, _, _ in _DOMAINS]
        drawn = [
            rng.lognormal(mean, deviation, count)
            for (_, _, mean, deviation), count in zip(_DOMAINS, counts, strict=True)
        ]
        length = np.maximum(1, np.concatenate(drawn)).astype(np.int64)
        bucket = np.searchsorted(EDGES_TOKENS, length, side="right")
        return cls(length, np.repeat(np.arange(len(counts)), counts) * (len(EDGES_TOKENS) + 1) + bucket)

    def draws(self) -> list[Draw]:
        """All of it, once."""
        buckets = len(EDGES_TOKENS) + 1
        draws = []
        for stratum in np.unique(self.stratum).tolist():
            documents = np.flatnonzero(self.stratum == stratum)
            stream = DocumentStream.of(documents, self.length[documents], SEQ_LEN)
            draws.append(Draw(stream, stream.tokens, stratum // buckets, stratum % buckets))
        return draws

    def audit(self, planned: list[PlannedBlock], packing: PackSection) -> PlanAudit:
        """The books of a plan that holds all of it."""
        domains, buckets = len(_DOMAINS), len(EDGES_TOKENS) + 1
        none = np.zeros(len(self.length), bool)
        tokens = np.bincount(self.stratum, weights=self.length, minlength=domains * buckets).astype(np.int64)
        audit = PlanAudit(Subject(self.length, self.stratum, none, domains, buckets), packing, tokens[None])
        for block in planned:
            audit.add(block)
        audit.check(tokens)
        return audit


def _measure_order(packer: str, seconds_per_million: float) -> list[BenchRow]:
    """Plan the synthetic corpus in two orders, and shuffle the rows of one of them."""
    corpus = SyntheticCorpus.of(DOCUMENTS, seed=0)
    batch, spread = PackSection(seq_len=SEQ_LEN), PackSection(seq_len=SEQ_LEN, order="spread")
    draws = corpus.draws()
    list(plan_packs([draws[:1]], batch, 0))  # compiles
    started = time.process_time()
    planned = list(plan_packs([draws], batch, 0))
    seconds = (time.process_time() - started) * 1e6 / len(corpus.length)
    books = corpus.audit(planned, batch)
    even = corpus.audit(list(plan_packs([draws], spread, 0)), spread)
    shuffled, max_over_mean = _shuffle(corpus, planned, books)
    peer, points = "shuffled rows", "points off"
    rows = [
        BenchRow("whole plan", "s per million documents", seconds, f"{packer}, rows alone", seconds_per_million,
                 seconds_per_million / seconds),
        BenchRow("attention over 8 ranks", "max / mean", books.attention_max_over_mean, peer, max_over_mean,
                 max_over_mean / books.attention_max_over_mean),
    ]  # fmt: skip
    for what, worst in (
        ("domain shares, 10M tokens of whole batches", books.batch_windows.worst),
        ("domain shares, any 10M tokens, order: spread", even.windows.worst),
    ):
        ours, theirs = _points(worst), _points(shuffled)
        rows.append(BenchRow(what, points, ours, peer, theirs, theirs / ours))
    return rows


def _shuffle(
    corpus: SyntheticCorpus, planned: list[PlannedBlock], books: PlanAudit
) -> tuple[WorstWindow | None, float]:
    """The worst window and the balance of attention work when the rows of a plan are only shuffled."""
    buckets, ranks = len(EDGES_TOKENS) + 1, books.ranks
    tokens, work = np.zeros((books.packs, len(_DOMAINS))), np.zeros(books.packs)
    for block in (each.block for each in planned):
        np.add.at(tokens, (block.pack, corpus.stratum[block.document] // buckets), block.length)
        np.add.at(work, block.pack, block.length.astype(np.float64) ** 2)
    order = np.random.default_rng(5).permutation(books.packs)
    side_by_side = work[order][: len(order) // ranks * ranks].reshape(-1, ranks)
    shares = tokens.sum(axis=0) / tokens.sum()
    worst = worst_window(tokens[order], shares, books.windows.window_packs, 1)
    return worst, float(side_by_side.max(axis=1).sum() / side_by_side.mean(axis=1).sum())


def _points(worst: WorstWindow | None) -> float:
    return float("nan") if worst is None else 100 * worst.share_off
