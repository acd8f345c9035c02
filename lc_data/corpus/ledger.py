"""The ledger: where every document went.

For each domain, ``in + added = kept + dropped + quarantined``, in documents, in bytes and (from ``bucket`` on) in
tokens. A stage whose ledger does not balance fails: the books are worth having only if they cannot be wrong quietly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from lc_data.failure import Failure


@dataclass(slots=True)
class Count:
    """So many documents, their UTF-8 bytes and, once known, their tokens."""

    # No model: two entries for every document of every stage take 0.6 us each, and 2.6 where assignments are looked at.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    documents: int = 0
    bytes: int = 0
    tokens: int = 0

    def add(self, documents: int = 0, bytes: int = 0, tokens: int = 0) -> None:  # noqa: A002
        """Count more."""
        self.documents += documents
        self.bytes += bytes
        self.tokens += tokens

    def __add__(self, other: Count) -> Count:
        return Count(
            documents=self.documents + other.documents,
            bytes=self.bytes + other.bytes,
            tokens=self.tokens + other.tokens,
        )


class Account(BaseModel):
    """The books of one domain in one stage."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    came_in: Count = Field(default_factory=Count, alias="in")
    added: dict[str, Count] = Field(default_factory=dict)
    """What a named transform made or took away (negative): joined, split, rewritten, repeated."""
    kept: Count = Field(default_factory=Count)
    dropped: dict[str, Count] = Field(default_factory=dict)
    quarantined: dict[str, Count] = Field(default_factory=dict)

    def difference(self) -> Count:
        """What is unaccounted for: zero everywhere when the books balance."""
        total = Count()
        for count in (self.came_in, *self.added.values()):
            total += count
        for count in (self.kept, *self.dropped.values(), *self.quarantined.values()):
            total.add(-count.documents, -count.bytes, -count.tokens)
        return total


class LedgerError(Failure):
    """The books do not balance: a fault of the program, never of the data."""


class Ledger(BaseModel):
    """The books of one stage: an account per domain."""

    model_config = ConfigDict(extra="forbid")

    domains: dict[str, Account] = Field(default_factory=dict)

    def account(self, domain: str) -> Account:
        """The account of a domain, opened when first asked for."""
        account = self.domains.get(domain)
        if account is None:
            account = self.domains[domain] = Account()
        return account

    def come_in(self, domain: str, documents: int, bytes: int, tokens: int = 0) -> None:  # noqa: A002
        """Enter what a stage received."""
        self.account(domain).came_in.add(documents, bytes, tokens)

    def keep(self, domain: str, documents: int, bytes: int, tokens: int = 0) -> None:  # noqa: A002
        """Enter what a stage passed on."""
        self.account(domain).kept.add(documents, bytes, tokens)

    def drop(self, domain: str, reason: str, documents: int, bytes: int, tokens: int = 0) -> None:  # noqa: A002
        """Enter what a rule removed."""
        self.account(domain).dropped.setdefault(reason, Count()).add(documents, bytes, tokens)

    def quarantine(self, domain: str, reason: str, documents: int, bytes: int) -> None:  # noqa: A002
        """Enter what could not be read."""
        self.account(domain).quarantined.setdefault(reason, Count()).add(documents, bytes)

    def transform(self, domain: str, name: str, documents: int, bytes: int, tokens: int = 0) -> None:  # noqa: A002
        """Enter what a named transform made (positive) or consumed (negative)."""
        self.account(domain).added.setdefault(name, Count()).add(documents, bytes, tokens)

    def kept(self) -> Count:
        """All that was passed on."""
        return _total(account.kept for account in self.domains.values())

    def received(self) -> Count:
        """All that came in."""
        return _total(account.came_in for account in self.domains.values())

    def quarantined(self) -> Count:
        """All that could not be read."""
        return _total(count for account in self.domains.values() for count in account.quarantined.values())

    def balance(self) -> None:
        """Raise :class:`LedgerError` naming the first domain whose books do not balance."""
        for domain, account in sorted(self.domains.items()):
            missing = account.difference()
            if missing != Count():
                raise LedgerError(
                    f"domain {domain!r}: {missing.documents} documents, {missing.bytes} bytes and {missing.tokens} "
                    "tokens came in and are neither kept, dropped nor quarantined"
                )

    @classmethod
    def merge(cls, ledgers: Iterable[Ledger]) -> Ledger:
        """The sum of several ledgers, domains and reasons in sorted order so that its JSON is always the same."""
        merged = cls()
        for domain, account in _sorted_accounts(ledgers):
            target = merged.account(domain)
            target.came_in += account.came_in
            target.kept += account.kept
            for mine, theirs in (
                (target.added, account.added),
                (target.dropped, account.dropped),
                (target.quarantined, account.quarantined),
            ):
                for reason, count in theirs.items():
                    mine[reason] = mine.get(reason, Count()) + count
        for account in merged.domains.values():
            for name in ("added", "dropped", "quarantined"):
                setattr(account, name, dict(sorted(getattr(account, name).items())))
        return merged


def _total(counts: Iterable[Count]) -> Count:
    total = Count()
    for count in counts:
        total += count
    return total


def _sorted_accounts(ledgers: Iterable[Ledger]) -> Iterator[tuple[str, Account]]:
    pairs = [(domain, account) for ledger in ledgers for domain, account in ledger.domains.items()]
    return iter(sorted(pairs, key=lambda pair: pair[0]))
