"""A folder for the time of a plan, gone afterwards: after success, after a refusal, and after the process was killed.

No process can clean up after ``kill -9``; a shell that waits for the end of a pipe can, because the kernel closes the
pipe however the process ends. It lies where ``TMPDIR`` says, never in the run.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "lc_data-plan-"

_GUARD = 'read line; for turn in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$0"; sleep 0.5; done'
"""Several turns: workers that outlive the process by a moment may write once more."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder, removed with all that is in it when the block ends or the process does."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    # A session of its own: what kills the process's group must not kill the guard.
    guard = subprocess.Popen(["/bin/sh", "-c", _GUARD, str(folder)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        guard.kill()
        guard.communicate()
