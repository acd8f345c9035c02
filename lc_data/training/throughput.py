"""How much work a step is, and how fast it is done.

Operations are counted as they are needed, not as a kernel may do them: 6 for each matrix weight and token, and for
attention 6 x layers x width x the squared length of every segment (its causal half). Padding is no work. Counting full
attention over the row instead, as is common, would show 1.9 times the rate for 32K packs of 4K documents.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lc_data.streaming.ledger import STEP_BITS
from lc_data.training.batch import Batch, real_lengths
from lc_data.training.config import ModelConfig
from lc_data.training.job import TrainingJob
from lc_data.training.ranks import Ranks

PEAK_FLOPS = {
    "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "H800": 989e12, "H20": 148e12,
    "GH200": 989e12, "B200": 2250e12, "B100": 1750e12, "A100": 312e12, "A800": 312e12, "A40": 149.7e12,
    "A10": 125e12, "L40S": 362e12, "L40": 181e12, "L4": 121e12, "MI300X": 1307e12, "MI250X": 383e12,
}  # fmt: skip
"""Dense bfloat16 operations per second by what a device's name holds, from the makers' data sheets. Longer names are
looked for first."""


@dataclass(frozen=True)
class Workload:
    """What a model does with a token."""

    per_token: float
    """Operations of matrices, forward and backward."""
    per_pair: float
    """Operations of attention by the square of a segment's length."""

    @classmethod
    def of(cls, model: nn.Module, config: ModelConfig) -> Workload:
        """The work of a model, sharded or not."""
        matrices = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed_tokens" not in name)
        if config.tie_word_embeddings:
            matrices += config.vocab_size * config.hidden_size
        width = config.num_attention_heads * config.head_dim
        return cls(6.0 * matrices, 6.0 * config.num_hidden_layers * width)

    def of_batch(self, batch: Batch) -> float:
        """Operations of one rank's packs."""
        return sum(self.of_lengths(real_lengths(pack)) for pack in batch.packs)

    def of_lengths(self, lengths: Tensor) -> float:
        """Operations of segments of these lengths, int64."""
        squares = float(lengths.double().square().sum())
        return self.per_token * int(lengths.sum()) + self.per_pair * squares


def peak_flops(device: torch.device) -> float | None:
    """Dense bfloat16 operations that a device can do in a second; None where that is not known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    known = (key for key in sorted(PEAK_FLOPS, key=len, reverse=True) if key in name)
    return next((PEAK_FLOPS[key] for key in known), None)


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory that this process has had: of its device, or of the process where that is the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10  # Linux counts kilobytes


class StepMeter:
    """Times one step after the other and counts what is in them."""

    def __init__(self, model: nn.Module, job: TrainingJob, ranks: Ranks) -> None:
        self._job, self._ranks = job, ranks
        self._workload = Workload.of(model, job.config)
        self._peak = peak_flops(ranks.device)
        self.save_seconds = 0.0
        """What a checkpoint after the step before made the training wait."""

    def begin(self) -> None:
        """A step begins."""
        self._started = time.monotonic()

    def take(self, batch: Batch) -> float:
        """Count this rank's packs; what the loss is divided by: the weight of the targets of all ranks."""
        values = batch.label_tokens, batch.total_weight, batch.data_hash, batch.tokens, self._workload.of_batch(batch)
        self._batches = self._ranks.gather(*values, batch.wait_seconds)[:: self._ranks.context]
        return self._batches[:, 1].sum().item()

    def end(self) -> dict[str, Any]:
        """The figures of the step that began last, over all ranks."""
        seconds = time.monotonic() - self._started + self.save_seconds
        tokens = self._job.section.batch_tokens
        labels, _, data_hash, real, operations, _ = self._batches.sum(0).tolist()
        worst = self._ranks.gather(peak_memory_bytes(self._ranks.device)).max().item()
        peak = self._peak and self._peak * self._ranks.world_size
        stall, self.save_seconds = self.save_seconds, 0.0
        return {
            "tokens": tokens,
            "label_tokens": int(labels),
            "data_hash": f"{int(data_hash) % (1 << STEP_BITS):010x}",
            "seconds": round(seconds, 4),
            "tokens_per_second": round(tokens / seconds, 1),
            "label_tokens_per_second": round(labels / seconds, 1),
            "mfu": round(operations / seconds / peak, 4) if peak else None,
            "padding_share": round(1 - real / tokens, 6),
            "loader_wait_seconds": round(self._batches[:, 5].max().item(), 4),
            "checkpoint_stall_seconds": round(stall, 4),
            "peak_memory_bytes": int(worst),
            "rank_imbalance": round((self._batches[:, 4].max() / self._batches[:, 4].mean()).item(), 4),
        }
