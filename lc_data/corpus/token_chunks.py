"""Checksums of stretches of a shard's tokens, so that a reader checks what it reads and no more.

A row of 32,768 tokens takes a document from each of some eight shards of 64 MB. Comparing whole shards with their
checksums at first touch reads half a gigabyte before the first row is there; a stretch of 1 MiB at a time it is eight
megabytes. Every byte that is served is still compared once, and before it is served.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

CHUNK_BYTES = 1 << 20
_DIGITS = 16
"""Hex digits of one xxh3-64."""


def chunk_checksums(tokens: npt.NDArray[Any], chunk_tokens: int) -> str:
    """Return the xxh3-64 of every ``chunk_tokens`` tokens, as stored, one after the other: 16 hex digits each."""
    starts = range(0, len(tokens), chunk_tokens)
    return "".join(xxhash.xxh3_64_hexdigest(tokens[start : start + chunk_tokens].data) for start in starts)


def checksum_of(checksums: str) -> str | None:
    """Return the xxh3-128 of a shard's checksums, which its manifest keeps; None where the shard has none."""
    return xxhash.xxh3_128_hexdigest(checksums) if checksums else None


class ChunkCheck:
    """Which chunks of one shard have been compared with their checksums."""

    def __init__(self, chunk_tokens: int, checksums: str) -> None:
        """``checksums`` as :func:`chunk_checksums` gives them."""
        self._chunk_tokens, self._checksums = chunk_tokens, checksums
        self._checked = bytearray(len(checksums) // _DIGITS)
        self.is_done = not self._checked
        """Whether all chunks have been compared."""

    def first_changed(self, tokens: npt.NDArray[Any], begin: int, end: int) -> int | None:
        """Compare the chunks that hold tokens ``begin`` to ``end`` and were not compared yet.

        ``tokens`` are all tokens of the shard. Returns the first token of a chunk that is not what was written, or None
        where all are.
        """
        first, stop = begin // self._chunk_tokens, -(-end // self._chunk_tokens)
        while (first := self._checked.find(0, first, stop)) >= 0:
            start = first * self._chunk_tokens
            found = xxhash.xxh3_64_hexdigest(np.ascontiguousarray(tokens[start : start + self._chunk_tokens]).data)
            if found != self._checksums[first * _DIGITS : (first + 1) * _DIGITS]:
                return start
            self._checked[first] = 1
            self.is_done = 0 not in self._checked
        return None
