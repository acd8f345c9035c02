"""Which colour stands for which domain, the same in every chart of a page.

Eight colours are as many as people tell apart; where there are more domains, the smallest share the last one and are
told apart by their labels and by the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

COLOURS = 8
REMOVED = "removed"
ALL = "all domains"
"""The name under which all domains together are shown."""

_DASHES = (None, "6 3", "2 3", "8 3 2 3", "12 4", "4 2", "1 2", "10 2 2 2")
"""Dash patterns by which lines differ beside their colour."""

T = TypeVar("T")


@dataclass(frozen=True)
class Palette:
    """Domains in the order of the charts."""

    domains: Sequence[str]

    def style(self, domain: str) -> str:
        """The class of a domain in the style sheet."""
        return "ink" if domain == ALL else f"c{self._place(domain)}"

    def dash(self, domain: str) -> str | None:
        """The dash pattern of a domain's line; None is an unbroken one."""
        return None if domain == ALL else _DASHES[self._place(domain)]

    def order(self, items: Iterable[T], domain: Callable[[T], str]) -> list[T]:
        """Things that each belong to a domain, in the order of the charts."""
        return sorted(items, key=lambda item: self.domains.index(domain(item)))

    def order_names(self, domains: Iterable[str]) -> list[str]:
        """Some of the domains, in the order of the charts."""
        return sorted(domains, key=self.domains.index)

    def _place(self, domain: str) -> int:
        return min(self.domains.index(domain), COLOURS - 1)
