"""Which rotary base a context length needs: two published rules, which disagree, side by side.

The first (Liu et al., arXiv 2310.05209) asks for which dimensions pretraining has seen a whole turn; the others must
not turn further at the new length than they did before. The second (Xu et al., arXiv 2405.14591) asks that a token
still prefers what is like it at every distance. Index-1.9B-32K, with its base of 320,000, passes the first (56.9K
tokens), fails the second (630,000 wanted) and finds its needles: neither replaces a needle test.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lc_data.recipe.errors import RecipeError

PUBLISHED_BOUNDS = {4_096: 2.7e4, 32_768: 6.4e5, 131_072: 7.8e6}
"""Least bases of arXiv 2405.14591 by length; :func:`least_bounded_base` finds them too, within a few percent."""
_TURN = 2 * math.pi
_CHUNK = 1 << 11


def critical_dimension(head_dim: int, base: float, length: int) -> int:
    """How many dimensions of a head turned a whole time within the ``length`` tokens of pretraining; even."""
    return min(head_dim, 2 * math.ceil(head_dim / 2 * math.log(length / _TURN, base)))


def supported_length(head_dim: int, critical: int, base: float) -> float:
    """Tokens within which the critical dimensions stay inside the turn that pretraining has seen, under a new base."""
    return _TURN * base ** (critical / head_dim)


def least_base(head_dim: int, critical: int, length: int) -> float:
    """The inverse of :func:`supported_length`."""
    return (length / _TURN) ** (head_dim / critical)


def smooth_base(base: float, trained: int, length: int) -> float:
    """The least base without rounding to whole dimensions."""
    return base ** math.log(length / _TURN, trained / _TURN)


def small_bases(trained: int) -> tuple[float, float, float]:
    """Bases below that of pretraining under which every dimension turns a quarter, a half or a whole time in it."""
    return 2 * trained / math.pi, trained / math.pi, trained / _TURN


def fitted_bound(length: int) -> float:
    """The fit of arXiv 2405.14591 to its least bases."""
    return 0.0424 * length**1.628


def bounded_length(head_dim: int, base: float, limit: int) -> int:
    """The last distance up to which the cosines of all angles add up to 0 or more, ``limit`` at most."""
    for start in range(0, limit + 1, _CHUNK):
        below = _below_zero(head_dim, base, range(start, min(limit + 1, start + _CHUNK)))
        if below is not None:
            return below - 1
    return limit


def least_bounded_base(head_dim: int, length: int) -> float:
    """The least base, on a grid of 0.2%, whose :func:`bounded_length` reaches ``length``.

    The rule has gaps: at 32K and a head of 128 a base of 630,400 passes, one of 1,000,000 does not, and all do from
    2.4M on. So ask :func:`bounded_length` about the base that is to be used.
    """
    base, failed = fitted_bound(length) / 4, length
    starts = range(length - length % _CHUNK, -1, -_CHUNK)
    while True:
        # The next base mostly fails where this one did, and far out before it fails close by.
        near = range(failed * 199 // 200, min(length, failed * 201 // 200) + 1)
        below = _below_zero(head_dim, base, near)
        for start in starts:
            if below is not None:
                break
            below = _below_zero(head_dim, base, range(start, min(length + 1, start + _CHUNK)))
        if below is None:
            return base
        base, failed = base * 1.002, below


def _below_zero(head_dim: int, base: float, distances: range) -> int | None:
    """The first of these distances at which the cosines add up to less than 0."""
    frequencies = base ** (-np.arange(0, head_dim, 2) / head_dim)
    sums = np.cos(np.arange(distances.start, distances.stop)[:, None] * frequencies).sum(1)
    below = np.flatnonzero(sums < 0)
    return distances.start + int(below[0]) if below.size else None


@dataclass(frozen=True)
class Extension:
    """A model that is to reach further, and what the two rules say of it."""

    head_dim: int
    base: float
    """That of pretraining."""
    trained: int
    """Tokens of pretraining."""
    length: int
    """Tokens wanted."""
    new_base: float
    critical_dimension: int
    supported_length: float
    """Under the new base."""
    least_base: float
    smooth_base: float
    bounded_length: int
    """Under the new base, up to ``length``."""
    least_bounded_base: float
    fitted_bound: float

    @property
    def fits(self) -> dict[str, bool]:
        """The verdict of either rule on the new base."""
        return {
            "critical_dimension": self.supported_length >= self.length,
            "bounds": self.bounded_length >= self.length,
        }

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {**asdict(self), "fits": self.fits, "agree": len(set(self.fits.values())) == 1}

    def as_text(self) -> str:
        """For people."""
        first, second = ("enough" if fits else "too small" for fits in self.fits.values())
        published = PUBLISHED_BOUNDS.get(self.length)
        lines = [
            f"trained with base {self.base:,.0f} on {self.trained:,} tokens; wanted: {self.length:,} tokens with base "
            f"{self.new_base:,.0f} (head of {self.head_dim})",
            f"critical dimension (arXiv 2310.05209): {self.critical_dimension}; reaches {self.supported_length:,.0f} "
            f"tokens; least base {self.least_base:,.0f} (smooth {self.smooth_base:,.0f}): {first}",
            f"bounds of the base (arXiv 2405.14591): holds to {self.bounded_length:,} tokens; least base "
            f"{self.least_bounded_base:,.0f} (fit {self.fitted_bound:,.0f}"
            + (f", published {published:,.0f}" if published else "")
            + f"): {second}",
            "smaller bases that extrapolate too: " + ", ".join(f"{value:,.0f}" for value in small_bases(self.trained)),
        ]
        if first != second:
            lines.append(
                "The rules disagree. Index-1.9B-32K is such a case (base 320,000, from 4K): it retrieves at 32K. "
                "Train a little and ask for needles."
            )
        return "\n".join(lines)


def extend(head_dim: int, base: float, trained: int, length: int, new_base: float | None = None) -> Extension:
    """What a model needs to reach ``length`` tokens; without ``new_base`` the least one of the first rule is judged.

    Raises :class:`RecipeError` for numbers that describe no rotary model.
    """
    if head_dim < 4 or head_dim % 2:
        raise RecipeError(f"the width of a head must be even and at least 4, got {head_dim}")
    if min(base, new_base or base) <= 1:
        raise RecipeError(f"a rotary base must be above 1, got {min(base, new_base or base)}")
    if not 8 <= trained <= length <= 1 << 24:
        raise RecipeError(f"lengths must rise from 8 to {1 << 24} tokens, got {trained} and then {length}")
    critical = critical_dimension(head_dim, base, trained)
    least = least_base(head_dim, critical, length)
    chosen = math.ceil(least) if new_base is None else new_base
    return Extension(
        head_dim=head_dim,
        base=base,
        trained=trained,
        length=length,
        new_base=chosen,
        critical_dimension=critical,
        supported_length=supported_length(head_dim, critical, chosen),
        least_base=least,
        smooth_base=smooth_base(base, trained, length),
        bounded_length=bounded_length(head_dim, chosen, length),
        least_bounded_base=least_bounded_base(head_dim, length),
        fitted_bound=fitted_bound(length),
    )
