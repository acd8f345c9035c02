from __future__ import annotations

from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.streaming.topology import Topology


def handed_out(consumed: int, packs: int, rank: int, world_size: int, workers: int, batch_size: int) -> list[list[int]]:
    """The batches of one rank as a DataLoader hands them out: a batch of each worker in turn until none has any."""
    of_worker = []
    for worker in range(workers):
        mine = list(Topology(rank, world_size, worker, workers, batch_size).packs(consumed, packs))
        of_worker.append([mine[at : at + batch_size] for at in range(0, len(mine), batch_size)])
    return [batch for turn in zip_longest(*of_worker) for batch in turn if batch is not None]


@given(
    packs=st.integers(0, 60),
    done=st.floats(0, 1),
    world_size=st.sampled_from([1, 2, 3, 4, 8]),
    workers=st.integers(1, 4),
    batch_size=st.integers(1, 4),
)
def test_every_topology_hands_out_the_same_global_sequence(packs, done, world_size, workers, batch_size) -> None:
    consumed = int(done * packs)
    ranks = [handed_out(consumed, packs, rank, world_size, workers, batch_size) for rank in range(world_size)]
    flat = [[pack for batch in rank for pack in batch] for rank in ranks]
    assert len({len(rank) for rank in flat}) == 1
    in_steps = [pack for step in zip(*flat, strict=True) for pack in step]
    assert in_steps == list(range(consumed, consumed + len(in_steps)))
    assert packs - consumed - len(in_steps) < world_size
    for rank in ranks:
        assert all(len(batch) == batch_size for batch in rank[:-1])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"rank": 2, "world_size": 2}, "rank 2 of 2"),
        ({"rank": -1}, "rank -1 of 1"),
        ({"world_size": 0}, "rank 0 of 0"),
        ({"worker": 1}, "worker 1 of 1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_impossible_places_are_refused(arguments: dict[str, int], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Topology(**arguments)
