from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lc_data.recipe.errors import RecipeError
from lc_data.recipe.model import ModelSection, ModelShape
from lc_data.training.config import config_from_hf
from lc_data.training.rope import Rope
from tests.training.synthetic import small_config

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "intermediate_size": 128,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "rope_scaling": None,
    "attention_dropout": 0.0,
    "pretraining_tp": 1,
}


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "index"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_configuration_survives_config_json(family: Any, tied: bool) -> None:
    config = small_config(
        family=family,
        tie_word_embeddings=tied and family != "index",
        attention_bias=family == "qwen2",
        norm_head=family == "index",
        rope=Rope(320_000.0),
    )
    assert config_from_hf(config.to_hf()) == config


def test_defaults_are_those_of_hugging_face() -> None:
    config = config_from_hf(LLAMA)
    assert (config.num_key_value_heads, config.head_dim, config.rope) == (8, 8, Rope())
    assert not config.attention_bias
    qwen2 = config_from_hf({**LLAMA, "model_type": "qwen2", "use_sliding_window": False, "sliding_window": 4096})
    assert qwen2.attention_bias
    assert not qwen2.output_bias
    new_rope = config_from_hf({**LLAMA, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}})
    assert new_rope.rope == Rope(1e6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mamba"}, "mamba"),
        ({"rope_scaling": {"type": "longrope", "factor": 4}}, "longrope"),
        ({"rope_scaling": {"type": "linear"}}, "factor"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 8, "partial_rotary_factor": 0.5}}, "partial_rotary"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"norm_head": 1}, "norm_head"),
        ({"model_type": "index", "norm_head": 1, "tie_word_embeddings": True}, "norm_head"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"sliding_window": 4096}, "sliding_window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"logit_softcapping": 30}, "logit_softcapping"),
        ({"hidden_size": None, "vocab_size": None}, "incomplete"),
    ],
)
def test_what_would_change_the_mathematics_is_refused(change: dict[str, Any], message: str) -> None:
    given = {name: value for name, value in {**LLAMA, **change}.items() if value is not None or name not in change}
    with pytest.raises(RecipeError, match=message):
        config_from_hf(given)


SHAPE = ModelShape(hidden_size=32, layers=1, heads=4, intermediate_size=48)


def section(**settings: Any) -> ModelSection:
    return ModelSection.model_validate({"shape": SHAPE, **settings})


def test_the_rope_base_is_replaced_and_the_reach_grows() -> None:
    config = small_config(max_position_embeddings=4096)
    longer = config.for_training(section(rope_base=320_000.0), 32_768)
    assert (longer.rope.base, longer.max_position_embeddings) == (320_000.0, 32_768)
    assert config.for_training(section(), 1024) == config.for_training(None, 1024) == config


def test_a_scaling_starts_from_the_length_that_the_model_had() -> None:
    config = small_config(max_position_embeddings=4096, rope=Rope(5e5))
    scaled = config.for_training(section(rope_scaling={"kind": "yarn", "factor": 8}), 32_768)
    assert scaled.rope == Rope(5e5, "yarn", 8.0, 4096)
    again = scaled.for_training(section(rope_scaling={"kind": "llama3", "factor": 16}), 65_536)
    assert again.rope == Rope(5e5, "llama3", 16.0, 4096)
    assert config_from_hf(again.to_hf()) == again


def test_dynamic_scaling_is_refused_in_training() -> None:
    with pytest.raises(RecipeError, match="evaluation only"):
        small_config(rope=Rope(kind="dynamic", factor=8, original_length=64)).for_training(None, 64)
    with pytest.raises(ValidationError, match="llama3"):
        section(rope_scaling={"kind": "dynamic", "factor": 8})
