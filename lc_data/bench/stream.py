"""Delivering packs with all their boundaries, against copying the same bytes: how far from the memory's speed."""

from __future__ import annotations

import tempfile

import numpy as np

from lc_data.bench.result import BenchResult, BenchRow, compare_in_turn
from lc_data.bench.synthetic import write_packed_run
from lc_data.corpus.run import RunFolder
from lc_data.streaming.dataset import PackedDataset

TOKENS = 50_000_000
SEQ_LEN = 32768


def bench_stream() -> BenchResult:
    """Stream 50 million tokens at 32,768, in process and without a thread, in turn with copies of what it yields."""
    with tempfile.TemporaryDirectory() as folder:
        write_packed_run(RunFolder(folder), TOKENS, SEQ_LEN)
        dataset = PackedDataset(folder, prefetch=0)
        packs = dataset.packs
        start = dataset.state_at(0)

        def stream() -> None:
            dataset.load_state_dict(start)
            for _ in dataset:
                pass

        stream()  # maps and checks every shard
        source = np.ones((3, SEQ_LEN), np.int64)
        target = np.empty_like(source)

        def copy() -> None:
            for _ in range(packs):
                np.copyto(target, source)

        ours, theirs = compare_in_turn(stream, copy)
    million = packs * SEQ_LEN / 1e6
    peer = "memcpy of the same bytes"
    return BenchResult(
        "stream", [BenchRow("delivery", "Mtok/s", million / ours, peer, million / theirs, theirs / ours)]
    )
