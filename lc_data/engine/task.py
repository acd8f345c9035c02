"""The task: a pure function of its payload that writes named files and says what it did.

A task commits itself: its files are renamed to their final names first, its record is written after them. A record
therefore proves the files, and a stage that was stopped continues at the tasks that have no record.
"""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from lc_data.corpus import storage
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.run import StageFolder
from lc_data.failure import Failure


@dataclass(frozen=True)
class Task:
    """One piece of a phase."""

    key: str
    """Unique in its phase, and the stem of the names of its files."""
    payload: Any
    """All that the work depends on: a picklable frozen dataclass of addresses and configuration, never data."""
    weight_bytes: int = 1
    """Its share of the phase's work, for balance and for the progress bar."""


class TaskRecord(BaseModel):
    """What a task did. Everything but the measurements is a function of the payload."""

    model_config = ConfigDict(extra="forbid")

    shards: list[FileEntry] = Field(default_factory=list)
    dropped: list[FileEntry] = Field(default_factory=list)
    quarantine: list[FileEntry] = Field(default_factory=list)
    extra: list[FileEntry] = Field(default_factory=list)
    ledger: Ledger = Field(default_factory=Ledger)
    facts: dict[str, Any] = Field(default_factory=dict)
    seconds: float = 0.0
    peak_rss_bytes: int = 0


Work = Callable[[Task, StageFolder], TaskRecord]
"""What a phase does with each of its tasks: a module-level function, so that any process can run it."""


class TaskError(Failure):
    """A task failed for good: the message names phase, task, what it was working on, and the cause."""


@dataclass(frozen=True)
class Job:
    """A task together with where it runs and where its record goes."""

    work: Work
    task: Task
    folder: StageFolder
    phase: str
    fingerprint: str

    @property
    def record_uri(self) -> str:
        """Where the record is written. The fingerprint is in the name: another recipe's record is never mistaken."""
        return storage.join(self.folder.tasks_uri, self.fingerprint, self.phase, f"{self.task.key}.json")


@contextmanager
def about(what: str) -> Iterator[None]:
    """Say, in whatever error leaves this block, what was being worked on."""
    try:
        yield
    except Exception as error:
        error.add_note(what)
        raise


def perform(job: Job) -> TaskRecord:
    """Run a task to its committed record; any error becomes a :class:`TaskError` that names the place."""
    started = time.perf_counter()
    try:
        record = job.work(job.task, job.folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        record.seconds = time.perf_counter() - started
        record.peak_rss_bytes = peak * (1 if sys.platform == "darwin" else 1024)
        storage.write_atomic(job.record_uri, record.model_dump_json(by_alias=True).encode())
    except Exception as error:
        raise TaskError(_describe(job, error)) from None
    finally:
        # Arrow keeps what it has freed for the next task: 100 MB after a book of 50 MB, in every worker.
        pa.default_memory_pool().release_unused()
    return record


def _describe(job: Job, error: Exception) -> str:
    notes = "".join(f"\n  while working on {note}" for note in getattr(error, "__notes__", ()))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename}:{frame.lineno}"
    return f"{job.phase} task {job.task.key}: {type(error).__name__}: {error}{notes}\n  at {place}"
