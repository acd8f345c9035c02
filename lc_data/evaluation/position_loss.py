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


class PositionLoss:
    """A table of domain x position bucket with the summed negative log-likelihood and the tokens of each cell.

    Bucket 0 holds positions 0 to ``first_bucket_tokens - 1``; each later bucket begins at twice the position of the
    one before. A token's position is the number of tokens of its own document before it that the model saw.
    """

    def __init__(self, domains: Sequence[str], first_bucket_tokens: int, seq_len: int) -> None:
        self.domains = list(domains)
        edges = [0, first_bucket_tokens]
        while edges[-1] < seq_len:
            edges.append(2 * edges[-1])
        self.edges = edges
        """Bucket b holds the positions from ``edges[b]`` to ``edges[b + 1] - 1``."""
        shape = (len(self.domains), len(edges) - 1)
        self.nll = torch.zeros(shape, dtype=torch.float64)
        self.tokens = torch.zeros(shape, dtype=torch.int64)

    def add(self, nll: Tensor, positions: Tensor, domains: Tensor) -> None:
        """Count predicted tokens: their losses in nats [n], positions int64 [n] and domain codes int64 [n]."""
        buckets = torch.bucketize(positions, torch.tensor(self.edges[1:], device=positions.device), right=True)
        cells = (domains * self.tokens.shape[1] + buckets).cpu()
        self.nll.view(-1).index_add_(0, cells, nll.detach().cpu().double())
        self.tokens.view(-1).index_add_(0, cells, torch.ones_like(cells))

    def as_json(self) -> dict[str, Any]:
        """Loss per token in nats and perplexity: of everything, by domain, and by position bucket in each."""
        rows = {name: self._row(self.nll[code], self.tokens[code]) for code, name in enumerate(self.domains)}
        return {
            "all": self._row(self.nll.sum(0), self.tokens.sum(0)),
            "domains": {name: row for name, row in rows.items() if row["tokens"]},
        }

    def _row(self, nll: Tensor, tokens: Tensor) -> dict[str, Any]:
        cells = zip(self.edges, self.edges[1:], nll.tolist(), tokens.tolist(), strict=False)
        buckets = [{"from": low, "to": high, **_mean(total, count)} for low, high, total, count in cells if count]
        return {**_mean(nll.sum().item(), int(tokens.sum())), "buckets": buckets}


def _mean(nll: float, tokens: int) -> dict[str, Any]:
    mean = nll / tokens if tokens else None
    return {"tokens": tokens, "nll": mean, "perplexity": None if mean is None else math.exp(mean)}
