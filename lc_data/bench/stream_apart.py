"""A call in a process of its own, started as a user would start it, whose files all go below one folder.

Not a child of multiprocessing: the worker processes of some loaders hang where the process that starts them was spawned
itself. What a process leaves in shared memory when it has ended is no longer anybody's, and is counted.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

SHARED_MEMORY = Path("/dev/shm")
_RUN = "import pickle, sys; sys.path[:] = pickle.loads(bytes.fromhex(sys.argv[1])); " \
    "from lc_data.bench.stream_apart import answer; answer(sys.argv[2])"  # fmt: skip

T = TypeVar("T")


class ApartError(RuntimeError):
    """A process that has failed, or that did not end in time; the message says which, and what it said last."""


def call_apart(folder: str, timeout_s: float, call: Callable[..., T], *arguments: object) -> T:
    """Return what ``call`` returns in a new process; both have to be importable there.

    Its temporary files, caches and home are below ``folder``. It ends, with everything that it started, after
    ``timeout_s``. Raises :class:`ApartError` when it has no answer.
    """
    with tempfile.TemporaryDirectory(dir=folder) as exchange, tempfile.TemporaryFile() as said:
        Path(exchange, "question").write_bytes(pickle.dumps((call, arguments)))
        command = [sys.executable, "-c", _RUN, pickle.dumps(sys.path).hex(), exchange]
        process = subprocess.Popen(command, env=_surroundings(folder), stdout=said, stderr=said, start_new_session=True)
        try:
            process.wait(timeout_s)
            late = ""
        except subprocess.TimeoutExpired:
            late = f"no answer in {timeout_s:.0f} s"
        finally:
            _end_all(process)
        answer = Path(exchange, "answer")
        if late or not answer.exists():
            said.seek(0)
            last = said.read().decode(errors="replace").strip().split("\n")[-1]
            raise ApartError(late or f"it ended with {process.returncode}: {last}")
        return pickle.loads(answer.read_bytes())


def answer(exchange: str) -> None:
    """Answer the question in a folder; what :func:`call_apart` runs."""
    call, arguments = pickle.loads(Path(exchange, "question").read_bytes())
    result = pickle.dumps(call(*arguments))
    half = Path(exchange, "half")
    half.write_bytes(result)
    half.rename(Path(exchange, "answer"))


def shared_memory() -> set[str]:
    """The files in shared memory that no living process has mapped or open (Linux)."""
    if not SHARED_MEMORY.exists():
        return set()
    files = {str(path) for path in SHARED_MEMORY.iterdir()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files -= {line.split(maxsplit=5)[-1] for line in Path(process, "maps").read_text().splitlines()}
            files -= {os.readlink(descriptor) for descriptor in Path(process, "fd").iterdir()}
        except OSError:  # it has ended, or is another user's
            continue
    return files


def _surroundings(folder: str) -> dict[str, str]:
    temporary, home = Path(folder, "tmp"), Path(folder, "home")
    for each in (temporary, home):
        each.mkdir(exist_ok=True)
    places = {name: str(home) for name in ("HOME", "HF_HOME", "XDG_CACHE_HOME", "LITDATA_CACHE_DIR")}
    return os.environ | places | {"TMPDIR": str(temporary)}


def _end_all(process: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
    """End a process and what it may have left: they are one session, and it is theirs alone.

    What still runs when the process has ended, as the tracker that cleans up after it does, has a moment to end.
    """
    try:
        for _ in range(int(patience_s * 10) if process.returncode is not None else 0):
            os.killpg(process.pid, 0)
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()
