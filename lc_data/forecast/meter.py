"""What running a stage takes: measured on the part that a plan ran, counted up to the whole.

Tasks are shared out evenly among the cores, and no phase is shorter than its longest task; what the driver does between
phases is added. Compiling kernels is in it, so that a small sample overstates; starting Ray, some seconds, is not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lc_data.corpus import storage
from lc_data.engine.backend import Backend
from lc_data.engine.stage import StageReport
from lc_data.engine.task import Job, TaskRecord
from lc_data.forecast.result import StageCost


@dataclass
class Phase:
    """One phase of a stage as it ran."""

    tasks: int = 0
    task_seconds: float = 0.0
    longest_seconds: float = 0.0
    """Of one task."""
    wall_seconds: float = 0.0
    memory_bytes: int = 0
    """The most that one task's process held."""
    folder_bytes: int = 0
    """What lay in the stage's folder when the phase was done."""


class MeteredBackend:
    """A backend that keeps account of its phases."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        self.phases: dict[tuple[str, str], Phase] = {}
        """By the URI of the stage's folder and the name of the phase."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, TaskRecord]]:
        """Run all jobs on the inner backend."""
        if not jobs:
            return
        phase = self.phases.setdefault((jobs[0].folder.uri, jobs[0].phase), Phase())
        began = time.perf_counter()
        for job, record in self._inner.run(jobs):
            phase.tasks += 1
            phase.task_seconds += record.seconds
            phase.longest_seconds = max(phase.longest_seconds, record.seconds)
            phase.memory_bytes = max(phase.memory_bytes, record.peak_rss_bytes)
            yield job, record
        phase.wall_seconds += time.perf_counter() - began
        phase.folder_bytes = folder_bytes(jobs[0].folder.uri)

    def cost(self, report: StageReport, folder_uri: str, times: float, workers: int) -> StageCost:
        """What the stage takes on a corpus ``times`` as large as what it ran over, on so many cores."""
        phases = [phase for (folder, _), phase in self.phases.items() if folder == folder_uri]
        driver = max(0.0, report.seconds - sum(phase.wall_seconds for phase in phases))
        seconds = sum(_seconds(phase, times, workers) for phase in phases) + driver * times
        written = sum(entry.bytes for entry in report.manifest.files() if entry.rows)
        fixed = sum(entry.bytes for entry in report.manifest.files() if not entry.rows)  # a tokenizer does not grow
        return StageCost(
            stage=report.stage,
            hours=seconds / 3600,
            memory_bytes=workers * max((phase.memory_bytes for phase in phases), default=0),
            disk_bytes=int(written * times) + fixed,
            working_disk_bytes=int(max([written, *(phase.folder_bytes - fixed for phase in phases)]) * times) + fixed,
        )


def _seconds(phase: Phase, times: float, workers: int) -> float:
    return max(phase.task_seconds * times / workers, phase.longest_seconds)


def folder_bytes(uri: str) -> int:
    """Bytes of all files below a local folder."""
    return sum(path.stat().st_size for path in Path(storage.local_path(uri)).rglob("*") if path.is_file())
