"""Worker processes of this machine, for who has one machine.

Ray takes 2.4 s to start, a second of every core to import this package in each worker, 1.3 s to stop and 425 MB while
it idles: of 37 CPU seconds that cleaning and tokenising 277 MB of text took, 9 were Ray's. Here one process imports the
package, loads the kernels, and workers are forked from it; the first of them work before it is done. The promises are
Ray's: jobs are the same, a worker that dies is replaced and its job started again, a task that raises is not retried,
and nothing survives the driver.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from lc_data.engine.task import Job, TaskError, TaskRecord
from lc_data.recipe.engine import EngineSection


@dataclass(frozen=True)
class _Worker:
    connection: Connection
    pid: int
    early: bool
    """Whether it was forked before the zygote had taken all its steps."""

    def kill(self) -> None:
        self.connection.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Zygote:
    """The process that workers are forked from. Closing it ends it, and every worker with it."""

    def __init__(self, steps: Sequence[str]) -> None:
        """``steps`` are modules to import, and functions (``module:function``) to call, once for all workers."""
        self._requests, theirs = socket.socketpair()
        reading, self._lifeline = os.pipe()
        passed = (theirs.fileno(), reading)
        # Tasks are what runs in parallel; threads inside them would only take each other's cores.
        settings = {"OMP_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "lc_data.engine.zygote", *map(str, passed), *steps]
        # A session of its own: an interrupt is for the driver, which ends what it started.
        self._process = subprocess.Popen(command, pass_fds=passed, env=settings, start_new_session=True)
        theirs.close()
        os.close(reading)

    def fork(self, count: int) -> list[_Worker]:
        """New workers, all asked for before the first answers: the zygote may have steps to take in between."""
        try:
            connections = [self._ask() for _ in range(count)]
            return [_Worker(connection, *connection.recv()) for connection in connections]
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise TaskError("no worker process could be started; its error is on the standard error stream") from None

    def _ask(self) -> Connection:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(self._requests, [b"+"], [theirs.fileno()])
            return Connection(ours.detach())

    def close(self) -> None:
        """End the zygote and the workers."""
        os.close(self._lifeline)
        self._requests.close()
        self._process.wait()


class ProcessBackend:
    """Jobs in worker processes, at most ``workers`` at once. Workers stay for the jobs of later phases."""

    def __init__(self, zygote: Zygote, workers: int, max_retries: int) -> None:
        self._zygote = zygote
        self._workers = workers
        self._max_retries = max_retries
        self._idle: list[_Worker] = []

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, TaskRecord]]:
        """Run all jobs. A failure ends what is in flight and raises."""
        self._hire(min(self._workers, len(jobs)))
        waiting = deque((job, 0) for job in jobs)
        in_flight: dict[Connection, tuple[_Worker, Job, int]] = {}
        try:
            while waiting or in_flight:
                while waiting and len(in_flight) < self._workers:
                    job, deaths = waiting.popleft()
                    worker = self._send(job)
                    in_flight[worker.connection] = worker, job, deaths
                for connection in wait(list(in_flight)):
                    assert isinstance(connection, Connection)
                    worker, job, deaths = in_flight.pop(connection)
                    record = self._receive(worker, job, deaths)
                    if record is None:
                        waiting.appendleft((job, deaths + 1))
                    else:
                        yield job, record
        finally:
            for worker, _, _ in in_flight.values():
                worker.kill()

    def _hire(self, count: int) -> None:
        """Have so many idle workers at least. Early ones are let go: others share what they would each load."""
        for worker in self._idle:
            if worker.early:
                worker.kill()
        self._idle = [worker for worker in self._idle if not worker.early]
        self._idle += self._zygote.fork(max(0, count - len(self._idle)))

    def _send(self, job: Job) -> _Worker:
        """Give a job to an idle worker, or to a new one: an idle worker may have been ended from outside."""
        while self._idle:
            worker = self._idle.pop()
            try:
                worker.connection.send(job)
            except BrokenPipeError:
                worker.kill()
                continue
            return worker
        (worker,) = self._zygote.fork(1)
        worker.connection.send(job)
        return worker

    def _receive(self, worker: _Worker, job: Job, deaths: int) -> TaskRecord | None:
        """The record that a worker answers with; ``None`` when it died and its job may be started again."""
        try:
            reply = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            worker.kill()
            if deaths < self._max_retries:
                return None
            raise TaskError(
                f"{job.phase} task {job.task.key}: its worker died {deaths + 1} times; fewer `engine.workers` leave "
                "each more memory"
            ) from None
        self._idle.append(worker)
        if isinstance(reply, TaskError):
            raise reply
        return reply


@contextmanager
def open_processes(section: EngineSection, steps: Sequence[str]) -> Iterator[ProcessBackend]:
    """Start the zygote; stop it and its workers at the end."""
    zygote = Zygote(steps)
    try:
        yield ProcessBackend(zygote, section.workers or available_cores(), section.max_retries)
    finally:
        zygote.close()


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
