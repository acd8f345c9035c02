"""Stopping on request: a signal asks, the loop saves and leaves."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from lc_data.failure import Failure

STOPPED_EXIT_CODE = 75
"""Exit code of a training that was asked to stop and has saved its state (EX_TEMPFAIL: try again later)."""


class TrainingStopped(Failure):
    """The training was asked to stop and saved its state."""

    exit_code = STOPPED_EXIT_CODE


class StopRequest:
    """Notes SIGTERM and SIGUSR1 while its block runs; none outside the main thread, where signals cannot be caught."""

    def __init__(self) -> None:
        self.is_made = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGUSR1)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_made = True
