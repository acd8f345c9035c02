from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler

import pytest
import torch
from torch.utils.data import DataLoader

from lc_data import PackedDataset
from lc_data.streaming.collate import join_packs
from lc_data.streaming.wire import Row
from tests.streaming.oracle import as_lists, expected_pack
from tests.streaming.packed_run import PackedRun


def test_a_row_arrives_as_it_was_sent() -> None:
    row = Row(
        first=torch.arange(5), empty=torch.empty(0, dtype=torch.int32), number=3, odd=torch.tensor([True, False, True])
    )
    row["table"] = torch.arange(6, dtype=torch.int32).view(2, 3)
    arrived = pickle.loads(pickle.dumps(row))
    assert list(arrived) == list(row)
    assert arrived["number"] == 3
    for name in ("first", "empty", "odd", "table"):
        assert arrived[name].dtype == row[name].dtype
        assert torch.equal(arrived[name], row[name])
    arrived["first"][0] = 9
    assert row["first"][0] == 0


def test_a_row_is_one_tensor_on_the_wire(packed: PackedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    reduce = ForkingPickler._extra_reducers[torch.Tensor]
    monkeypatch.setitem(
        ForkingPickler._extra_reducers, torch.Tensor, lambda tensor: sent.append(tensor) or reduce(tensor)
    )
    ForkingPickler.dumps(PackedDataset(packed.folder).pack(0))
    assert [tensor.dtype for tensor in sent] == [torch.uint8]


def test_batches_of_worker_processes_are_what_they_are_in_process(packed: PackedRun) -> None:
    def batches(workers: int) -> list[dict]:
        dataset = PackedDataset(packed.folder, batch_size=2)
        loader = DataLoader(dataset, batch_size=2, num_workers=workers, collate_fn=join_packs)
        return [{name: v if isinstance(v, int) else v.tolist() for name, v in batch.items()} for batch in loader]

    assert batches(1) == batches(0)
    rows = DataLoader(PackedDataset(packed.folder), batch_size=None, num_workers=1)
    assert [as_lists(row) for row in rows] == [
        expected_pack(packed, "pretrain", index) for index in range(packed.plans["pretrain"]["packs"])
    ]
