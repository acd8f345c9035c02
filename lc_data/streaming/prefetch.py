"""Reading ahead in a thread, so that a slow disk or the first touch of a shard does not hold up a step.

numpy and Arrow release the interpreter lock while they copy, so a thread is enough; worker processes would have to
send every row through shared memory, which costs far more than filling it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")

_END = object()


class _Failed:
    """An exception on its way from the thread to the reader."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Prefetch(Generic[T]):
    """An iterator whose items are made ahead, in their order, by a thread of its own.

    At most ``ahead`` finished items wait. An exception of the source is raised at its place in the sequence. The thread
    ends with the source, with :meth:`close`, and when the iterator is dropped or the interpreter exits.
    """

    def __init__(self, source: Iterator[T], ahead: int) -> None:
        if ahead < 1:
            raise ValueError(f"prefetch must be at least 1 here, got {ahead}")
        self._ready: SimpleQueue[object] = SimpleQueue()
        self._room = threading.Semaphore(ahead)
        stopping = threading.Event()
        # The thread must not refer to self: an iterator that its own thread keeps alive is never dropped.
        thread = threading.Thread(
            target=_read_ahead, args=(source, self._ready, self._room, stopping), name="lc_data-prefetch", daemon=True
        )
        self._close = weakref.finalize(self, _stop, thread, self._room, stopping)
        thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if not self._close.alive:
            raise StopIteration
        item = self._ready.get()
        self._room.release()
        if item is _END:
            self.close()
            raise StopIteration
        if isinstance(item, _Failed):
            self.close()
            raise item.error
        return item  # type: ignore[return-value]

    def close(self) -> None:
        """End the thread, and wait until it has ended; what it made ahead is given up."""
        self._close()


def _read_ahead(
    source: Iterator[T], ready: SimpleQueue[object], room: threading.Semaphore, stopping: threading.Event
) -> None:
    item: object = None
    try:
        while item is not _END:
            room.acquire()
            if stopping.is_set():
                return
            item = next(source, _END)
            ready.put(item)
    except BaseException as error:  # it is raised again in the reader
        ready.put(_Failed(error))


def _stop(thread: threading.Thread, room: threading.Semaphore, stopping: threading.Event) -> None:
    stopping.set()
    room.release()
    thread.join()
