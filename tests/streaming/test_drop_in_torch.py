"""The stream in other people's loops: plain torch, and torchdata's StatefulDataLoader."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from lc_data import PackedDataset
from lc_data.streaming.collate import join_packs
from lc_data.streaming.state import StreamStateError
from lc_data.streaming.varlen import varlen_batch
from tests.streaming.packed_run import PackedRun


def packs_of(batches: Any) -> list[list[int]]:
    return [batch["pack_index"].tolist() for batch in batches]


def test_a_plain_loop_resumes_with_another_number_of_ranks(packed: PackedRun) -> None:
    seen, state = [], None
    for world_size, steps in ((2, 5), (3, 10**6)):
        loaders = []
        for rank in range(world_size):
            dataset = PackedDataset(packed.folder, rank=rank, world_size=world_size)
            if state is not None:
                dataset.load_state_dict(json.loads(state))
            loaders.append(iter(DataLoader(dataset, batch_size=None)))
        for step in islice(zip(*loaders, strict=True), steps):
            seen += [pack["pack_index"] for pack in step]
        state = json.dumps(dataset.state_dict())
    assert seen == list(range(len(seen)))
    assert len(seen) > packed.plans["pretrain"]["packs"] - 3


def loader_of(packed: PackedRun, workers: int, batch_size: int, **options: Any) -> StatefulDataLoader:
    dataset = PackedDataset(packed.folder, rank=1, world_size=2, batch_size=batch_size)
    return StatefulDataLoader(
        dataset, batch_size=batch_size, num_workers=workers, collate_fn=join_packs, **options
    )  # fmt: skip


@pytest.mark.parametrize(("workers", "batch_size", "every"), [(0, 1, 1), (0, 3, 1), (2, 1, 1), (2, 2, 3)])
def test_a_stateful_loader_goes_on_in_mid_epoch(packed: PackedRun, workers: int, batch_size: int, every: int) -> None:
    """Stopped after some batches, twice in a row, what three loaders hand out is what one would have."""
    options = {"snapshot_every_n_steps": every}
    whole = packs_of(loader_of(packed, workers, batch_size))
    assert [pack for batch in whole for pack in batch] == list(range(1, packed.plans["pretrain"]["packs"], 2))
    stops = range(len(whole) + 1) if workers == 0 else (1, len(whole) - 2)
    for stop in stops:
        loader = loader_of(packed, workers, batch_size, **options)
        seen = packs_of(islice(loader, stop))
        for more in (min(2, len(whole) - stop), 10**6):
            state = json.dumps(loader.state_dict())
            loader = loader_of(packed, workers, batch_size, **options)
            loader.load_state_dict(json.loads(state))
            seen += packs_of(islice(loader, more))
        assert seen == whole, stop


def test_workers_read_ahead_but_only_what_was_handed_out_counts(packed: PackedRun) -> None:
    loader = loader_of(packed, workers=2, batch_size=1, prefetch_factor=6)
    first = packs_of(islice(loader, 3))
    second = loader_of(packed, workers=2, batch_size=1)
    second.load_state_dict(loader.state_dict())
    assert first + packs_of(islice(second, 2)) == [[1], [3], [5], [7], [9]]


def test_a_workers_state_is_refused_where_it_would_lose_rows(packed: PackedRun) -> None:
    loader = loader_of(packed, workers=2, batch_size=1)
    list(islice(loader, 3))
    state = loader.state_dict()
    other = loader_of(packed, workers=2, batch_size=2)
    other.load_state_dict(state)
    with pytest.raises(StreamStateError, match=r"'batch_size': 1.*'batch_size': 2.*state_at"):
        list(other)
    worker = state["_snapshot"]["_worker_snapshots"]["worker_0"]["dataset_state"]
    with pytest.raises(StreamStateError, match=r"saved by the worker .*state_at"):
        PackedDataset(packed.folder).load_state_dict(worker)


def test_a_batch_size_that_was_not_told_is_noticed(packed: PackedRun) -> None:
    loader = StatefulDataLoader(
        PackedDataset(packed.folder, batch_size=4), batch_size=2, num_workers=1, collate_fn=join_packs
    )
    with pytest.raises(StreamStateError, match="after 2 packs, in the midst of a batch of 4"):
        list(loader)


def test_batches_for_transformers_go_through_workers(packed: PackedRun) -> None:
    here, there = (
        list(DataLoader(PackedDataset(packed.folder, batch_size=2), 2, num_workers=workers, collate_fn=varlen_batch))
        for workers in (0, 1)
    )
    for one, other in zip(here, there, strict=True):
        assert list(one) == list(other)
        assert all(torch.equal(torch.as_tensor(one[name]), torch.as_tensor(other[name])) for name in one)
