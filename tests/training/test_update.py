"""What a step does to the weights: AdamW with clipping, decay and warm-up, written out beside it."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from lc_data.training import loop
from lc_data.training.job import TrainingJob
from lc_data.training.loop import train
from lc_data.training.model import CausalLM
from lc_data.training.weights import fill
from tests.training.synthetic import make_job, make_packs

STEPS = 4
PACKS = make_packs(4 * STEPS, seed=2)
PEAK, DECAY, EPS, BETAS = 0.02, 2.0, 1e-3, (0.8, 0.9)
RATES = (PEAK / 2, PEAK, PEAK, PEAK)
"""Of a warm-up over half of the steps."""


def job_in(folder: Path, clip_norm: float, **settings: Any) -> TrainingJob:
    optimizer = {"peak_learning_rate": PEAK, "weight_decay": DECAY, "eps": EPS, "betas": BETAS, "clip_norm": clip_norm}
    schedule = {"kind": "constant", "warmup_share": 0.5}
    return make_job(folder, PACKS, optimizer=optimizer, schedule=schedule, **settings)


def step_gradient(model: CausalLM, packs: list[dict]) -> list[Tensor]:
    """The gradient of the mean loss over all targets of some packs, each document computed alone."""
    total, count = torch.zeros(()), 0
    for pack in packs:
        borders = pack["cu_seqlens"].tolist()
        for first, end, document in zip(borders, borders[1:], pack["document_ids"].tolist(), strict=False):
            if document >= 0 and end - first > 1:
                ids, length = pack["input_ids"][first:end], end - first
                logits = model(ids, torch.arange(length), torch.tensor([0, length], dtype=torch.int32), length)
                total = total + cross_entropy(logits[:-1], ids[1:], reduction="sum")
                count += length - 1
    return list(torch.autograd.grad(total / count, list(model.parameters())))


def expected_weights(job: TrainingJob, clip_norm: float, skipped: Collection[int] = ()) -> dict[str, Tensor]:
    """Algorithm 2 of arXiv 1711.05101 over an unsharded model."""
    model = CausalLM(job.config)
    fill(model, job.read_weights)
    means = [torch.zeros_like(weight) for weight in model.parameters()]
    squares = [torch.zeros_like(weight) for weight in model.parameters()]
    updates = 0
    for step, rate in enumerate(RATES):
        gradient = step_gradient(model, PACKS[4 * step : 4 * step + 4])
        if step in skipped:
            continue
        updates += 1
        norm = math.sqrt(sum(part.double().square().sum().item() for part in gradient))
        with torch.no_grad():
            clipped = [part * min(1.0, clip_norm / norm) for part in gradient]
            for weight, part, mean, square in zip(model.parameters(), clipped, means, squares, strict=True):
                mean.mul_(BETAS[0]).add_(part * (1 - BETAS[0]))
                square.mul_(BETAS[1]).add_(part.square() * (1 - BETAS[1]))
                direction = mean / (1 - BETAS[0] ** updates)
                direction /= (square / (1 - BETAS[1] ** updates)).sqrt() + EPS
                if weight.ndim == 2:
                    direction += DECAY * weight
                weight.sub_(rate * direction)
    return {name: weight.detach() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("clip_norm", [0.05, 1e6], ids=["clipped", "as it is"])
def test_weights_are_those_of_adamw_written_out(tmp_path: Path, clip_norm: float) -> None:
    job = job_in(tmp_path, clip_norm)
    train(job)
    trained, expected = load_file(tmp_path / "export" / "model.safetensors"), expected_weights(job, clip_norm)
    assert trained.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(trained[name], weight, atol=1e-5, rtol=1e-4)


def test_an_update_that_is_left_out_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the moments nor in the gradient of the step after it."""
    job = job_in(tmp_path, 0.05, guard={"on_divergence": "skip"})
    norms, squares = iter(range(STEPS)), loop.gradient_squares
    monkeypatch.setattr(loop, "gradient_squares", lambda model: math.nan if next(norms) == 1 else squares(model))
    train(job)
    trained = load_file(tmp_path / "export" / "model.safetensors")
    for name, weight in expected_weights(job, 0.05, skipped={1}).items():
        torch.testing.assert_close(trained[name], weight, atol=1e-5, rtol=1e-4)
