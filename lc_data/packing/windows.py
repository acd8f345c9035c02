"""Windows of the plan: how far the domain shares of a stretch of 10 million tokens stray from the mixture.

A mixture that holds over a whole run may be far off for days of it; a learning rate decays meanwhile. What is promised
is therefore measured on every window, not on a sample of them: one pass, holding the rows of one window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WINDOW_TOKENS = 10_000_000


@dataclass(frozen=True)
class WorstWindow:
    """The window whose share of some kind (a domain) is farthest from what was wanted."""

    share_off: float
    """As a part of 1."""
    kind: int
    first_pack: int
    packs: int


class WindowWatch:
    """Looks at the windows of a plan while it goes by; a window never reaches over two mixture stages."""

    def __init__(self, seq_len: int, step_packs: int) -> None:
        """Watch windows that begin at multiples of ``step_packs`` and are the least multiple that holds 10M tokens."""
        self.window_packs = -(-WINDOW_TOKENS // (seq_len * step_packs)) * step_packs
        self.worst: WorstWindow | None = None
        self._step = step_packs
        self._shares = np.zeros(0)
        self._held = np.zeros((0, 0))
        self._first_pack = 0

    def begin(self, shares: np.ndarray, first_pack: int) -> None:
        """Begin a mixture stage with the wanted ``shares`` [kinds] at a pack."""
        self._shares, self._first_pack = shares, first_pack
        self._held = np.zeros((0, len(shares)))

    def add(self, tokens: np.ndarray) -> None:
        """Look at the next packs: the tokens that each holds of each kind, [packs, kinds]."""
        held = np.concatenate((self._held, tokens))
        found = worst_window(held, self._shares, self.window_packs, self._step)
        if found is not None and (self.worst is None or found.share_off > self.worst.share_off):
            self.worst = WorstWindow(found.share_off, found.kind, self._first_pack + found.first_pack, found.packs)
        # Packs that every later window begins behind are let go of; what stays begins at a multiple of the step.
        gone = max(0, len(held) - self.window_packs + self._step) // self._step * self._step
        self._held, self._first_pack = held[gone:], self._first_pack + gone


def worst_window(tokens: np.ndarray, shares: np.ndarray, window_packs: int, step_packs: int) -> WorstWindow | None:
    """Return the worst of all windows of so many packs that begin at multiples of ``step_packs``.

    ``tokens`` is [packs, kinds], ``shares`` [kinds]; None when there are fewer packs than a window has.
    """
    begins = np.arange(0, len(tokens) - window_packs + 1, step_packs)
    if not len(begins):
        return None
    sums = np.concatenate((np.zeros((1, tokens.shape[1])), np.cumsum(tokens, axis=0, dtype=np.float64)))
    held = sums[begins + window_packs] - sums[begins]
    off = np.abs(held / np.maximum(held.sum(axis=1, keepdims=True), 1) - shares)
    at, kind = divmod(int(off.argmax()), tokens.shape[1])
    return WorstWindow(float(off[at, kind]), kind, int(begins[at]), window_packs)
