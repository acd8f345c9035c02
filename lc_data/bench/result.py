"""What a bench prints: ours and the peer's figure from the same run, and their ratio."""

from __future__ import annotations

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


@dataclass(frozen=True)
class BenchResult:
    """All comparisons of one bench on one machine."""

    name: str
    rows: list[BenchRow]

    def as_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        return {"name": self.name, "machine": machine, "rows": [asdict(row) for row in self.rows]}

    def as_text(self) -> str:
        """The result as a table."""
        lines = [f"{'':44} {'ours':>12} {'theirs':>12} {'ratio':>8}"]
        for row in self.rows:
            what = f"{row.what} [{row.unit}] vs {row.peer}"
            lines.append(f"{what:44} {row.ours:12.3g} {row.theirs:12.3g} {row.ratio:8.3g}")
        return "\n".join(lines)


def compare_in_turn(ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5) -> tuple[float, float]:
    """Median seconds of each, the two called in turn so that both meet the same state of the machine."""
    mine: list[float] = []
    other: list[float] = []
    for _ in range(rounds):
        for call, seconds in ((ours, mine), (theirs, other)):
            started = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - started)
    return statistics.median(mine), statistics.median(other)
