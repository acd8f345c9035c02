"""One writer per run: two processes that write the same run folder would retract each other's work.

The lock is the kernel's, so it ends with the process that holds it, however that process ends. Object stores have no
such lock; there the user sees to it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from lc_data.corpus import storage
from lc_data.failure import Failure


class RunLockedError(Failure):
    """Another process is writing this run."""


@contextmanager
def lock_run(run_uri: str) -> Iterator[None]:
    """Hold a run for writing; raises :class:`RunLockedError` at once when another process holds it."""
    if not storage.is_local(run_uri):
        yield
        return
    folder = storage.local_path(run_uri)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunLockedError(
                f"{run_uri} is being written by another process; wait for it, or use another --out"
            ) from None
        yield
