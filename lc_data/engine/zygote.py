"""The process that worker processes are forked from, and what a worker does.

Run as ``python -m lc_data.engine.zygote REQUESTS LIFELINE MODULE...``. It imports the modules once, has no threads, and
forks a worker for every socket that comes in over ``REQUESTS``: a worker that is ready at once, with the memory of the
imports shared. Forking the user's own process instead would copy locks that its threads hold.
"""

from __future__ import annotations

import importlib
import os
import pickle
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


def main(requests: int, lifeline: int, modules: list[str]) -> None:
    """Fork workers until the other end of ``requests`` closes."""
    for module in modules:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries workers; nobody waits for them
    with socket.socket(fileno=requests) as source:
        while True:
            _, descriptors, _, _ = socket.recv_fds(source, 1, 1)
            if not descriptors:
                return
            if os.fork() == 0:
                source.close()
                _work(descriptors[0], lifeline)
            os.close(descriptors[0])


def _work(descriptor: int, lifeline: int) -> None:
    """Be a worker, and end without the exit handlers of the process that it was forked from."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        threading.Thread(target=_die_with_driver, args=(lifeline,), daemon=True).start()
        connection = Connection(descriptor)
        connection.send(os.getpid())
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
