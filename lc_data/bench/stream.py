"""Delivering packs with all their boundaries: against copying the same bytes, and against other loaders.

Every comparison runs in a process of its own, in which only one peer was ever imported, and ours and the peer's passes
take turns there. What is delivered in the process is measured in seconds of a core, whoever else uses the machine and
however many threads a side has; what comes through worker processes, by the clock on the wall. Temporary files of all
of them go below the folder of the bench.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lc_data.bench.result import BenchResult, BenchRow, compare_in_turn, row_without
from lc_data.bench.stream_apart import ApartError, call_apart, shared_memory
from lc_data.bench.stream_layout import Layout, Peer
from lc_data.bench.stream_memory import measure_epochs, measure_first_pack, open_stream, rows_of_what_stays
from lc_data.bench.stream_peers import PEERS
from lc_data.bench.stream_scale import write_huge_run
from lc_data.bench.synthetic import write_packed_run
from lc_data.corpus.run import RunFolder
from lc_data.streaming.dataset import PackedDataset

SEQ_LEN = 32768
_PER_CORE = "Mtok/s per core"
_WORKER_ROUNDS = 2
"""Through worker processes a pass takes twenty times as long, and the ratio is far from its bar."""
_OF_MOSAICML = re.compile(r"\d{6}_\w+")
"""Its names in shared memory, where it leaves them."""


@dataclass(frozen=True)
class StreamSizes:
    """How much is measured."""

    tokens: int = 200_000_000
    seq_len: int = SEQ_LEN
    rounds: int = 5
    peer_rounds: int = 3
    epochs: int = 10
    peers: tuple[Peer, ...] = PEERS
    huge_tokens: int = 100_000_000_000
    limit_s: float = 600.0
    """what a comparison may take"""


def bench_stream(sizes: StreamSizes | None = None) -> BenchResult:
    """Stream 200 million tokens at 32,768, without a thread, in turn with copies of them and with each peer."""
    sizes = sizes or StreamSizes()
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder, "run"))
        write_packed_run(RunFolder(run), sizes.tokens, sizes.seq_len)
        rows = [call_apart(folder, sizes.limit_s, compare_with_copies, run, sizes.seq_len, sizes.rounds)]
        for peer in sizes.peers:
            rows += measure_peer(folder, peer, Layout(run, str(Path(folder, peer.package)), sizes.seq_len), sizes)
        rows += _measure_first(folder, sizes)
        rows += _measure_what_stays(folder, run, sizes)
    return BenchResult("stream", rows)


def measure_peer(folder: str, peer: Peer, layout: Layout, sizes: StreamSizes) -> list[BenchRow]:
    """Compare with a peer in a process of its own; where that cannot be, the row says why and has no numbers."""
    what, unit = _what(peer)
    if importlib.util.find_spec(peer.package) is None:
        return [row_without(what, unit, peer.name, bar=peer.bar)]
    before = shared_memory()
    try:
        if not Path(layout.folder).exists():
            peer.write(layout)
        rounds = min(sizes.peer_rounds, _WORKER_ROUNDS) if peer.workers else sizes.peer_rounds
        return call_apart(folder, sizes.limit_s, compare_with_peer, peer, layout, rounds)
    except ApartError as error:
        return [row_without(what, unit, peer.name, str(error), peer.bar)]
    finally:
        for file in map(Path, shared_memory() - before):
            if _OF_MOSAICML.fullmatch(file.name):
                file.unlink(missing_ok=True)


def compare_with_copies(run: str, seq_len: int, rounds: int) -> BenchRow:
    """Compare with copying as many bytes as a pack has, from memory that is in the processor's cache."""
    stream, packs = open_stream(run, workers=0)
    stream()  # maps and checks every shard
    source = np.ones((3, seq_len), np.int64)
    target = np.empty_like(source)

    def copy() -> None:
        for _ in range(packs):
            np.copyto(target, source)

    ours, theirs = compare_in_turn(stream, copy, rounds, time.process_time)
    million = packs * seq_len / 1e6
    return BenchRow(
        "delivery", _PER_CORE, million / ours, "memcpy of the same bytes", million / theirs, theirs / ours, bar=0.25
    )


def compare_with_peer(peer: Peer, layout: Layout, rounds: int) -> list[BenchRow]:
    """Compare with a loader over its own layout, everything read once before it is timed.

    One that delivers bare tokens is compared with our bare tokens, to which the bar belongs, and with whole rows.
    """
    what, unit = _what(peer)
    stream, packs = open_stream(layout.run, peer.workers)
    clock = time.perf_counter if peer.workers else time.process_time
    read = peer.read(layout)
    tokens = read()

    def row(what: str, pass_over: Callable[[], None], bar: float | None) -> BenchRow:
        pass_over()
        ours, theirs = compare_in_turn(pass_over, read, rounds, clock)
        rate, peer_rate = packs * layout.seq_len / ours / 1e6, tokens / theirs / 1e6
        return BenchRow(what, unit, rate, peer.name, peer_rate, rate / peer_rate, bar)

    if not peer.bare:
        return [row(what, stream, peer.bar)]
    dataset = PackedDataset(layout.run, prefetch=0)

    def stream_tokens() -> None:
        for at in range(packs):
            dataset.tokens(at)

    return [row("delivery of tokens alone", stream_tokens, peer.bar), row("delivery of whole rows", stream, None)]


def _what(peer: Peer) -> tuple[str, str]:
    if peer.bare:
        return "delivery of tokens alone", _PER_CORE
    return (f"delivery through {peer.workers} workers", "Mtok/s") if peer.workers else ("delivery", _PER_CORE)


def _measure_first(folder: str, sizes: StreamSizes) -> list[BenchRow]:
    run = str(Path(folder, "huge"))
    write_huge_run(RunFolder(run), sizes.huge_tokens, sizes.seq_len)
    seconds, held = call_apart(folder, sizes.limit_s, measure_first_pack, run)
    what = f"first pack of a plan of {sizes.huge_tokens / 1e9:.3g} billion tokens"
    return [
        BenchRow(what, "s", seconds, "2 s", 2.0, 2.0 / seconds, bar=1.0),
        BenchRow(f"{what}, memory above the imports", "MB", held / 1e6, "200 MB", 200.0, 200e6 / held, bar=1.0),
    ]


def _measure_what_stays(folder: str, run: str, sizes: StreamSizes) -> list[BenchRow]:
    """What our streaming leaves is counted when its process has ended: until then it may have a socket open."""
    temporary, before = Path(folder, "tmp"), shared_memory()
    there = set(temporary.iterdir())
    held = call_apart(folder, sizes.limit_s, measure_epochs, run, sizes.epochs)
    left = len(shared_memory() - before) + len(set(temporary.iterdir()) - there)
    return rows_of_what_stays(held, sizes.epochs, left)
