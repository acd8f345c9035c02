"""What streaming costs where nobody looks: memory over epochs, files left behind, the first row of a huge plan."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import DataLoader

from lc_data.bench.memory import peak_above
from lc_data.bench.result import BenchRow
from lc_data.streaming.dataset import PackedDataset


@dataclass(frozen=True)
class Held:
    """Anonymous memory of a process, in bytes."""

    first: int
    """after the first epoch"""
    last: int
    """after the last one"""


def measure_epochs(run: str, epochs: int) -> Held:
    """Stream so many epochs; then one more through worker processes, for what those leave."""
    stream, _ = open_stream(run, workers=0)
    stream()
    first = anonymous_bytes()
    for _ in range(epochs - 1):
        stream()
    held = Held(first, anonymous_bytes())
    open_stream(run, workers=2)[0]()
    return held


def anonymous_bytes() -> int:
    """Memory of this process that is no file: maps of shards do not count (Linux)."""
    return int(re.findall(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) << 10


def open_stream(run: str, workers: int) -> tuple[Callable[[], None], int]:
    """Return one pass over all packs from the first on, and how many they are."""
    dataset = PackedDataset(run, prefetch=0)
    start = dataset.state_at(0)

    def stream() -> None:
        dataset.load_state_dict(start)
        for _ in DataLoader(dataset, batch_size=None, num_workers=workers) if workers else dataset:
            pass

    return stream, dataset.packs


def measure_first_pack(run: str) -> tuple[float, int]:
    """Open a run and take its first pack: seconds, and the most bytes held above the imports, mapped files included."""
    seconds = 0.0

    def take() -> None:
        nonlocal seconds
        started = time.perf_counter()
        next(iter(PackedDataset(run)))
        seconds = time.perf_counter() - started

    held = peak_above(take)
    return seconds, held


def rows_of_what_stays(held: Held, epochs: int, left: int) -> list[BenchRow]:
    """Rows of anonymous memory and of files left, each with the bar that is no growth and no file."""
    return [
        BenchRow(f"anonymous memory after {epochs} epochs", "MB", held.last / 1e6, "after the first, and 1%",
                 1.01 * held.first / 1e6, 1.01 * held.first / held.last, bar=1.0),
        BenchRow("files left in shared memory and temporary folders", "files", left, "none", 0, float(left == 0),
                 bar=1.0),
    ]  # fmt: skip
