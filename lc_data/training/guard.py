"""Noticing a step that would spoil the model: a loss or gradient that is no number, or one far above what was usual.

Whether a step is left out is decided on numbers that all ranks share, so all leave out the same. Mean and deviation are
over a window of accepted steps, as in OLMo's skip-step optimizer (6 deviations over 128 steps); the window is part of a
checkpoint, so that a resumed training decides alike.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import Any

from lc_data.failure import Failure
from lc_data.recipe.training import GuardSection


class DivergedError(Failure):
    """Loss or gradient is no finite number any more, or too many updates were left out."""


class Guard:
    """The steps that were usual, and how many were not."""

    def __init__(self, section: GuardSection) -> None:
        self.section = section
        self.skipped = 0
        """Updates that were left out."""
        self._seen: deque[tuple[float, float]] = deque(maxlen=section.window)

    def accepts(self, step: int, loss: float, grad_norm: float, packs: range) -> bool:
        """Whether the update of a step is to be made.

        Raises:
            DivergedError: when it is not, and the training shall not go on without it; it names the packs.

        """
        fault = self._fault(loss, grad_norm)
        if fault is None:
            self._seen.append((loss, grad_norm))
            return True
        self.skipped += 1
        if self.section.on_divergence == "skip" and self.skipped <= self.section.max_skipped:
            return False
        before = f" after {self.skipped - 1} updates were left out" if self.skipped > 1 else ""
        raise DivergedError(
            f"step {step}: {fault}{before}; its packs are {packs.start} to {packs.stop - 1} "
            "(lc-data trace shows what they hold)"
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, as JSON."""
        return {"skipped": self.skipped, "seen": list(self._seen)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.skipped = state["skipped"]
        self._seen.extend((loss, norm) for loss, norm in state["seen"])

    def _fault(self, loss: float, grad_norm: float) -> str | None:
        if not math.isfinite(loss + grad_norm):
            return f"loss {loss}, gradient norm {grad_norm}"
        deviations = self.section.spike_deviations
        if deviations is None or len(self._seen) < self.section.window:
            return None
        for name, value, column in (("loss", loss, 0), ("gradient norm", grad_norm, 1)):
            usual = [row[column] for row in self._seen]
            mean, deviation = statistics.fmean(usual), statistics.pstdev(usual)
            if value > mean + deviations * deviation:
                return f"{name} {value:.4g} is more than {deviations:g} deviations of {deviation:.3g} above {mean:.4g}"
        return None
