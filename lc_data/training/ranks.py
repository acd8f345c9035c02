"""The processes that train together, whether torchrun started them or there is only this one.

A single process forms a group of its own, so that there is one code path: sharding, gradient reduction and
checkpoints are the same with one rank as with many.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh


@dataclass(frozen=True)
class Ranks:
    """One process among the others."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes what only one may write."""
        return self.rank == 0

    def mesh(self) -> DeviceMesh:
        """All ranks in one dimension."""
        return init_device_mesh(self.device.type, (self.world_size,))

    def sum(self, *values: float) -> list[float]:
        """The sums over all ranks, in float64, on the CPU: no device has to finish its queue for it."""
        table = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(table)
        return table.tolist()

    def any(self, flag: bool) -> bool:
        """Whether any rank says so."""
        return self.sum(float(flag))[0] > 0

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.sum(0.0)


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Join the group that torchrun describes in the environment, or form a group of one; leave it at the end.

    A group that already exists is used and left standing.
    """
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    existed = dist.is_initialized()
    if not existed:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        if under_torchrun():
            dist.init_process_group(backend)
        else:
            store = dist.HashStore()  # type: ignore[attr-defined]  # public, but not in torch's __all__
            dist.init_process_group(backend, store=store, rank=0, world_size=1)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device)
    finally:
        if not existed:
            dist.destroy_process_group()


def under_torchrun() -> bool:
    """Whether torchrun (or something that speaks like it) started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ
