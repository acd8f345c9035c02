"""The processes that train together, whether torchrun started them or there is only this one.

A single process forms a group of its own, so that there is one code path: sharding, gradient reduction and
checkpoints are the same with one rank as with many.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from lc_data.failure import Failure


@dataclass(frozen=True)
class Ranks:
    """One process among the others."""

    rank: int
    world_size: int
    device: torch.device
    context: int = 1
    """Neighbouring ranks that share each pack, see ``lc_data.training.context``."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes what only one may write."""
        return self.rank == 0

    @property
    def stream_rank(self) -> int:
        """Which part of the stream this rank takes, of ``streams``."""
        return self.rank // self.context

    @property
    def streams(self) -> int:
        """Parts that the stream is cut into: the ranks, or groups of those that share packs."""
        return self.world_size // self.context

    def part(self, tokens: int) -> slice:
        """Which tokens this rank takes of a pack of so many."""
        width = tokens // self.context
        return slice(self.rank % self.context * width, (self.rank % self.context + 1) * width)

    def mesh(self) -> DeviceMesh:
        """All ranks in one dimension."""
        return init_device_mesh(self.device.type, (self.world_size,))

    def gather(self, *values: float) -> Tensor:
        """The values of every rank, float64 [world size, values], on the CPU: no device has to finish its queue."""
        mine = torch.tensor(values, dtype=torch.float64)
        rows = [torch.empty_like(mine) for _ in range(self.world_size)]
        dist.all_gather(rows, mine)
        return torch.stack(rows)

    def total(self, table: Tensor) -> Tensor:
        """The sum of a CPU tensor over all ranks, in place."""
        dist.all_reduce(table)
        return table

    def any(self, flag: bool) -> bool:
        """Whether any rank says so."""
        return self.total(torch.tensor(float(flag))).item() > 0

    def on_first(self, work: Callable[[], object]) -> None:
        """Let the first rank work while the others wait.

        Raises:
            Failure: on the others, when the first has failed, which raises its own error: nobody waits for it.

        """
        fault: Exception | None = None
        if self.is_first:
            try:
                work()
            except Exception as error:
                fault = error
        if self.any(fault is not None):
            raise fault or Failure("the first process has failed; its own message says why")

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.any(False)


@contextmanager
def join_ranks(context: int = 1) -> Iterator[Ranks]:
    """Join the group that torchrun describes in the environment, or form a group of one; leave it at the end.

    A group that already exists is used and left standing. ``context`` ranks share each pack.
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
        yield Ranks(dist.get_rank(), dist.get_world_size(), device, context)
    finally:
        if not existed:
            dist.destroy_process_group()


def under_torchrun() -> bool:
    """Whether torchrun (or something that speaks like it) started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ
