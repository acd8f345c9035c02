"""A synthetic source of packs with the interface of PackedDataset, and small jobs over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lc_data.recipe.training import TrainSection
from lc_data.training.config import ModelConfig
from lc_data.training.job import TrainingJob
from lc_data.training.loss import IGNORED
from lc_data.training.weights import random_weights

VOCAB = 61
SEQ_LEN = 64


def make_pack(
    documents: list[list[int]], seq_len: int, index: int = 0, targets: list[list[bool]] | None = None
) -> dict:
    """One pack of documents; what is left of the row is a padding segment."""
    lengths = [len(document) for document in documents]
    padding = seq_len - sum(lengths)
    assert padding >= 0
    segments = lengths + ([padding] if padding else [])
    tokens = torch.tensor([token for document in documents for token in document] + [0] * padding)
    labels = tokens.clone()
    if targets is not None:
        labels[~torch.tensor([flag for document in targets for flag in document] + [False] * padding)] = IGNORED
    cu_seqlens = torch.tensor(np.cumsum([0, *segments]), dtype=torch.int32)
    labels[cu_seqlens[:-1].long()] = IGNORED
    if padding:
        labels[-padding:] = IGNORED
    ids = list(range(len(documents))) + ([-1] if padding else [])
    return {
        "input_ids": tokens,
        "labels": labels,
        "position_ids": torch.cat([torch.arange(length) for length in segments]),
        "cu_seqlens": cu_seqlens,
        "max_seqlen": max(segments),
        "document_ids": torch.tensor(ids),
        "part_ids": torch.tensor([0 if i >= 0 else -1 for i in ids]),
        "domain_ids": torch.tensor([i % 2 if i >= 0 else -1 for i in ids]),
        "pack_index": index,
    }


def make_packs(count: int, seq_len: int = SEQ_LEN, seed: int = 0) -> list[dict]:
    """Packs of documents that count up by a step of their own: learnable, and only from their own beginning."""
    draw = np.random.default_rng(seed)
    packs = []
    for index in range(count):
        documents: list[list[int]] = []
        while (room := seq_len - sum(map(len, documents))) > 4:
            length = min(room, int(draw.integers(4, seq_len // 2)))
            start, step = draw.integers(0, VOCAB), draw.integers(1, 4)
            documents.append([int((start + step * i) % VOCAB) for i in range(length)])
        packs.append(make_pack(documents, seq_len, index))
    return packs


class SyntheticStream:
    """Rank ``rank`` of ``world_size`` yields packs consumed + rank, + world_size, ...; it notes what it yields."""

    def __init__(self, packs: list[dict], rank: int, world_size: int) -> None:
        self.packs, self.rank, self.world_size = packs, rank, world_size
        self.consumed = 0
        self.yielded: list[int] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for index in range(self.consumed + self.rank, len(self.packs), self.world_size):
            self.yielded.append(index)
            yield self.packs[index]

    def state_at(self, consumed: int) -> dict[str, Any]:
        return {"version": 1, "plan_hash": "synthetic", "consumed": consumed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        assert state["plan_hash"] == "synthetic"
        self.consumed = state["consumed"]


def small_config(**changes: Any) -> ModelConfig:
    shape = {
        "vocab_size": VOCAB,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "intermediate_size": 48,
    }
    return ModelConfig(**{**shape, **changes})


def make_job(folder: Path, packs: list[dict], open_stream: Any = None, **settings: Any) -> TrainingJob:
    """A job over synthetic packs: four packs a step, a rate that learns quickly."""
    defaults: dict[str, Any] = {
        "batch_tokens": 4 * SEQ_LEN,
        "optimizer": {"peak_learning_rate": 1e-2},
        "checkpoint": {"every_minutes": None},
    }
    return TrainingJob(
        kind="pretrain",
        folder=folder,
        section=TrainSection.model_validate({**defaults, **settings}),
        config=small_config(),
        read_weights=random_weights(0.05, 7),
        open_stream=open_stream or (lambda rank, world_size: SyntheticStream(packs, rank, world_size)),
        packs=len(packs),
        seq_len=SEQ_LEN,
        origin={"plan": "synthetic"},
        domains=("even", "odd"),
    )
