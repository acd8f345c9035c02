from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from lc_data import PackedDataset
from lc_data.streaming.varlen import BoundaryError, check_boundaries, varlen_batch
from tests.streaming.packed_run import PackedRun


def test_a_batch_is_the_packs_end_to_end_with_a_batch_dimension_of_one(packed: PackedRun) -> None:
    dataset = PackedDataset(packed.folder)
    packs = [dataset.pack(index) for index in (4, 0, 9)]
    batch = varlen_batch(packs)
    for name in ("input_ids", "labels", "position_ids"):
        assert torch.equal(batch[name], torch.cat([pack[name] for pack in packs])[None])
    lengths = torch.cat([pack["cu_seqlens"].diff() for pack in packs])
    assert batch["cu_seq_lens_q"].dtype == batch["cu_seq_lens_k"].dtype == torch.int32
    assert batch["cu_seq_lens_q"].tolist() == batch["cu_seq_lens_k"].tolist() == [0, *lengths.cumsum(0).tolist()]
    assert batch["max_length_q"] == batch["max_length_k"] == int(lengths.max())
    assert type(batch["max_length_q"]) is int
    assert batch["use_cache"] is False
    assert set(batch) == {
        "input_ids", "labels", "position_ids",
        "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "use_cache",
    }  # fmt: skip
    firsts = batch["cu_seq_lens_q"][:-1].long()
    assert (batch["labels"][0, firsts] == -100).all()


def test_a_loader_without_batch_size_collates_single_packs(packed: PackedRun) -> None:
    dataset = PackedDataset(packed.folder)
    batches = list(DataLoader(PackedDataset(packed.folder), batch_size=None, collate_fn=varlen_batch))
    assert torch.equal(batches[3]["input_ids"][0], dataset.pack(3)["input_ids"])


def test_boundaries_that_would_be_guessed_wrongly_are_refused(packed: PackedRun) -> None:
    pack = PackedDataset(packed.folder).pack(0)
    seq_len = len(pack["input_ids"])
    with pytest.raises(BoundaryError, match=r"position_ids suggest 1 documents, cu_seqlens has \d"):
        varlen_batch([pack | {"position_ids": torch.arange(seq_len)}])
    with pytest.raises(BoundaryError, match="cu_seqlens has 1"):
        varlen_batch([pack | {"cu_seqlens": torch.tensor([0, seq_len], dtype=torch.int32)}])
    with pytest.raises(BoundaryError, match="remove_unused_columns=False"):
        varlen_batch([{name: pack[name] for name in ("input_ids", "labels", "position_ids")}])


class Summing(nn.Module):
    """A model whose logits are sums over what came before, in the document or in the whole row."""

    def __init__(self, keeps_to_documents: bool) -> None:
        super().__init__()
        self.keeps_to_documents = keeps_to_documents
        self.embedding = nn.Embedding(4, 4)
        nn.init.eye_(self.embedding.weight)

    def forward(self, input_ids: torch.Tensor, cu_seq_lens_q: torch.Tensor, **rest: Any) -> torch.Tensor:
        hidden = self.embedding(input_ids)
        lengths = cu_seq_lens_q.diff().tolist() if self.keeps_to_documents else [hidden.shape[1]]
        return torch.cat([part.cumsum(1) for part in hidden.split(lengths, 1)], 1)


def test_a_model_that_keeps_to_documents_passes() -> None:
    model = Summing(keeps_to_documents=True).train()
    check_boundaries(model)
    assert model.training


def test_a_model_whose_documents_see_one_another_is_refused() -> None:
    with pytest.raises(BoundaryError, match="documents of one row see one another"):
        check_boundaries(Summing(keeps_to_documents=False))


def test_a_model_that_sees_nothing_cannot_be_judged() -> None:
    model = Summing(keeps_to_documents=False)
    nn.init.zeros_(model.embedding.weight)
    with pytest.raises(BoundaryError, match="load its weights first"):
        check_boundaries(model)
