"""The configuration of a Llama-family decoder, read from and written to Hugging Face's ``config.json``.

Four families share one decoder: Llama, Qwen2 (biases on q, k and v), Qwen3 (a norm on each query and key head) and
Index (an output head whose rows are normalised: Norm-Head, as Baichuan 2 has it). A field of ``config.json`` that is
neither understood here nor known to leave the mathematics alone is an error: a model that ignores one trains well, but
as another model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lc_data.recipe.errors import RecipeError
from lc_data.recipe.model import ModelSection, ModelShape
from lc_data.training.rope import Rope, rope_from_hf

Family = Literal["llama", "qwen2", "qwen3", "index"]

_ARCHITECTURES: dict[str, str] = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "index": "IndexForCausalLM",
}
_WITHOUT_EFFECT = {
    "_attn_implementation_autoset", "_name_or_path", "architectures", "attn_implementation", "auto_map", "bos_token_id",
    "dtype", "eos_token_id", "initializer_range", "max_length", "max_window_layers", "model_type", "name_or_path",
    "output_attentions", "output_hidden_states", "pad_token_id", "return_dict", "rope_parameters", "rope_scaling",
    "rope_theta", "tokenizer_class", "torch_dtype", "torchscript", "transformers_version", "unk_token_id",
    "use_bfloat16", "use_cache",
}  # fmt: skip
# Fields that change the mathematics, and the only values under which they do not. (Rotary fields are read as a whole.)
_ONLY: dict[str, tuple[Any, ...]] = {
    "attention_dropout": (0, None),
    "hidden_act": ("silu",),
    "mlp_bias": (False,),
    "pretraining_tp": (1, None),
    "sliding_window": (None,),
    "use_sliding_window": (False,),
}


@dataclass(frozen=True)
class ModelConfig:
    """Shape and constants of a decoder; names follow Hugging Face."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    rms_norm_eps: float = 1e-6
    rope: Rope = field(default_factory=Rope)
    max_position_embeddings: int = 2048
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    """Biases on the query, key and value projections; on the output projection too, except for Qwen2."""
    norm_head: bool = False
    """Whether the rows of the output head are divided by their length."""
    family: Family = "llama"

    @property
    def output_bias(self) -> bool:
        """Whether the attention's output projection has a bias."""
        return self.attention_bias and self.family != "qwen2"

    @property
    def head_norms(self) -> bool:
        """Whether queries and keys are normalised per head."""
        return self.family == "qwen3"

    @classmethod
    def from_shape(cls, shape: ModelShape, vocab_size: int) -> ModelConfig:
        """The configuration of a new model (family ``llama``)."""
        return cls(
            vocab_size=vocab_size,
            hidden_size=shape.hidden_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads or shape.heads,
            head_dim=shape.head_dim or shape.hidden_size // shape.heads,
            intermediate_size=shape.intermediate_size,
            rms_norm_eps=shape.norm_eps,
            tie_word_embeddings=shape.tie_embeddings,
        )

    def for_training(self, section: ModelSection | None, seq_len: int) -> ModelConfig:
        """Take over what a recipe says about rotary angles, and say that the model reaches ``seq_len`` tokens.

        Raises :class:`RecipeError` for dynamic scaling: its angles follow the length of each text, so weights trained
        under it fit no other length.
        """
        rope = self.rope
        if section is not None and section.rope_base is not None:
            rope = replace(rope, base=section.rope_base)
        if section is not None and (scaling := section.rope_scaling) is not None:
            original = scaling.original_length or rope.original_length or self.max_position_embeddings
            rope = rope.scaled(scaling.kind, scaling.factor, original)
        if rope.kind == "dynamic":
            raise RecipeError("dynamic NTK scaling is for evaluation only: train with yarn, linear or a larger base")
        return replace(self, rope=rope, max_position_embeddings=max(self.max_position_embeddings, seq_len))

    def folded(self) -> ModelConfig:
        """The plain Llama that an Index model is once its head's rows have been normalised."""
        return replace(self, family="llama", norm_head=False)

    def to_hf(self) -> dict[str, Any]:
        """The content of ``config.json``."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("family", "rope")}
        fields["norm_head"] = int(self.norm_head)
        if self.family != "index":
            del fields["norm_head"]
        if self.family == "qwen2":
            del fields["attention_bias"]  # Qwen2 always has them, and has no field that says so
        architecture = {"architectures": [_ARCHITECTURES[self.family]], "model_type": self.family}
        return {**architecture, **fields, **self.rope.to_hf(), "hidden_act": "silu", "torch_dtype": "float32"}


def config_from_hf(content: dict[str, Any]) -> ModelConfig:
    """Read the content of a ``config.json``.

    Raises:
        RecipeError: for another model type, and for every field whose effect this decoder does not have.

    """
    family = content.get("model_type")
    if family not in _ARCHITECTURES:
        raise RecipeError(
            f"config.json: model_type {family!r} is not supported; known are {', '.join(_ARCHITECTURES)}. "
            "transformers runs others: `impl: hf`"
        )
    given = {name: value for name, value in content.items() if name not in _WITHOUT_EFFECT}
    if given.get("use_sliding_window") is False:
        given.pop("sliding_window", None)
    if set(given.pop("layer_types", None) or ()) - {"full_attention"}:
        raise RecipeError("config.json: layer_types other than full_attention are not supported")
    for name, allowed in _ONLY.items():
        if name in given and (value := given.pop(name)) not in allowed:
            raise RecipeError(f"config.json: {name} = {value!r} is not supported; only {allowed[0]!r} is")
    heads = given.get("num_attention_heads", 0)
    defaults = {
        "num_key_value_heads": heads,
        "head_dim": given.get("hidden_size", 0) // max(heads, 1),
        "attention_bias": family == "qwen2",
    }
    settings = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    known = set(ModelConfig.__dataclass_fields__) - {"family", "rope"} - ({"norm_head"} if family != "index" else set())
    if unknown := sorted(set(settings) - known):
        raise RecipeError(f"config.json: unknown fields {', '.join(unknown)}; they may change what the model computes")
    if settings.get("norm_head"):
        settings["norm_head"] = True
        if settings.get("tie_word_embeddings"):
            raise RecipeError("config.json: norm_head with tie_word_embeddings is not supported")
    try:
        return ModelConfig(**settings, rope=rope_from_hf(content), family=family)
    except TypeError as error:
        raise RecipeError(f"config.json is incomplete: {error}") from error


def read_content(folder: Path) -> dict[str, Any]:
    """The content of ``folder/config.json``; raises :class:`RecipeError` when there is none."""
    path = folder / "config.json"
    if not path.is_file():
        raise RecipeError(f"{path} does not exist: a checkpoint folder holds config.json and safetensors files")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def read_config(folder: Path) -> ModelConfig:
    """Read ``folder/config.json``; raises :class:`RecipeError` when it is missing or not supported."""
    return config_from_hf(read_content(folder))
