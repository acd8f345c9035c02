"""What an export format is: a way to write some rows as the files of one shard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lc_data.packing.fill import IGNORED, Pack, RowPieces


@dataclass(frozen=True)
class Header:
    """What all rows of an export have in common."""

    seq_len: int
    vocab_size: int
    eos_id: int | None
    pad_id: int

    @property
    def token_dtype(self) -> np.dtype:
        """uint16 where every id fits, int32 otherwise."""
        return np.dtype(np.uint16 if self.vocab_size <= 1 << 16 else np.int32)


class Format(ABC):
    """A format of another trainer."""

    name: ClassVar[str]
    """What ``lc-data export --to`` calls it."""
    carries_labels: ClassVar[bool]
    """Whether it says which tokens are targets; only such a format can hold SFT rows."""
    bytes_per_token: ClassVar[int]
    """About how many bytes a token takes: what shards are cut by."""

    @abstractmethod
    def write(self, rows: Iterable[Pack], shard_uri: str, header: Header) -> list[str]:
        """Write the files of one shard; their URIs, which begin with ``shard_uri``. No file appears half written."""

    def finish(self, folder_uri: str, shards: Sequence[Shard], header: Header) -> list[str]:
        """Write what stands beside the shards, and return its URIs. Most formats have nothing."""
        return []


@dataclass(frozen=True)
class Shard:
    """A written shard."""

    files: list[str]
    """URIs"""
    rows: int


def targets(row: Pack) -> np.ndarray:
    """Return which tokens of a row are targets, bool [seq_len]."""
    return row.labels != IGNORED


def documents(row: Pack) -> Pack | RowPieces:
    """Return where documents lie in a row, padding last: segments, or pieces where attention does not keep them apart.

    Other trainers decide about masks by settings of their own; what they are told is where documents begin and end.
    """
    return row if row.pieces is None else row.pieces
