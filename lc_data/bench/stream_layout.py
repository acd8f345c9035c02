"""What a loader beside which ours is measured consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Pass = Callable[[], int]
"""Reads everything once; returns the tokens delivered."""


@dataclass(frozen=True)
class Layout:
    """Where the packed run lies, and where a peer's layout of it."""

    run: str
    folder: str
    seq_len: int


@dataclass(frozen=True)
class Peer:
    """A loader beside which ours is measured."""

    name: str
    package: str
    """as it is imported"""
    write: Callable[[Layout], None]
    """writes its layout; it does not happen in the process that is measured"""
    read: Callable[[Layout], Pass]
    """opens its layout"""
    bar: float
    """how many times as fast ours is to be, at least"""
    workers: int = 0
    """processes of a DataLoader that ours is read through too; 0 for none"""
    bare: bool = False
    """whether it delivers tokens and nothing of boundaries"""
