"""Numbers for people: exact where there is room, rounded to three digits with a unit where there is not."""

from __future__ import annotations

from lc_data.progress import format_quantity, format_seconds

__all__ = ["duration", "exact", "length", "length_range", "percent", "points", "rounded", "size", "times"]

NONE = "\N{EN DASH}"
"""Stands where there is no number."""

duration = format_seconds


def exact(value: int | None) -> str:
    """A whole number with thousands separators."""
    return NONE if value is None else f"{value:,}"


def rounded(value: float) -> str:
    """Three digits and a unit: ``12.3 M``."""
    for size_, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= size_:
            scaled = value / size_
            return f"{scaled:.{max(0, 2 - _digits(scaled))}f}\N{NO-BREAK SPACE}{unit}"
    return f"{value:,.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share in per cent; what is not zero never reads as zero, nor as all when it is not all."""
    if share is None:
        return NONE
    least = 10**-digits
    if 0 < share * 100 < least:
        return f"<{least:.{digits}f}%"
    if 100 - least < share * 100 < 100:
        digits = 4
    return f"{share * 100:.{digits}f}%"


def points(difference: float | None) -> str:
    """A difference of two shares in percentage points, signed."""
    return NONE if difference is None else f"{difference * 100:+.2f}"


def times(value: float) -> str:
    """A repeat count."""
    return f"{value:.2f}\N{MULTIPLICATION SIGN}"


def size(value: int) -> str:
    """Bytes with a unit."""
    return format_quantity(value, "B")


def length(tokens: int) -> str:
    """A length in tokens: ``4K`` for 4096."""
    for step, unit in ((1 << 20, "M"), (1 << 10, "K")):
        if tokens >= step and tokens % step == 0:
            return f"{tokens // step}{unit}"
    return f"{tokens:,}"


def length_range(edges: list[int], number: int) -> str:
    """One bin of lengths: ``4K-8K``, and ``32K+`` for the last."""
    low = length(edges[number])
    return f"{low}\N{EN DASH}{length(edges[number + 1])}" if number + 1 < len(edges) else f"{low}+"


def _digits(value: float) -> int:
    return len(str(int(abs(value)))) - 1
