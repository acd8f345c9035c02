"""Steps of training: our loop beside a loop over the same model in transformers, on the device at hand.

Both sides have the same weights and the same packs, flat and without padding: transformers is told the boundaries by
positions that restart, with SDPA, which is how its own collator for packing does it. Each step is forward, backward,
clipping and AdamW; on CUDA both compute in bfloat16 over float32 weights and recompute layers. The losses of the first
step are compared, so that a side that did other work would be an error and not a ratio.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lc_data.bench.result import BenchResult, BenchRow, compare_in_turn, row_without
from lc_data.failure import Failure
from lc_data.recipe.model import ModelShape
from lc_data.recipe.training import TrainSection
from lc_data.training.config import ModelConfig
from lc_data.training.job import TrainingJob
from lc_data.training.loop import Trainer
from lc_data.training.loss import IGNORED
from lc_data.training.ranks import Ranks, join_ranks
from lc_data.training.stopping import StopRequest
from lc_data.training.throughput import Workload, peak_flops
from lc_data.training.weights import random_weights

_PEER = "transformers, SDPA, without padding"
_SEED = 3


@dataclass(frozen=True)
class TrainSizes:
    """A model, a row, and the documents that fill it."""

    shape: ModelShape
    vocab_size: int
    seq_len: int
    documents: tuple[int, ...]
    """Lengths of the documents of a row, one row for each: the whole row, and shorter ones."""
    rounds: int = 3


SMALL = TrainSizes(
    ModelShape(hidden_size=256, layers=4, heads=4, kv_heads=2, intermediate_size=768), 8192, 2048, (2048, 256), 5
)
"""For a CPU: about a second a step on two cores."""
INDEX = TrainSizes(
    ModelShape(hidden_size=2048, layers=36, heads=16, intermediate_size=5888), 65_029, 32_768, (32_768, 4096)
)
"""Index-1.9B at 32K, without its Norm-Head, which transformers does not have."""


def bench_train(sizes: TrainSizes | None = None) -> BenchResult:
    """Train on one row per step: the small shape on a CPU, that of Index-1.9B on CUDA."""
    sizes = sizes or (INDEX if torch.cuda.is_available() else SMALL)
    rows: list[BenchRow] = []
    with join_ranks() as ranks, tempfile.TemporaryDirectory() as folder:
        for document in sizes.documents:
            rows += _compare(sizes, document, ranks, Path(folder, str(document)))
    return BenchResult("train", rows)


def _compare(sizes: TrainSizes, document: int, ranks: Ranks, folder: Path) -> list[BenchRow]:
    what = f"training, rows of {sizes.seq_len:,} with documents of {document:,}"
    config = ModelConfig.from_shape(sizes.shape, sizes.vocab_size).for_training(None, sizes.seq_len)
    pack = _pack(document, sizes)
    trainer = Trainer(_job(config, sizes, pack, folder), ranks)
    if importlib.util.find_spec("transformers") is None:
        return [row_without(what, "tokens/s", _PEER)]
    ours, theirs = _our_step(trainer), _their_step(config, sizes, pack, ranks.device)
    mine, other = ours(), theirs()
    if abs(mine - other) > 0.01 * other:
        raise Failure(f"{what}: the first loss is {mine:.4f} here and {other:.4f} in transformers")
    # On a CPU the seconds of its cores, whoever else uses them; a GPU's work is no time of this process.
    clock = time.perf_counter if ranks.device.type == "cuda" else time.process_time
    seconds, peer_seconds = compare_in_turn(ours, theirs, sizes.rounds, clock)
    rates = sizes.seq_len / seconds, sizes.seq_len / peer_seconds
    rows = [BenchRow(what, "tokens/s", rates[0], _PEER, rates[1], rates[0] / rates[1])]
    if (peak := peak_flops(ranks.device)) is not None:
        lengths = torch.full((sizes.seq_len // document,), document)
        work = Workload.of(trainer.model, config).of_lengths(lengths)
        used = work / seconds / peak, work / peer_seconds / peak
        rows.append(BenchRow(what, "of the device's peak", used[0], _PEER, used[1], used[0] / used[1]))
    return rows


def _our_step(trainer: Trainer) -> Callable[[], float]:
    packs, stop = iter(trainer.stream), StopRequest()

    def step() -> float:
        row = trainer.train_step(packs, stop)
        assert row is not None  # nobody asks it to stop
        return float(row["loss"])

    return step


def _their_step(
    config: ModelConfig, sizes: TrainSizes, pack: dict[str, Any], device: torch.device
) -> Callable[[], float]:
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = {name: value for name, value in config.to_hf().items() if name not in ("architectures", "model_type")}
    settings |= {"attn_implementation": "sdpa", "use_cache": False}
    model: Any = LlamaForCausalLM(LlamaConfig(**settings))
    model = model.to(device).train()
    read = random_weights(sizes.shape.init_std, _SEED)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(read(name, parameter.shape))
    half = device.type == "cuda"
    if half:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.95), weight_decay=0.1, fused=half)
    inputs: dict[str, Tensor] = {name: pack[name][None].to(device) for name in ("input_ids", "labels", "position_ids")}

    def step() -> float:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.item())

    return step


class _Repeat:
    """One pack again and again."""

    def __init__(self, pack: dict[str, Any]) -> None:
        self._pack = pack

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            yield self._pack

    def state_at(self, consumed: int) -> dict[str, Any]:
        return {"consumed": consumed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        raise Failure("a bench does not resume")


def _job(config: ModelConfig, sizes: TrainSizes, pack: dict[str, Any], folder: Path) -> TrainingJob:
    section = {
        "batch_tokens": sizes.seq_len,
        "activation_checkpointing": torch.cuda.is_available(),
        "schedule": {"kind": "constant", "warmup_share": 0},
    }
    return TrainingJob(
        kind="pretrain",
        folder=folder,
        section=TrainSection.model_validate(section),
        config=config,
        read_weights=random_weights(sizes.shape.init_std, _SEED),
        open_stream=lambda rank, world_size: _Repeat(pack),
        packs=1 << 20,
        seq_len=sizes.seq_len,
        domains=("text",),
    )


def _pack(document: int, sizes: TrainSizes) -> dict[str, Any]:
    """A row of documents of equal length, of random tokens."""
    count = sizes.seq_len // document
    draw = torch.Generator().manual_seed(_SEED)
    tokens = torch.randint(sizes.vocab_size, (sizes.seq_len,), generator=draw)
    labels = tokens.clone()
    labels[::document] = IGNORED
    return {
        "input_ids": tokens,
        "labels": labels,
        "position_ids": torch.arange(sizes.seq_len) % document,
        "cu_seqlens": torch.arange(0, sizes.seq_len + 1, document, dtype=torch.int32),
        "max_seqlen": document,
        "document_ids": torch.arange(count),
        "part_ids": torch.zeros(count, dtype=torch.int64),
        "domain_ids": torch.zeros(count, dtype=torch.int64),
        "pack_index": 0,
    }
