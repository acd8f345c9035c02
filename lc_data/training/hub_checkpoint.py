"""Checkpoints of ``impl: hf``: their configuration, their weights, and back to files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lc_data.recipe.errors import RecipeError
from lc_data.recipe.model import ModelSection
from lc_data.training.config import ModelConfig, read_content
from lc_data.training.hub import ATTENTION, HubModel, attend_in_hub, with_boundaries

if TYPE_CHECKING:
    from lc_data.training.weights import WeightReader


@dataclass(frozen=True)
class HubConfig(ModelConfig):
    """The sizes that a training counts with, and all that ``config.json`` says."""

    content: dict[str, Any] = field(default_factory=dict)

    def for_training(self, section: ModelSection | None, seq_len: int) -> HubConfig:
        """See :meth:`ModelConfig.for_training`; what a model has no place for is refused."""
        kind, had = self.content["model_type"], self.content.get("rope_parameters") or {}
        rope, length = dict(had), self.max_position_embeddings
        if section is not None and section.rope_base is not None:
            rope["rope_theta"] = section.rope_base
        if section is not None and (scaling := section.rope_scaling) is not None:
            original = scaling.original_length or had.get("original_max_position_embeddings") or length
            rope = _scaled(rope, scaling.kind, scaling.factor, original)
        if rope != had and "rope_theta" not in had:
            raise RecipeError(f"a model of type {kind} has no single rotary base that a recipe could change")
        if rope.get("rope_type") == "dynamic":
            raise RecipeError("dynamic NTK scaling is for evaluation only: train with yarn, linear or a larger base")
        if not had and seq_len > length:
            raise RecipeError(f"a model of type {kind} has {length} positions, pack.seq_len is {seq_len}")
        reach = max(length, seq_len)
        content = {**self.content, **({"rope_parameters": rope, "max_position_embeddings": reach} if had else {})}
        return replace(self, content=content, max_position_embeddings=reach)

    def with_override(self, kind: str, factor: float) -> HubConfig:
        """Under a scaling for inference; not dynamic, which transformers sizes by the longest text of a row."""
        had = self.content.get("rope_parameters") or {}
        if kind == "dynamic" or had.get("rope_type") != "default":
            raise RecipeError(f"impl: hf cannot lay {kind} over rope_parameters {had}; impl: own has all scalings")
        rope = _scaled(had, kind, factor, self.max_position_embeddings)
        return replace(self, content={**self.content, "rope_parameters": rope})

    def to_hf(self) -> dict[str, Any]:
        """The content of ``config.json``."""
        return self.content


def read_hub_config(folder: Path) -> HubConfig:
    """Read ``folder/config.json`` as transformers does; :class:`RecipeError` where it cannot, or is not installed."""
    read_content(folder)
    try:
        config = _transformers().AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, OSError) as error:
        raise RecipeError(f"{folder}/config.json: transformers cannot read it: {error}") from error
    if (heads := getattr(config, "num_attention_heads", None)) is None:
        raise RecipeError(f"a model of type {config.model_type} has no attention heads; its documents see one another")
    content = {k: v for k, v in config.to_dict().items() if k not in ("transformers_version", "_name_or_path")}
    return HubConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=heads,
        num_key_value_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
        intermediate_size=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        max_position_embeddings=config.max_position_embeddings,
        tie_word_embeddings=bool(config.tie_word_embeddings),
        content=content,
    )


def empty_hub_model(config: HubConfig, recompute: bool) -> HubModel:
    """A model whose parameters have no storage yet; buffers, which no checkpoint holds, are as its code makes them."""
    with torch.device("cpu"), _parameters_on_meta():
        model = _transformers().AutoModelForCausalLM.from_config(_config(config), attn_implementation=ATTENTION)
    if recompute:
        # Newer versions call it otherwise, and warn of the name that all have.
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    return with_boundaries(model.train(), config)


def load_hub_model(folder: Path, config: HubConfig, dtype: torch.dtype, device: torch.device) -> HubModel:
    """A checkpoint for inference."""
    model = _transformers().AutoModelForCausalLM.from_pretrained(
        folder, config=_config(config), attn_implementation=ATTENTION, dtype=dtype
    )
    return with_boundaries(model.to(device).eval(), config)


def hub_weights(folder: Path, config: HubConfig) -> WeightReader:
    """Weights as transformers loads them: not always what the files name. All are in memory until they are read."""
    tensors: dict[str, Tensor] = {}

    def read(name: str, shape: torch.Size) -> Tensor:
        if not tensors:
            model = _transformers().AutoModelForCausalLM.from_pretrained(folder, config=_config(config), dtype="auto")
            tensors.update({name: parameter.detach() for name, parameter in model.named_parameters()})
        if name not in tensors or tensors[name].shape != shape:
            raise RecipeError(f"{folder}: transformers loads no tensor {name} of shape {list(shape)}")
        return tensors.pop(name)

    return read


def save_hub_model(config: HubConfig, tensors: dict[str, Tensor], folder: Path) -> None:
    """Write whole tensors, by parameter name, as ``save_pretrained`` does."""
    with torch.device("cpu"), _parameters_on_meta():
        model = _transformers().AutoModelForCausalLM.from_config(_config(config))
    names: dict[int, str] = {}
    every = model.named_parameters(remove_duplicate=False)
    state = {name: tensors[names.setdefault(id(parameter), name)] for name, parameter in every}
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    model.save_pretrained(folder)


def _scaled(rope: dict[str, Any], kind: str, factor: float, original_length: int) -> dict[str, Any]:
    """``rope_parameters`` under a scaling with its published settings."""
    more: dict[str, Any] = {} if kind == "linear" else {"original_max_position_embeddings": original_length}
    if kind == "llama3":
        more |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    return {"rope_theta": rope.get("rope_theta"), "rope_type": kind, "factor": factor, **more}


def _config(config: HubConfig) -> Any:
    """The configuration of transformers, without dropout: a training that resumes must repeat itself."""
    content = dict(config.content)
    for name, value in content.items():
        if ("dropout" in name or "pdrop" in name) and isinstance(value, float):
            content[name] = 0.0
    return _transformers().AutoConfig.for_model(content.pop("model_type"), **content)


def _transformers() -> Any:
    """The package, which knows our attention from then on; :class:`RecipeError` where it is not installed."""
    try:
        import transformers
    except ImportError as error:
        raise RecipeError("impl: hf needs transformers: install lc-data with the extra `hf`") from error
    transformers.AttentionInterface.register(ATTENTION, attend_in_hub)
    transformers.AttentionMaskInterface.register(ATTENTION, _no_mask)
    return transformers


def _no_mask(*_arguments: Any, **_settings: Any) -> None:
    """Boundaries are our mask."""


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Parameters made inside take no memory, buffers do."""
    register = nn.Module.register_parameter

    def on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        register(module, name, parameter)
        if parameter is not None and not parameter.is_meta:
            module._parameters[name] = nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)

    nn.Module.register_parameter = on_meta  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
