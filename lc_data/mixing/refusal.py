"""Why a mixture cannot be had: what binds, with numbers, and what would mend it.

A user who reads "infeasible" changes a number at random; one who reads that books give 2.4B of the 3.1B tokens asked
for knows which of four numbers to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

from lc_data.mixing.wants import Want, length_name
from lc_data.recipe.lengths import LengthMix
from lc_data.recipe.mixture import MixtureSection


class InfeasibleMixtureError(ValueError):
    """A mixture that the corpus cannot give; the message names what binds, with numbers, and what would mend it."""


Bounded = tuple[Want, Fraction, float, bool]
"""A want, the tokens that it may still be given, its cap in epochs, and whether earlier stages drew of it."""


def refuse_caps(bounded: Sequence[Bounded], budget: int, possible: int) -> InfeasibleMixtureError:
    """Return the error for wants that need more than they may be given."""
    lines = []
    for want, limit, epochs, drawn in bounded:
        # A budget of 0 means that nothing at all can be had: what binds then is whatever has no tokens.
        if want.share * budget > limit or not want.available:
            needed = count(floor(want.share * budget)) if budget else f"{float(want.share):.2%} of the budget"
            lines.append(
                f"{want.name}: {count(want.available)} tokens, needed {needed}: {_cap(epochs)} "
                f"{'leaves' if drawn else 'allows'} {count(floor(limit))}{' after the earlier stages' * drawn}"
            )
    if not lines:
        return InfeasibleMixtureError("the mixture has no tokens to draw from: the corpus has none for this purpose")
    fix = f"budget_tokens of at most {possible} is possible with these shares; " if possible else ""
    return InfeasibleMixtureError(
        "the mixture cannot be met:\n  "
        + "\n  ".join(lines)
        + f"\n{fix}or lower the share of what is named here, or raise max_epochs, or add documents"
        + ("" if not budget else ", or write infeasible: closest for the nearest mixture that can be had")
    )


def refuse_long_share(share: Fraction, lengths: LengthMix) -> InfeasibleMixtureError:
    """Return the error for a long share outside its bounds."""
    low, high = lengths.min_long_share, lengths.max_long_share
    below = low is not None and share < Fraction(str(low))
    side, key, bound = ("below", "min_long_share", low) if below else ("above", "max_long_share", high)
    return InfeasibleMixtureError(
        f"the mixture cannot be met:\n  documents >= {length_name(lengths.threshold_tokens)}: {float(share):.2%} of "
        f"the tokens, {side} lengths.{key} {bound:.2%}\nask for other lengths (lengths.mode {lengths.mode}), "
        f"{'lower' if below else 'raise'} {key}, or write infeasible: closest, which moves lengths to meet it"
    )


def refuse_budget(budget: int, limits: Sequence[Bounded], mixture: MixtureSection) -> InfeasibleMixtureError:
    """Return the error for a budget that no choice of shares could fill within caps and long bounds."""
    most = sum(floor(limit) for _, limit, _, _ in limits)
    lines = [
        f"{want.name}: {count(want.available)} tokens: {_cap(epochs)} {'leaves' if drawn else 'allows'} "
        f"{count(floor(limit))}"
        for want, limit, epochs, drawn in limits
    ]
    bounds = [
        f"lengths.{key} {value:.2%} of documents >= {length_name(mixture.lengths.threshold_tokens)}"
        for key, value in (
            ("min_long_share", mixture.lengths.min_long_share),
            ("max_long_share", mixture.lengths.max_long_share),
        )
        if value is not None
    ]
    return InfeasibleMixtureError(
        f"no mixture has budget_tokens {count(budget)} (all that may be drawn is {count(most)}):\n  "
        + "\n  ".join([*lines, *bounds])
        + "\nlower budget_tokens, raise max_epochs"
        + (", loosen the bounds of the long share" if bounds else "")
        + ", or add documents"
    )


def count(tokens: int) -> str:
    """Return tokens with four significant digits, exact below 100,000."""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if tokens >= max(size, 100_000):
            return f"{tokens / size:.4g}{unit}"
    return str(tokens)


def _cap(epochs: float) -> str:
    return f"cap {epochs:g} epoch{'s' * (epochs != 1)}"
