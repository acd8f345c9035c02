"""The serial backend, and the choice between it, worker processes and Ray.

All run the same function over the same jobs. The order in which records come back differs; nothing may depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import TracebackType
from typing import Protocol

from lc_data.engine.task import Job, TaskRecord, perform
from lc_data.recipe.engine import EngineSection


class Backend(Protocol):
    """Runs jobs and yields each with its record as it finishes; the first failed task raises ``TaskError``."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, TaskRecord]]:
        """Run all jobs."""
        ...


class SerialBackend:
    """One job after the other in this process: the reference, and the easiest to debug."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, TaskRecord]]:
        """Run all jobs in order."""
        for job in jobs:
            yield job, perform(job)


class DeferredBackend:
    """The backend that a recipe asks for, started when there is a first job.

    Starting Ray takes seconds, which a run that is already up to date should not spend.
    """

    def __init__(self, section: EngineSection, steps: Sequence[str] = ()) -> None:
        """``steps`` are what worker processes take once, together.

        Modules that hold the work, in the order in which it comes, and functions (``module:function``) to call.
        """
        self._section = section
        self._steps = steps
        self._started: Backend | None = None
        self._stack = ExitStack()

    def __enter__(self) -> DeferredBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, TaskRecord]]:
        """Run all jobs on the real backend."""
        if not jobs:
            return
        if self._started is None:
            self._started = self._stack.enter_context(_open(self._section, self._steps))
        yield from self._started.run(jobs)


def _open(section: EngineSection, steps: Sequence[str]) -> AbstractContextManager[Backend]:
    if section.backend == "serial":
        return nullcontext(SerialBackend())
    if section.backend == "processes":
        from lc_data.engine.process_backend import open_processes

        return open_processes(section, steps)
    from lc_data.engine.ray_backend import open_ray

    return open_ray(section)
