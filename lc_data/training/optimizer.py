"""AdamW over a sharded model, and the norm of its gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from lc_data.recipe.training import OptimizerSection


def make_optimizer(model: nn.Module, settings: OptimizerSection, device: torch.device) -> torch.optim.AdamW:
    """AdamW with decay on matrices only, its state in place from the start, so that a checkpoint can be loaded."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    fused = device.type == "cuda"
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=settings.peak_learning_rate,
        betas=settings.betas,
        eps=settings.eps,
        fused=fused,
    )
    for parameter in model.parameters():
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=device if fused else "cpu"),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


def named_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and moments by name. All are tensors, so nothing of a checkpoint has to be pickled."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"weight.{name}"] = parameter.detach()
        moments = optimizer.state[parameter]
        tensors[f"adam.mean.{name}"] = moments["exp_avg"]
        tensors[f"adam.square.{name}"] = moments["exp_avg_sq"]
    return tensors


def set_updates(optimizer: torch.optim.Optimizer, updates: int) -> None:
    """Say how many updates the moments have seen, after they were loaded."""
    for moments in optimizer.state.values():
        moments["step"].fill_(updates)


def gradient_squares(model: nn.Module) -> float:
    """The sum of squares of this rank's part of the gradient.

    In float64: in float32 the norm, and with it every weight, would depend at the sixth digit on how parameters are cut
    into shards.
    """
    squares = [torch.linalg.vector_norm(g, dtype=torch.float64).square() for g in _gradients(model)]
    return torch.stack(squares).sum().item()


def clip_gradient(model: nn.Module, norm: float, largest: float) -> None:
    """Scale the gradient down to the norm ``largest`` if its own, over all ranks, is larger."""
    if norm > largest:
        torch._foreach_mul_(_gradients(model), largest / norm)


def _gradients(model: nn.Module) -> list[Tensor]:
    return [p.grad.to_local() for p in model.parameters() if isinstance(p.grad, DTensor)]
