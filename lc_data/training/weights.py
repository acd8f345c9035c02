"""Weights in and out: safetensors under Hugging Face's names, or random.

A reader gives whole tensors by name and :func:`fill` keeps each rank's part of them, so a model is the same on any
number of ranks and no rank ever holds all of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from lc_data.corpus.fingerprint import child_seed, file_checksum, fingerprint
from lc_data.recipe.errors import RecipeError
from lc_data.training.config import ModelConfig
from lc_data.training.hub import HubModel
from lc_data.training.hub_checkpoint import HubConfig, hub_weights, save_hub_model
from lc_data.training.model import CausalLM, normalized_head

WeightReader = Callable[[str, torch.Size], Tensor]
"""From a parameter's name and shape to its whole value."""
SHARD_BYTES = 5 << 30
"""Weights in one safetensors file, at most (unless one tensor is larger)."""


def random_weights(std: float, seed: int) -> WeightReader:
    """Matrices from a normal distribution of this standard deviation, norms 1, biases 0; each tensor has its seed."""

    def read(name: str, shape: torch.Size) -> Tensor:
        if len(shape) == 1:
            return torch.zeros(shape) if name.endswith(".bias") else torch.ones(shape)
        generator = torch.Generator().manual_seed(child_seed(seed, "weights", name))
        return torch.empty(shape).normal_(0.0, std, generator=generator)

    return read


def checkpoint_weights(folder: Path, config: ModelConfig) -> WeightReader:
    """Weights of a checkpoint folder; raises :class:`RecipeError` when its tensors are not those of the model."""
    if isinstance(config, HubConfig):
        return hub_weights(folder, config)
    files = {name: path for path in weight_files(folder) for name in _names(path)}
    with torch.device("meta"):
        wanted = dict(CausalLM(config).named_parameters())
    optional = {"lm_head.weight"} if config.tie_word_embeddings else set()
    extra = files.keys() - wanted.keys() - optional
    unknown = sorted(name for name in extra if not name.endswith("rotary_emb.inv_freq"))
    if missing := sorted(wanted.keys() - files.keys()):
        raise RecipeError(f"{folder} lacks {len(missing)} tensors of its config.json, first {missing[0]}")
    if unknown:
        raise RecipeError(f"{folder} has {len(unknown)} tensors unknown to its config.json, first {unknown[0]}")

    def read(name: str, shape: torch.Size) -> Tensor:
        with safe_open(files[name], framework="pt") as file:
            tensor = file.get_tensor(name)
        if tensor.shape != shape:
            raise RecipeError(f"{files[name]}: {name} is {list(tensor.shape)}, config.json says {list(shape)}")
        return tensor

    if optional & files.keys():
        head, embedding = (read(name, wanted["model.embed_tokens.weight"].shape) for name in
                           ("lm_head.weight", "model.embed_tokens.weight"))  # fmt: skip
        if not torch.equal(head, embedding):
            raise RecipeError(f"{folder} has an output head of its own, but config.json says tie_word_embeddings")
    return read


def fill(model: CausalLM, read: WeightReader) -> None:
    """Set every parameter, sharded or not, from a reader."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            whole = read(name, parameter.shape).to(parameter.device, parameter.dtype)
            if isinstance(parameter, DTensor):
                whole = distribute_tensor(whole, parameter.device_mesh, parameter.placements, src_data_rank=None)
            parameter.copy_(whole)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint folder, sorted: those that its index names where it has one.

    Raises :class:`RecipeError` when there are none, or when one of them is missing.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    else:
        files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise RecipeError(f"{folder} holds no safetensors files; pickled weights are not read")
    if missing := [path.name for path in files if not path.is_file()]:
        raise RecipeError(f"{folder} lacks {missing[0]}, which its index names")
    return files


def weights_fingerprint(folder: Path) -> str:
    """A hash of a checkpoint: its configuration and every weight."""
    return fingerprint([file_checksum(str(path)) for path in (folder / "config.json", *weight_files(folder))])


def export(model: CausalLM, folder: Path, writes: bool) -> None:
    """Write ``config.json`` and safetensors (float32) that :func:`checkpoint_weights` and transformers read.

    A model with a normalised head is written twice: as it is trained, and in ``llama/`` as the plain Llama that it is
    once the head's rows are normalised, which is what transformers and vLLM load without code of the model's own.
    Every rank takes part in gathering the tensors; the one with ``writes`` writes them.
    """
    if isinstance(model, HubModel):
        names = [name for name, _ in model.named_parameters()]
        whole = dict(_gathered(model, names, writes))
        if writes:
            assert isinstance(model.origin, HubConfig)
            save_hub_model(model.origin, whole, folder)
        return
    _write(model, folder, writes, model.config)
    if model.config.norm_head:
        if writes:
            (folder / "llama").mkdir(exist_ok=True)
        _write(model, folder / "llama", writes, model.config.folded())


def _write(model: CausalLM, folder: Path, writes: bool, config: ModelConfig) -> None:
    sizes = {name: p.numel() * 4 for name, p in model.named_parameters()}
    shards = list(_shards(sizes))
    index: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors" if len(shards) > 1 else "model.safetensors"
        tensors = dict(_gathered(model, names, writes))
        if model.config.norm_head and not config.norm_head and "lm_head.weight" in tensors:
            tensors["lm_head.weight"] = normalized_head(tensors["lm_head.weight"])
        if writes:
            save_file(tensors, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(names, file)
    if writes:
        if len(shards) > 1:
            content = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": index}
            (folder / "model.safetensors.index.json").write_text(json.dumps(content, indent=1, sort_keys=True))
        (folder / "config.json").write_text(json.dumps(config.to_hf(), indent=1) + "\n")


def _gathered(model: nn.Module, names: list[str], keeps: bool) -> Iterator[tuple[str, Tensor]]:
    """Whole parameters in float32 on the CPU, one after the other; only for the rank that keeps them."""
    parameters = dict(model.named_parameters())
    for name in names:
        value = parameters[name].detach()
        whole = value.full_tensor() if isinstance(value, DTensor) else value
        if keeps:
            yield name, whole.to("cpu", torch.float32).contiguous()


def _shards(sizes_bytes: dict[str, int]) -> Iterator[list[str]]:
    names: list[str] = []
    total = 0
    for name, size in sizes_bytes.items():
        if names and total + size > SHARD_BYTES:
            yield names
            names, total = [], 0
        names.append(name)
        total += size
    yield names


def _names(path: Path) -> list[str]:
    with safe_open(path, framework="pt") as file:
        return list(file.keys())
