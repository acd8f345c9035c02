from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lc_data import PackedDataset
from lc_data.streaming.ledger import LedgerError, PackLedger, pack_hash, read_ledgers, step_hash
from tests.streaming.packed_run import PackedRun


def test_runs_of_any_topology_leave_the_same_ledger(packed: PackedRun, tmp_path: Path) -> None:
    for world_size in (1, 2, 3):
        for rank in range(world_size):
            dataset = PackedDataset(packed.folder, rank, world_size)
            with PackLedger(tmp_path / f"{world_size}" / f"rank-{rank}.jsonl") as ledger:
                for pack in dataset:
                    ledger.record(pack)
    one, two, three = (read_ledgers(sorted((tmp_path / f"{n}").iterdir())) for n in (1, 2, 3))
    packs = packed.plans["pretrain"]["packs"]
    assert list(one) == list(range(packs))
    for other, trailing in ((two, packs % 2), (three, packs % 3)):
        assert list(other.items()) == list(one.items())[: packs - trailing]


@pytest.mark.parametrize("name", ["input_ids", "labels", "position_ids", "cu_seqlens", "pack_index"])
def test_one_changed_number_changes_the_hash(packed: PackedRun, name: str) -> None:
    pack = PackedDataset(packed.folder).pack(3)
    before = pack_hash(pack)
    if name == "pack_index":
        pack[name] += 1
    else:
        pack[name][1] += 1
    assert pack_hash(pack) != before


def test_a_step_is_the_sum_of_its_parts_in_any_order(packed: PackedRun) -> None:
    dataset = PackedDataset(packed.folder)
    hashes = [pack_hash(dataset.pack(index)) for index in range(8)]
    parts = [step_hash(hashes[rank::3]) for rank in range(3)]
    as_ranks_add = torch.tensor(parts, dtype=torch.float64).sum().item()
    assert int(as_ranks_add) % (1 << 40) == step_hash(reversed(hashes)) != step_hash(hashes[:7])


def test_a_pack_with_two_hashes_and_an_unfinished_line(packed: PackedRun, tmp_path: Path) -> None:
    dataset, path = PackedDataset(packed.folder), tmp_path / "rank-0.jsonl"
    with PackLedger(path) as ledger:
        for index in (0, 1, 1):
            ledger.record(dataset.pack(index))
    whole = read_ledgers([path])
    path.write_text(path.read_text() + '{"pack": 2, "ha')
    assert read_ledgers([path]) == whole
    changed = dataset.pack(1)
    changed["labels"][5] = 0
    with PackLedger(tmp_path / "rank-1.jsonl") as ledger:
        ledger.record(changed)
    with pytest.raises(LedgerError, match="pack 1 has hash"):
        read_ledgers([path, tmp_path / "rank-1.jsonl"])
