"""What transformers makes of our boundaries: packed and separate documents give the same logits and gradients."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from lc_data import PackedDataset
from lc_data.streaming.varlen import BoundaryError, check_boundaries, varlen_batch
from tests.streaming.packed_run import PackedRun

pytestmark = pytest.mark.peers
transformers = pytest.importorskip("transformers")


def documents_by_sdpa(
    module: nn.Module, query: Any, key: Any, value: Any, mask: Any, cu_seq_lens_q: Any = None, **rest: Any
) -> Any:
    """What flash attention does with ``cu_seq_lens_q``, document by document, where there is no GPU."""
    assert mask is None
    assert rest["max_length_q"] == int(cu_seq_lens_q.diff().max())
    lengths = cu_seq_lens_q.diff().tolist()
    parts = [
        scaled_dot_product_attention(*part, is_causal=True, enable_gqa=True)
        for part in zip(*(states.split(lengths, 2) for states in (query, key, value)), strict=True)
    ]
    return torch.cat(parts, 2).transpose(1, 2), None


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    transformers.AttentionInterface.register("documents_by_sdpa", documents_by_sdpa)


def model_with(attention: str) -> Any:
    from tests.streaming.drop_ins.tiny import tiny_llama

    return tiny_llama(attention).double()


@pytest.mark.parametrize("attention", ["eager", "sdpa", "documents_by_sdpa"])
def test_gradients_are_those_of_separate_documents(packed: PackedRun, attention: str) -> None:
    dataset = PackedDataset(packed.folder)
    batch = varlen_batch([dataset.pack(index) for index in (0, 5)])
    model = model_with(attention)
    check_boundaries(model)
    packed_output = model(**batch)
    packed_output.loss.backward()
    packed_gradients = [parameter.grad.clone() for parameter in model.parameters()]

    apart = model_with("eager")
    logits, total = [], torch.zeros((), dtype=torch.float64)
    for begin, end in pairwise(batch["cu_seq_lens_q"].tolist()):
        output = apart(input_ids=batch["input_ids"][:, begin:end], use_cache=False)
        logits.append(output.logits)
        total += nn.functional.cross_entropy(
            output.logits[0, :-1], batch["labels"][0, begin + 1 : end], reduction="sum", ignore_index=-100
        )
    (total / (batch["labels"] != -100).sum()).backward()
    assert torch.allclose(packed_output.logits, torch.cat(logits, 1), atol=1e-6)
    for one, other in zip(packed_gradients, apart.parameters(), strict=True):
        assert torch.allclose(one, other.grad, atol=1e-6)


@pytest.mark.parametrize("attention", ["eager", "sdpa", "documents_by_sdpa"])
def test_these_implementations_keep_to_the_boundaries(attention: str) -> None:
    check_boundaries(model_with(attention).float())


class Given(nn.Module):
    """A model that is always given something more."""

    def __init__(self, model: nn.Module, **more: Any) -> None:
        super().__init__()
        self.model, self.more = model, more

    def forward(self, **batch: Any) -> Any:
        return self.model(**(batch | self.more))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("more", [{"use_cache": True}, {"attention_mask": torch.ones(1, 9, dtype=torch.int64)}])
def test_what_makes_transformers_forget_the_boundaries_is_noticed(attention: str, more: dict) -> None:
    with pytest.raises(BoundaryError, match="documents of one row see one another"):
        check_boundaries(Given(model_with(attention), **more))


def test_trainer_itself_resumes_on_one_process_by_reading_what_was_read(packed: PackedRun, tmp_path: Path) -> None:
    import json

    from tests.streaming.drop_ins.tiny import tiny_llama, write_down

    for steps in (2, 3):
        model = tiny_llama()
        write_down(model, str(packed.folder), str(tmp_path / "seen.jsonl"))
        arguments = transformers.TrainingArguments(
            str(tmp_path), use_cpu=True, max_steps=steps, save_steps=1, report_to="none", disable_tqdm=True,
            per_device_train_batch_size=2, gradient_accumulation_steps=2, remove_unused_columns=False,
        )  # fmt: skip
        trainer = transformers.Trainer(
            model, arguments, train_dataset=PackedDataset(packed.folder), data_collator=varlen_batch
        )
        trainer.train(resume_from_checkpoint=steps == 3)
    seen = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert [pack for batch in seen for pack in batch] == list(range(12))


def test_trainer_that_drops_our_columns_is_told(packed: PackedRun, tmp_path: Path) -> None:
    from tests.streaming.drop_ins.tiny import tiny_llama

    arguments = transformers.TrainingArguments(str(tmp_path), use_cpu=True, max_steps=1, report_to="none")
    trainer = transformers.Trainer(
        tiny_llama(), arguments, train_dataset=PackedDataset(packed.folder), data_collator=varlen_batch
    )
    with pytest.raises(BoundaryError, match="remove_unused_columns=False"):
        trainer.train()
