"""Delivering packs with all their boundaries: against copying the same bytes, and against other loaders.

Every comparison runs in a process of its own, in which only one peer was ever imported, and ours and the peer's passes
take turns there. Temporary files of all of them go below the folder of the bench.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import re
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch.utils.data import DataLoader

from lc_data.bench.result import BenchResult, BenchRow, compare_in_turn, row_without
from lc_data.bench.stream_peers import PEERS, Layout, Peer
from lc_data.bench.synthetic import write_packed_run
from lc_data.corpus.run import RunFolder
from lc_data.streaming.dataset import PackedDataset

SEQ_LEN = 32768
_SHARED_MEMORY = Path("/dev/shm")

T = TypeVar("T")


@dataclass(frozen=True)
class StreamSizes:
    """How much is measured."""

    tokens: int = 50_000_000
    seq_len: int = SEQ_LEN
    rounds: int = 5
    epochs: int = 10
    peers: tuple[Peer, ...] = PEERS


def bench_stream(sizes: StreamSizes | None = None) -> BenchResult:
    """Stream 50 million tokens at 32,768, without a thread, in turn with copies of them and with each peer."""
    sizes = sizes or StreamSizes()
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder, "run"))
        write_packed_run(RunFolder(run), sizes.tokens, sizes.seq_len)
        rows = [_apart(folder, compare_with_copies, run, sizes)]
        layouts = [Layout(run, str(Path(folder, peer.package)), sizes.seq_len) for peer in sizes.peers]
        rows += [_compare(folder, peer, layout, sizes) for peer, layout in zip(sizes.peers, layouts, strict=True)]
        rows += _apart(folder, measure_what_stays, run, sizes)
    return BenchResult("stream", rows)


def _compare(folder: str, peer: Peer, layout: Layout, sizes: StreamSizes) -> BenchRow:
    if importlib.util.find_spec(peer.package) is None:
        return row_without("delivery", "Mtok/s", peer.name)
    if not Path(layout.folder).exists():
        peer.write(layout)
    return _apart(folder, compare_with_peer, peer, layout, sizes.rounds)


def _apart(folder: str, call: Callable[..., T], *arguments: object) -> T:
    """Call in a new process, whose temporary files go below a folder. It may have children, as loaders do."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_keep_files_in, initargs=(folder,)) as pool:
        return pool.submit(call, *arguments).result()


def _keep_files_in(folder: str) -> None:
    temporary = Path(folder, "tmp")
    temporary.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)


def compare_with_copies(run: str, sizes: StreamSizes) -> BenchRow:
    """Compare with copying as many bytes as a pack has, from memory that is in the processor's cache."""
    stream, packs = _stream(run, workers=0)
    stream()  # maps and checks every shard
    source = np.ones((3, sizes.seq_len), np.int64)
    target = np.empty_like(source)

    def copy() -> None:
        for _ in range(packs):
            np.copyto(target, source)

    ours, theirs = compare_in_turn(stream, copy, sizes.rounds)
    million = packs * sizes.seq_len / 1e6
    return BenchRow("delivery", "Mtok/s", million / ours, "memcpy of the same bytes", million / theirs, theirs / ours)


def compare_with_peer(peer: Peer, layout: Layout, rounds: int) -> BenchRow:
    """Compare with a loader over its own layout, everything read once before it is timed."""
    stream, packs = _stream(layout.run, workers=0)
    read = peer.read(layout)
    stream()
    tokens = read()
    ours, theirs = compare_in_turn(stream, read, rounds)
    rate, peer_rate = packs * layout.seq_len / ours / 1e6, tokens / theirs / 1e6
    return BenchRow("delivery", "Mtok/s", rate, peer.name, peer_rate, rate / peer_rate)


def measure_what_stays(run: str, sizes: StreamSizes) -> list[BenchRow]:
    """Measure anonymous memory over epochs, and count the files left by them and by worker processes."""
    before = _files()
    stream, _ = _stream(run, workers=0)
    stream()
    first = anonymous_bytes()
    for _ in range(sizes.epochs - 1):
        stream()
    last = anonymous_bytes()
    _stream(run, workers=2)[0]()
    left = len(_files() - before)
    return [
        BenchRow(f"anonymous memory after {sizes.epochs} epochs", "MB", last / 1e6, "after the first", first / 1e6,
                 first / last),
        BenchRow("files left in shared memory and temporary folders", "files", left, "none", 0, float(left == 0)),
    ]  # fmt: skip


def anonymous_bytes() -> int:
    """Memory of this process that is no file: maps of shards do not count (Linux)."""
    return int(re.findall(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) << 10


def _files() -> set[str]:
    places = [_SHARED_MEMORY, Path(tempfile.gettempdir())]
    return {str(path) for place in places if place.exists() for path in place.iterdir()}


def _stream(run: str, workers: int) -> tuple[Callable[[], None], int]:
    """Return one pass over all packs from the first on, and how many they are."""
    dataset = PackedDataset(run, prefetch=0)
    start = dataset.state_at(0)

    def stream() -> None:
        dataset.load_state_dict(start)
        for _ in DataLoader(dataset, batch_size=None, num_workers=workers) if workers else dataset:
            pass

    return stream, dataset.packs
