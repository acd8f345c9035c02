"""The process that worker processes are forked from, and what a worker does.

Run as ``python -m lc_data.engine.zygote REQUESTS LIFELINE STEP...``. A step is a module to import, or a function of one
to call (``package.module:function``). The zygote takes them once, in order, has no threads of its own, and forks a
worker for every socket that comes in over ``REQUESTS``: one that is ready at once, with the memory of the steps shared.
Forking the user's own process instead would copy locks that its threads hold.

Workers that are asked for before the last step are forked after the step at hand and say that they are early: they read
the input while the zygote goes on, which takes it two seconds, and are replaced for the next phase.
"""

from __future__ import annotations

import importlib
import os
import pickle
import select
import signal
import socket
import sys
import threading
from multiprocessing.connection import Connection

from lc_data.engine.task import TaskError, perform


def serve(connection: Connection) -> None:
    """Perform the jobs that come in, one after the other, and answer each with its record or its error."""
    while True:
        try:
            message = connection.recv_bytes()
        except EOFError:
            return
        try:
            reply: object = perform(pickle.loads(message))
        except TaskError as error:
            reply = error
        except Exception as error:
            reply = TaskError(f"a worker cannot read its job: {type(error).__name__}: {error}")
        connection.send(reply)


def main(requests: int, lifeline: int, steps: list[str]) -> None:
    """Take the steps, and fork workers until the other end of ``requests`` closes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries workers; nobody waits for them
    with socket.socket(fileno=requests) as source:
        for number, step in enumerate(steps):
            _take(step)
            early = number < len(steps) - 1
            while early and select.select([source], [], [], 0)[0]:
                if not _fork(source, lifeline, early):
                    return
        while _fork(source, lifeline, early=False):
            pass


def _take(step: str) -> None:
    module, _, function = step.partition(":")
    imported = importlib.import_module(module)
    if function:
        getattr(imported, function)()


def _fork(source: socket.socket, lifeline: int, early: bool) -> bool:
    """Fork the next worker that is asked for; false where nobody asks any more."""
    _, descriptors, _, _ = socket.recv_fds(source, 1, 1)
    if not descriptors:
        return False
    if os.fork() == 0:
        source.close()
        _work(descriptors[0], lifeline, early)
    os.close(descriptors[0])
    return True


def _work(descriptor: int, lifeline: int, early: bool) -> None:
    """Be a worker, and end without the exit handlers of the process that it was forked from."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        threading.Thread(target=_die_with_driver, args=(lifeline,), daemon=True).start()
        connection = Connection(descriptor)
        connection.send((os.getpid(), early))
        serve(connection)
        status = 0
    except BrokenPipeError:  # the driver is gone
        pass
    finally:
        os._exit(status)


def _die_with_driver(lifeline: int) -> None:
    """End in the middle of a task when the driver ends: another one may be about to do the same task."""
    os.read(lifeline, 1)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
