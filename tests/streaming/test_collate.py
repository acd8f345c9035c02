from __future__ import annotations

from itertools import pairwise

import torch
from torch.utils.data import DataLoader

from lc_data import PackedDataset
from lc_data.streaming.collate import join_packs
from tests.streaming.packed_run import PackedRun


def test_joined_packs_are_the_packs_end_to_end(packed: PackedRun) -> None:
    dataset = PackedDataset(packed.folder)
    packs = [dataset.pack(index) for index in (4, 0, 9)]
    joined = join_packs(packs)
    for name in ("input_ids", "labels", "position_ids"):
        assert torch.equal(joined[name].view(3, -1), torch.stack([pack[name] for pack in packs]))
    borders = joined["cu_seqlens"].tolist()
    lengths = [end - start for start, end in pairwise(borders)]
    assert borders[0] == 0
    assert lengths == [length for pack in packs for length in pack["cu_seqlens"].diff().tolist()]
    assert joined["cu_seqlens"].dtype == torch.int32
    assert joined["max_seqlen"] == max(lengths)
    assert joined["document_ids"].tolist() == [number for pack in packs for number in pack["document_ids"].tolist()]
    assert joined["pack_index"].tolist() == [4, 0, 9]


def test_a_loader_collates_with_it(packed: PackedRun) -> None:
    loader = DataLoader(PackedDataset(packed.folder, batch_size=2), batch_size=2, collate_fn=join_packs)
    seen = torch.cat([batch["pack_index"] for batch in loader])
    assert seen.tolist() == list(range(packed.plans["pretrain"]["packs"]))
