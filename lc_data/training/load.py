"""Which code computes a checkpoint, ours or that of transformers, and a checkpoint for inference."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import torch

from lc_data.recipe.errors import RecipeError
from lc_data.training.config import ModelConfig, read_config
from lc_data.training.hub_checkpoint import HubConfig, empty_hub_model, load_hub_model, read_hub_config
from lc_data.training.model import CausalLM
from lc_data.training.rope import RopeKind
from lc_data.training.weights import checkpoint_weights, fill

Impl = Literal["own", "hf"]
Dtype = Literal["auto", "float32", "bfloat16"]
_OVERRIDE = re.compile(r"(dynamic|linear|yarn|llama3):(\d+(?:\.\d+)?)")


def read_model_config(folder: Path, impl: Impl) -> ModelConfig:
    """What ``folder/config.json`` says, for one of the implementations."""
    return read_hub_config(folder) if impl == "hf" else read_config(folder)


def empty_model(config: ModelConfig, recompute: bool = False) -> CausalLM:
    """A model whose parameters have no storage yet; ``materialize`` gives it. One of transformers has our interface."""
    if isinstance(config, HubConfig):
        return cast("CausalLM", empty_hub_model(config, recompute))
    with torch.device("meta"):
        return CausalLM(config, recompute)


def rope_override(text: str) -> tuple[RopeKind, float] | None:
    """Read ``none`` or ``KIND:FACTOR``, such as ``dynamic:8``; :class:`RecipeError` for anything else."""
    if text == "none":
        return None
    match = _OVERRIDE.fullmatch(text)
    if match is None or float(match[2]) < 1:
        raise RecipeError(f"rope {text!r} is not known: none, dynamic:8, linear:8, yarn:8 or llama3:8, a factor >= 1")
    return cast("RopeKind", match[1]), float(match[2])


def load_model(folder: Path, impl: Impl = "own", dtype: Dtype = "auto", rope: str = "none") -> CausalLM:
    """A checkpoint in Hugging Face format, ready to be asked.

    Args:
        folder: ``config.json`` and safetensors.
        impl: ``own`` for the decoder of this package, ``hf`` for what transformers makes of the folder.
        dtype: of weights and activations; ``auto`` is bfloat16 on CUDA, float32 elsewhere.
        rope: :func:`rope_override`; how rotary angles are scaled without training, from the length that ``config.json``
            says the model has.

    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = dtype == "bfloat16" or (dtype == "auto" and device.type == "cuda")
    precision = torch.bfloat16 if half else torch.float32
    config = with_override(read_model_config(folder, impl), rope)
    if isinstance(config, HubConfig):
        return cast("CausalLM", load_hub_model(folder, config, precision, device))
    model = empty_model(config).to(precision).materialize(device)
    fill(model, checkpoint_weights(folder, config))
    return model.eval()


def with_override(config: ModelConfig, rope: str) -> ModelConfig:
    """The configuration under a scaling for inference; :class:`RecipeError` where it has one already."""
    override = rope_override(rope)
    if override is None:
        return config
    if isinstance(config, HubConfig):
        return config.with_override(*override)
    if config.rope.kind != "default":
        raise RecipeError(f"rope {rope} cannot be laid over the {config.rope.kind} scaling of config.json: use none")
    return replace(config, rope=config.rope.scaled(*override, config.max_position_embeddings))
