"""The model of a job over all ranks: FSDP2 by layer, mixed precision, and what else a recipe asks of it."""

from __future__ import annotations

import torch
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from lc_data.training.context import share_attention
from lc_data.training.job import TrainingJob
from lc_data.training.load import empty_model
from lc_data.training.model import CausalLM
from lc_data.training.ranks import Ranks


def sharded_model(job: TrainingJob, ranks: Ranks) -> CausalLM:
    """The model with storage on this rank for its part of every parameter, values unset."""
    model = empty_model(job.config, recompute=job.section.activation_checkpointing)
    if ranks.context > 1:
        share_attention(model, ranks)
    half = job.section.dtype == "bfloat16" or (job.section.dtype == "auto" and ranks.device.type == "cuda")
    # Without cast_forward_inputs=False FSDP would round the rotary angles to bfloat16 on their way into each layer.
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if half else None, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    mesh = ranks.mesh()
    for layer in model.blocks:
        if job.section.compile:
            layer.compile()  # each layer by itself: they share one compiled program
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    return model.materialize(ranks.device)
