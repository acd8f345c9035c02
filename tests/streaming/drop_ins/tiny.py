"""A tiny Llama of transformers that writes down which packs it was given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lc_data import PackedDataset


def tiny_llama(attention: str = "sdpa") -> LlamaForCausalLM:
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=5000, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128,
    )  # fmt: skip
    return LlamaForCausalLM._from_config(config, attn_implementation=attention)


def write_down(model: LlamaForCausalLM, run: str, path: str) -> None:
    """Append the packs of every batch that the model is trained on, known by their tokens, to a file."""
    dataset = PackedDataset(run)
    number = {tuple(dataset.pack(index)["input_ids"].tolist()): index for index in range(dataset.packs)}

    def hook(module: Any, arguments: Any, batch: dict[str, Any]) -> None:
        if module.training:
            rows = batch["input_ids"].view(-1, dataset.seq_len).tolist()
            with Path(path).open("a") as sink:
                sink.write(json.dumps([number[tuple(row)] for row in rows]) + "\n")

    model.register_forward_pre_hook(hook, with_kwargs=True)
