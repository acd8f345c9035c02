"""The real plan of a synthetic corpus of seven domains: what it costs, what it keeps, in which order rows stand."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np

from lc_data.bench.result import BenchRow
from lc_data.mixing.stream import DocumentStream
from lc_data.packing.audit import PlanAudit
from lc_data.packing.planner import Draw, PlannedBlock, plan_packs
from lc_data.packing.subject import Subject
from lc_data.packing.windows import WorstWindow, worst_window
from lc_data.recipe.packing import PackSection

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

    def draws(self, seq_len: int) -> list[Draw]:
        """All of it, once."""
        buckets = len(EDGES_TOKENS) + 1
        draws = []
        for stratum in np.unique(self.stratum).tolist():
            documents = np.flatnonzero(self.stratum == stratum)
            stream = DocumentStream.of(documents, self.length[documents], seq_len)
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


def measure_plan(documents: int, seq_len: int) -> list[BenchRow]:
    """Plan the synthetic corpus in two orders, and shuffle the rows of one of them.

    What is asked of a plan by itself, at most half a second, at least 0.999 full, stands where a peer would.
    """
    corpus = SyntheticCorpus.of(documents, seed=0)
    batch, spread = PackSection(seq_len=seq_len), PackSection(seq_len=seq_len, order="spread")
    draws = corpus.draws(seq_len)
    list(plan_packs([draws[:1]], batch, 0))  # compiles
    seconds, planned = [], []
    for _ in range(3):
        started = time.process_time()
        planned = list(plan_packs([draws], batch, 0))
        seconds.append((time.process_time() - started) * 1e6 / len(corpus.length))
    taken = statistics.median(seconds)
    books = corpus.audit(planned, batch)
    even = corpus.audit(list(plan_packs([draws], spread, 0)), spread)
    shuffled, max_over_mean = _shuffle(corpus, planned, books)
    ours, cut, lost = books.attention_max_over_mean, *count_losses(corpus.length, planned, seq_len)
    fill = float((corpus.length.sum() - lost) / (books.packs * seq_len))
    peer, points = "shuffled rows", "points off"
    rows = [
        BenchRow("whole plan", "s per million documents", taken, "half a second", 0.5, 0.5 / taken, bar=1.0),
        BenchRow("whole plan, fill", "share of tokens", fill, "0.999", 0.999, fill / 0.999, bar=1.0),
        BenchRow("whole plan, documents <= seq_len cut", "documents", cut, "none", 0, float(cut == 0), bar=1.0),
        BenchRow("whole plan, tokens lost", "tokens", lost, "none", 0, float(lost == 0), bar=1.0),
        BenchRow(f"attention over 8 ranks, {batch.global_batch_packs} packs a batch", "max / mean", ours, "1.15", 1.15,
                 1.15 / ours, bar=1.0),
        BenchRow("attention over 8 ranks", "max / mean", ours, peer, max_over_mean, max_over_mean / ours),
    ]  # fmt: skip
    for what, worst in (
        ("domain shares, 10M tokens of whole batches", books.batch_windows.worst),
        ("domain shares, any 10M tokens, order: spread", even.windows.worst),
    ):
        off, theirs = _points(worst), _points(shuffled)
        rows.append(BenchRow(what, points, off, peer, theirs, theirs / off))
    return rows


def count_losses(length: np.ndarray, planned: list[PlannedBlock], seq_len: int) -> tuple[int, int]:
    """Documents of at most seq_len that have more or less than one piece, and tokens that no piece has, each once."""
    document, start, held = (
        np.concatenate([getattr(each.block, name) for each in planned]) for name in ("document", "start", "length")
    )
    pieces = np.bincount(document, minlength=len(length))
    tokens = np.bincount(document, weights=held, minlength=len(length)).astype(np.int64)
    order = np.lexsort((start, document))
    follows = np.diff(document[order]) == 0
    overlaps = (start[order][1:] < (start + held)[order][:-1]) & follows
    if overlaps.any():
        raise ValueError("two pieces of a plan hold the same tokens of a document: it does not hold all of it once")
    return int(((length <= seq_len) & (pieces != 1)).sum()), int(np.abs(length - tokens).sum())


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
