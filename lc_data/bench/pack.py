"""Planning rows: our best-fit decreasing against the one that a person would write with a sorted list.

And what the order of the rows is worth, on a synthetic corpus of seven domains: against rows that are only shuffled.
"""

from __future__ import annotations

import bisect
import time

import numpy as np

from lc_data.bench.pack_peers import compare_with_packers
from lc_data.bench.pack_plan import measure_plan
from lc_data.bench.result import BenchResult, BenchRow, compare_in_turn
from lc_data.packing.best_fit import best_fit_decreasing

DOCUMENTS = 200_000
SEQ_LEN = 32768


def bench_pack() -> BenchResult:
    """Time one planning of 200,000 documents, given per million, and measure what rows hold and in which order."""
    lengths = draw_lengths(DOCUMENTS, seed=1)
    pieces = np.minimum(lengths, SEQ_LEN).astype(np.int32)
    best_fit_decreasing(pieces, SEQ_LEN)  # compiles
    ours, theirs = compare_in_turn(
        lambda: best_fit_decreasing(pieces, SEQ_LEN),
        lambda: pack_with_sorted_list(pieces.tolist(), SEQ_LEN),
        rounds=3,
        clock=time.process_time,
    )
    fill_ours = pieces.sum() / (len(best_fit_decreasing(pieces, SEQ_LEN)[1]) * SEQ_LEN)
    fill_theirs = pieces.sum() / (pack_with_sorted_list(pieces.tolist(), SEQ_LEN) * SEQ_LEN)
    peer = "a sorted list in Python"
    per_million = 1e6 / DOCUMENTS
    rows = [
        BenchRow("planning", "s per million documents", ours * per_million, peer, theirs * per_million, theirs / ours),
        BenchRow("fill", "share of tokens", float(fill_ours), peer, float(fill_theirs), float(fill_ours / fill_theirs)),
    ]
    return BenchResult("pack", rows + measure_plan(DOCUMENTS, SEQ_LEN) + compare_with_packers(lengths, SEQ_LEN))


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
