"""How much memory a process has held: asked in a process of its own, so that the peak is that of one thing."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path

_RESET_PEAK = Path("/proc/self/clear_refs")


def peak_bytes() -> int:
    """The most memory that this process has held; ``ru_maxrss`` would count what its parent held at the start."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) << 10
    unit = 1 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_above(call: Callable[[], object]) -> int:
    """The most bytes that a call held above what the process held before it.

    Where the system cannot forget an earlier peak, what the call held below that is not seen.
    """
    if _RESET_PEAK.exists():
        _RESET_PEAK.write_text("5")
    held = peak_bytes()
    call()
    return peak_bytes() - held
