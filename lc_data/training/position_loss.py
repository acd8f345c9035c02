"""Loss by domain and position: where in a document a model predicts how well.

A model that uses its context predicts later tokens better. A mean over all tokens hides that, because most tokens
stand early in their documents. Sums are kept in float64: a corpus has more tokens than float32 can count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

FIRST_BUCKET_TOKENS = 1024


class PositionLoss:
    """A table of domain x position bucket with the summed negative log-likelihood and the tokens of each cell.

    Bucket 0 holds positions 0 to ``first_bucket_tokens - 1``; each later bucket begins at twice the position of the
    one before. A token's position is the number of tokens of its own document before it that the model saw.
    """

    def __init__(
        self, domains: Sequence[str], first_bucket_tokens: int, seq_len: int, device: torch.device | str = "cpu"
    ) -> None:
        """Sums of losses stay on ``device`` until they are asked for: a GPU does not wait for them."""
        self.domains = list(domains)
        edges = [0, first_bucket_tokens]
        while edges[-1] < seq_len:
            edges.append(2 * edges[-1])
        self.edges = edges
        """Bucket b holds the positions from ``edges[b]`` to ``edges[b + 1] - 1``."""
        shape = (len(self.domains), len(edges) - 1)
        self.nll = torch.zeros(shape, dtype=torch.float64, device=device)
        self.tokens = torch.zeros(shape, dtype=torch.int64)

    def add(self, nll: Tensor, positions: Tensor, domains: Tensor, is_target: Tensor | None = None) -> None:
        """Count predicted tokens.

        Args:
            nll: losses in nats [n], on any device.
            positions: int64 [n], on the CPU.
            domains: codes, int64 [n], on the CPU.
            is_target: bool [n], on the CPU: the tokens to count; ``nll`` must be 0 at all others. None counts all.

        """
        buckets = torch.bucketize(positions, torch.tensor(self.edges[1:]), right=True)
        cells = domains * self.tokens.shape[1] + buckets
        if is_target is not None:
            cells = cells.where(is_target, 0)  # what is no target may have no cell, and adds a loss of 0 to any
        self.nll.view(-1).index_add_(0, cells.to(self.nll.device, non_blocking=True), nll.detach().double())
        counted = cells if is_target is None else cells[is_target]
        self.tokens.view(-1).add_(torch.bincount(counted, minlength=self.tokens.numel()))

    def sums(self) -> Tensor:
        """float64 [2, domains, buckets] on the CPU: losses, tokens. Sums of parts may be added up."""
        return torch.stack((self.nll.cpu(), self.tokens.double()))

    def set(self, sums: Tensor) -> None:
        """Replace all cells by such sums."""
        self.nll.copy_(sums[0])
        self.tokens.copy_(sums[1])

    def as_json(self) -> dict[str, Any]:
        """Loss per token in nats and perplexity: of everything, by domain, and by position bucket in each."""
        nll = self.nll.cpu()
        rows = {name: self._row(nll[code], self.tokens[code]) for code, name in enumerate(self.domains)}
        return {
            "all": self._row(nll.sum(0), self.tokens.sum(0)),
            "domains": {name: row for name, row in rows.items() if row["tokens"]},
        }

    def _row(self, nll: Tensor, tokens: Tensor) -> dict[str, Any]:
        cells = zip(self.edges, self.edges[1:], nll.tolist(), tokens.tolist(), strict=False)
        buckets = [{"from": low, "to": high, **_mean(total, count)} for low, high, total, count in cells if count]
        return {**_mean(nll.sum().item(), int(tokens.sum())), "buckets": buckets}


def first_bucket(seq_len: int) -> int:
    """Where the second bucket begins: at 1,024, or for rows shorter than 32K at a 32nd of the power of two below."""
    return max(1, min(FIRST_BUCKET_TOKENS, (1 << (seq_len.bit_length() - 1)) // 32))


def _mean(nll: float, tokens: int) -> dict[str, Any]:
    mean = nll / tokens if tokens else None
    return {"tokens": tokens, "nll": mean, "perplexity": None if mean is None else math.exp(mean)}
