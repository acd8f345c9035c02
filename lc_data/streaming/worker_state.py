"""Where one worker process stands: what torchdata's StatefulDataLoader asks of the dataset in each of its workers.

A worker knows only what it made itself, so its state is good for the same worker of the same layout. It counts in
rounds, in which every worker makes one batch: a worker that has made k batches goes on at round k, by the same
arithmetic as any stream, and the loader knows whose turn it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from lc_data.streaming.state import StreamStateError
from lc_data.streaming.topology import Topology

T = TypeVar("T")

_LAYOUT = ("world_size", "worker", "workers", "batch_size")


class WorkerProgress:
    """How far a worker has come from the position at which it began."""

    def __init__(self, topology: Topology, begin: int, packs: int) -> None:
        self.topology, self._begin, self._packs = topology, begin, packs
        self._taken, self._ended = 0, False

    def count(self, rows: Iterable[T]) -> Iterator[T]:
        """Hand the rows on, each counted when it is handed out."""
        for row in rows:
            self._taken += 1
            yield row
        self._ended = True

    @property
    def consumed(self) -> int:
        """The position from which this worker goes on: the first round of which it has made nothing."""
        batch_size = self.topology.batch_size
        if self._taken % batch_size and not self._ended:
            raise StreamStateError(
                f"a worker was asked for its state after {self._taken} packs, in the midst of a batch of {batch_size}: "
                "give PackedDataset the batch_size of the DataLoader"
            )
        rounds = -(-self._taken // batch_size)
        return min(self._begin + rounds * batch_size * self.topology.workers * self.topology.world_size, self._packs)


def worker_state(stream: dict[str, Any], topology: Topology) -> dict[str, Any]:
    """The state of a worker that goes on where ``stream`` says."""
    return {"stream": stream, "worker": {name: getattr(topology, name) for name in _LAYOUT}}


def stream_of_worker(state: Mapping[str, Any], topology: Topology) -> Mapping[str, Any]:
    """The stream's state in a worker's; raises StreamStateError when it is another worker's, or of another layout."""
    here = {name: getattr(topology, name) for name in _LAYOUT}
    if state.get("worker") != here:
        raise StreamStateError(
            f"the state was saved by the worker {state.get('worker')}, this is {here}: what workers of a loader saved "
            "is good for the same layout alone; for another one continue from PackedDataset.state_at(packs consumed)"
        )
    return state["stream"]
