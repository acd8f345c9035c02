"""Signals without generation, so that small models and machines without a GPU have some.

The gain from long context is that of the training loop (``lc_data.training.long_gain``), on held-out documents. The
short panel watches what long training costs: how often the next token of short held-out documents is the model's
first choice. Both are of few documents and few seconds; loss by position (``position_loss``) is of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lc_data.streaming.dataset import PackedDataset
from lc_data.training.batch import to_device
from lc_data.training.job import held_out_documents
from lc_data.training.long_gain import GainSpan, gain_figures, long_gain
from lc_data.training.model import CausalLM

LONG_DOCUMENTS = 8
SHORT_DOCUMENTS = 64
SHORT_TOKENS = (64, 1024)
"""A short document has at least and at most so many tokens."""
FIRST_CLOZE = 32
"""The first token that is asked for: those before it are hardly to be known."""


@dataclass(frozen=True)
class ClozePanel:
    """How well the next token of short documents is known."""

    documents: int
    tokens: int
    """Tokens that were asked for."""
    accuracy: float
    """The share of them that was the model's first choice."""

    def as_json(self) -> dict[str, float]:
        """Everything, for machines."""
        return {"documents": self.documents, "tokens": self.tokens, "accuracy": self.accuracy}


@torch.inference_mode()
def measure_gain(model: CausalLM, run_uri: str, seq_len: int) -> dict[str, float] | None:
    """The gain from long context in nats per token; None where no held-out document is long enough."""
    span = GainSpan.of(seq_len)
    documents = held_out_documents(run_uri)(span.length, LONG_DOCUMENTS) if span else []
    if span is None or not documents:
        return None
    device = next(model.parameters()).device

    def forward(pack: dict[str, Any], targets: Tensor) -> tuple[Tensor, slice]:
        return model(**to_device(pack, device), targets=targets.to(device)).cpu(), slice(None)

    return gain_figures(long_gain(forward, documents, span))


@torch.inference_mode()
def measure_cloze(model: CausalLM, documents: Sequence[Tensor]) -> ClozePanel | None:
    """The short panel over documents (token ids int64 [length] each); None without any."""
    device = next(model.parameters()).device
    asked = right = 0
    for document in documents:
        tokens = document.to(device)
        size = len(tokens)
        borders = torch.tensor([0, size], dtype=torch.int32, device=device)
        logits = model(tokens, torch.arange(size, device=device), borders, size)
        chosen = logits[FIRST_CLOZE - 1 : -1].argmax(dim=-1)
        right += int((chosen == tokens[FIRST_CLOZE:]).sum())
        asked += size - FIRST_CLOZE
    return ClozePanel(len(documents), asked, right / asked) if asked else None


def short_documents(run_uri: str) -> list[Tensor]:
    """The first short documents of a run's plan ``held_out``."""
    least, most = SHORT_TOKENS
    found: list[Tensor] = []
    for pack in PackedDataset(run_uri, plan="held_out", prefetch=0):
        borders = pack.get("piece_cu_seqlens", pack["cu_seqlens"]).tolist()
        parts = pack.get("piece_part_ids", pack["part_ids"]).tolist()
        for first, end, part in zip(borders, borders[1:], parts, strict=False):
            if part == 0 and least <= end - first <= most and end - first < len(pack["input_ids"]):
                found.append(pack["input_ids"][first:end])
        if len(found) >= SHORT_DOCUMENTS:
            break
    return found[:SHORT_DOCUMENTS]
