"""What a bench prints: ours and the peer's figure from the same run, and their ratio."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class BenchRow:
    """One comparison. A ratio above 1 means that ours is better."""

    what: str
    unit: str
    ours: float
    peer: str
    theirs: float
    ratio: float
    bar: float | None = None
    """The least ratio that is asked for; None where none is."""


def row_without(what: str, unit: str, peer: str, why: str = "not installed", bar: float | None = None) -> BenchRow:
    """Return the row of a comparison that could not be made, and why: it has no numbers."""
    nothing = float("nan")
    return BenchRow(what, unit, nothing, f"{peer} ({why})", nothing, nothing, bar)


@dataclass(frozen=True)
class BenchResult:
    """All comparisons of one bench on one machine."""

    name: str
    rows: list[BenchRow]

    def as_json(self) -> dict[str, Any]:
        """The result as a JSON object; what could not be measured is null."""
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        return {"name": self.name, "machine": machine, "rows": [_as_json(row) for row in self.rows]}

    def as_text(self) -> str:
        """The result as a table."""
        names = [f"{row.what} [{row.unit}] vs {row.peer}" for row in self.rows]
        width = max(map(len, names), default=0)
        bar = f" {'bar':>7}" if any(row.bar is not None for row in self.rows) else ""
        lines = [f"{'':{width}} {'ours':>12} {'theirs':>12} {'ratio':>8}{bar}"]
        for name, row in zip(names, self.rows, strict=True):
            bar = "" if row.bar is None else f" {row.bar:7.3g}{_verdict(row)}"
            lines.append(f"{name:{width}} {row.ours:12.4g} {row.theirs:12.4g} {row.ratio:8.3g}{bar}")
        return "\n".join(lines)


def _verdict(row: BenchRow) -> str:
    """Say what a ratio is against its bar; nothing is said of one that is at least as high."""
    if math.isnan(row.ratio):
        return "  not measured"
    return "" if row.bar is None or row.ratio >= row.bar else "  below"


def _as_json(row: BenchRow) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(row).items() if name != "bar" or value is not None}
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in fields.items()}


def compare_in_turn(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    rounds: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float]:
    """Median seconds of each, the two called in turn so that both meet the same state of the machine.

    With ``time.process_time`` as the clock the seconds are those of a core, whoever else uses the machine and however
    many threads a side starts.
    """
    mine: list[float] = []
    other: list[float] = []
    for _ in range(rounds):
        for call, seconds in ((ours, mine), (theirs, other)):
            started = clock()
            call()
            seconds.append(clock() - started)
    return statistics.median(mine), statistics.median(other)


@dataclass(frozen=True)
class Work:
    """One side of a comparison: what is called, and how much text it reads each time."""

    call: Callable[[], object]
    size_bytes: int


def compare_rates(what: str, peer: str, ours: Work, theirs: Work, rounds: int = 3) -> BenchRow:
    """A row of MB/s per core, from the time of one core. The two may read different amounts of the same text."""
    for side in (ours, theirs):
        side.call()  # compiles, loads models
    seconds, peer_seconds = compare_in_turn(ours.call, theirs.call, rounds, time.process_time)
    rate, peer_rate = ours.size_bytes / seconds / 1e6, theirs.size_bytes / peer_seconds / 1e6
    return BenchRow(what, "MB/s per core", rate, peer, peer_rate, rate / peer_rate)
