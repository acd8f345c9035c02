"""Progress of anything long: a bar with rate and time left on a terminal, plain lines in a log.

It always goes to standard error, so that standard output stays clean for results. In a log a line is written at most
every ten seconds and once at the end: a run of hours stays readable.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import IO, Any

_LOG_INTERVAL_S = 10.0


class Progress:
    """Counts ``unit``s of work up to ``total`` while its block runs."""

    def __init__(self, label: str, total: float, unit: str, stream: IO[str] | None = None) -> None:
        self._label = label
        self._total = total
        self._unit = unit
        self._stream = stream or sys.stderr
        self._done = 0.0
        self._counted = 0.0
        self._note = ""
        self._started = self._last_line = time.monotonic()
        self._written = -1.0
        self._bar: Any = None

    def __enter__(self) -> Progress:
        self._started = self._last_line = time.monotonic()
        if self._stream.isatty():
            self._bar = _open_bar(self._label, self._total, self._stream)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None and self._done != self._written:
            self._write_line()

    def advance(self, amount: float, note: str = "") -> None:
        """Count more work done, and say something about it (a loss, a file)."""
        if self._done == 0 and amount and time.monotonic() - self._started < 0.1:
            self._counted = 0.0  # what an earlier run had done says nothing about this one's rate
        else:
            self._counted += amount
        self._done += amount
        self._note = note or self._note
        if self._bar is not None:
            task = self._bar.tasks[0].id
            self._bar.update(task, completed=self._done, note=f"{self._rate_text()} {self._note}")
        elif time.monotonic() - self._last_line >= _LOG_INTERVAL_S:
            self._write_line()

    def _rate_text(self) -> str:
        elapsed = time.monotonic() - self._started
        return f"{format_quantity(self._counted / elapsed, self._unit)}/s" if elapsed > 0 and self._counted else ""

    def _write_line(self) -> None:
        self._last_line = time.monotonic()
        self._written = self._done
        elapsed = self._last_line - self._started
        done, total = (format_quantity(value, self._unit) for value in (self._done, self._total))
        share = f" {100 * self._done / self._total:.0f}%" if self._total else ""
        left = ""
        if 0 < self._done < self._total and self._counted:
            left = f", {format_seconds((self._total - self._done) * elapsed / self._counted)} left"
        pieces = [
            f"{self._label}:{share} {done} of {total}",
            self._rate_text(),
            f"{format_seconds(elapsed)}{left}",
            self._note,
        ]
        self._stream.write(", ".join(piece for piece in pieces if piece) + "\n")
        self._stream.flush()


def format_quantity(value: float, unit: str) -> str:
    """A number with its unit at a readable scale: ``1.5 MB``, ``32.8 K tokens``."""
    for threshold, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= threshold:
            return f"{value / threshold:.1f} {prefix}{'' if unit == 'B' else ' '}{unit}"
    return f"{value:.0f} {unit}" if value == int(value) else f"{value:.1f} {unit}"


def format_seconds(seconds: float) -> str:
    """A duration for people: ``4.2 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _open_bar(label: str, total: float, stream: IO[str]) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    bar = RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(file=stream),
    )
    bar.add_task(label, total=total or 1, note="")
    return bar
