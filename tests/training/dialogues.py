"""Dialogues with answers to learn, packed in several ways, and what their losses are without any packing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from lc_data.recipe.training import SftSection
from lc_data.training.job import TrainingJob
from lc_data.training.model import CausalLM
from lc_data.training.weights import fill
from tests.training.synthetic import SEQ_LEN, VOCAB, SyntheticStream, make_job, make_pack

Dialogue = tuple[list[int], list[bool]]
"""Tokens, and which of them are targets."""


def make_dialogues(count: int = 12, seed: int = 5) -> list[Dialogue]:
    """Dialogues of very unequal answers; the first is all prompt."""
    draw = np.random.default_rng(seed)
    made = []
    for number in range(count):
        length = int(draw.integers(4, 23))
        answer = int(draw.integers(1, length - 1)) if number else 0
        made.append((draw.integers(0, VOCAB, length).tolist(), [False] * (length - answer) + [True] * answer))
    return made


def pack_dialogues(dialogues: list[Dialogue], rows: int, seq_len: int, seed: int) -> list[dict]:
    """Packs of the dialogues in a random order, each in the emptiest row."""
    held: list[list[Dialogue]] = [[] for _ in range(rows)]
    for at in np.random.default_rng(seed).permutation(len(dialogues)).tolist():
        min(held, key=lambda row: sum(len(tokens) for tokens, _ in row)).append(dialogues[at])
    return [
        make_pack([tokens for tokens, _ in row], seq_len, index, [flags for _, flags in row])
        for index, row in enumerate(held)
    ]


def sft_job(folder: Path, packs: list[dict], loss: str, seq_len: int = SEQ_LEN) -> TrainingJob:
    """A fine-tuning of one step over all packs."""
    made = make_job(folder, packs, lambda rank, world_size: SyntheticStream(packs, rank, world_size))
    section = SftSection.model_validate(
        {"batch_tokens": max(1, len(packs)) * seq_len, "loss": loss, "checkpoint": {"every_minutes": None}}
    )
    for name, value in {"kind": "sft", "section": section, "seq_len": seq_len}.items():
        object.__setattr__(made, name, value)
    return made


def unpacked_mean(dialogues: list[Dialogue], job: TrainingJob) -> tuple[float, float]:
    """The mean over dialogues of each one's mean loss, every dialogue alone, and the norm of its gradient."""
    model = CausalLM(job.config)
    fill(model, job.read_weights)
    losses = []
    for tokens, flags in dialogues:
        if any(flags):
            ids, length = torch.tensor(tokens), len(tokens)
            logits = model(ids, torch.arange(length), torch.tensor([0, length], dtype=torch.int32), length)
            at = torch.tensor(flags).nonzero().flatten()
            losses.append(cross_entropy(logits[at - 1], ids[at]))
    mean = torch.stack(losses).mean()
    mean.backward()
    squares = [p.grad.double().square().sum().item() for p in model.parameters() if p.grad is not None]
    return mean.item(), math.sqrt(sum(squares))
