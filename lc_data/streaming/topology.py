"""Which packs a process yields: a pure function of the stream's position and of who asks.

The packs that are left form one global sequence. Place ``s`` of rank ``r`` among ``W`` is its pack ``r + W * s``, so a
step of all ranks takes the next ``W`` packs whatever ``W`` is, and a run may be resumed with another one. A DataLoader
asks its workers in turn for whole batches, so worker ``w`` of ``K`` takes every K-th batch of its rank's places: what
the loader hands out is then the rank's sequence in its order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Topology:
    """One process among all that read a stream."""

    rank: int = 0
    world_size: int = 1
    worker: int = 0
    workers: int = 1
    batch_size: int = 1

    def __post_init__(self) -> None:
        if self.world_size < 1 or not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank must lie in 0 to world_size - 1, got rank {self.rank} of {self.world_size}")
        if self.workers < 1 or not 0 <= self.worker < self.workers:
            raise ValueError(f"worker must lie in 0 to workers - 1, got worker {self.worker} of {self.workers}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")

    def packs_per_rank(self, consumed: int, packs: int) -> int:
        """How many packs every rank yields: all the same number, so that none waits for a rank that has ended."""
        return (packs - consumed) // self.world_size

    def packs(self, consumed: int, packs: int) -> Iterator[int]:
        """The packs of this process in its order, when ``consumed`` of ``packs`` are done."""
        places = self.packs_per_rank(consumed, packs)
        for batch in range(self.worker * self.batch_size, places, self.workers * self.batch_size):
            for place in range(batch, min(batch + self.batch_size, places)):
                yield consumed + self.rank + self.world_size * place
