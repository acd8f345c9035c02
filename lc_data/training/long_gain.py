"""The gain from long context: how much better the end of a long document is predicted than its beginning.

Comparing position buckets over a corpus compares documents: those that reach 16K are others than those that end at 2K.
Here both losses are of the same documents, and a control says what of the difference is context: the same far tokens
predicted from windows of an eighth of the document, of which each token sees half to all. A model that uses nothing
beyond its windows has ``far`` = ``far_cut``, however easy the ends of documents are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lc_data.training.loss import IGNORED, next_token_targets

LONGEST = 32_768
_SHORTEST = 64

Forward = Callable[[dict[str, Any], Tensor], tuple[Tensor, slice]]
"""From a pack, as ``lc_data.training.batch.to_device`` takes it, and targets int64 [T] to losses in nats
of a part of its tokens, and which part."""


@dataclass(frozen=True)
class GainSpan:
    """Which positions of documents of at least ``length`` tokens are compared: at 32K, 1-2K with 16-32K, cut at 4K."""

    length: int

    @classmethod
    def of(cls, seq_len: int) -> GainSpan | None:
        """The span for rows of this length: 32K, or the power of two below it; None for rows shorter than 64."""
        length = min(LONGEST, 1 << (seq_len.bit_length() - 1))
        return cls(length) if length >= _SHORTEST else None

    @property
    def near(self) -> tuple[int, int]:
        """First position, and the one after the last, of the beginning."""
        return self.length // 32, self.length // 16

    @property
    def far(self) -> tuple[int, int]:
        """The same of the end."""
        return self.length // 2, self.length

    @property
    def cut(self) -> int:
        """Tokens of a window of the control."""
        return self.length // 8

    def whole(self, document: Tensor) -> tuple[dict[str, Any], Tensor]:
        """A document [at least ``length``] as one pack, and its targets."""
        return _pack(document[: self.length], self.length)

    def windows(self, document: Tensor) -> tuple[dict[str, Any], Tensor]:
        """The same far tokens as windows, each beginning half a window before the tokens that count: one pack too."""
        half = self.cut // 2
        starts = range(self.far[0] - half, self.far[1] - half, half)
        pack, targets = _pack(torch.cat([document[start : start + self.cut] for start in starts]), self.cut)
        # A token at half or later is predicted from the place before it.
        counts = pack["position_ids"] + 1
        return pack, targets.masked_fill((counts < half) | (counts >= self.cut), IGNORED)


def long_gain(forward: Forward, documents: Sequence[Tensor], span: GainSpan) -> Tensor:
    """Losses of a model at the beginning and at the end of long documents.

    Args:
        forward: the model.
        documents: tokens int64 of each, at least ``span.length``.
        span: what is compared.

    Returns:
        float64 [3, 2] on the CPU: sum of losses and number of tokens, near, far, and far in the windows. Sums over
        documents and ranks may be added up; :func:`gain_figures` makes figures of them.

    """
    sums = torch.zeros(3, 2, dtype=torch.float64)
    for document in documents:
        pack, targets = span.whole(document)
        nll, part = forward(pack, targets)
        positions = (pack["position_ids"] + 1)[part]
        for row, (first, end) in enumerate((span.near, span.far)):
            inside = (positions >= first) & (positions < end)
            sums[row] += torch.tensor([nll[inside].double().sum().item(), int(inside.sum())])
        pack, targets = span.windows(document)
        nll, part = forward(pack, targets)
        sums[2] += torch.tensor([nll.double().sum().item(), int((targets[part] != IGNORED).sum())])
    return sums


def gain_figures(sums: Tensor) -> dict[str, float] | None:
    """Nats per token: ``near``, ``far``, ``far_cut``, the gain near - far, and its control near - far_cut.

    None where there was no document.
    """
    if not sums[:, 1].all():
        return None
    near, far, cut = (sums[:, 0] / sums[:, 1]).tolist()
    return {"near": near, "far": far, "far_cut": cut, "gain": near - far, "gain_cut": near - cut}


def _pack(tokens: Tensor, segment: int) -> tuple[dict[str, Any], Tensor]:
    """Tokens as segments of equal length, and what each position predicts: never the first token of a segment."""
    labels = tokens.clone()
    labels[::segment] = IGNORED
    pack = {
        "input_ids": tokens,
        "position_ids": torch.arange(len(tokens)) % segment,
        "cu_seqlens": torch.arange(0, len(tokens) + 1, segment, dtype=torch.int32),
        "max_seqlen": segment,
        "document_ids": torch.arange(len(tokens) // segment),
    }
    return pack, next_token_targets(labels)
