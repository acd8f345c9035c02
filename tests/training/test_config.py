from __future__ import annotations

from typing import Any

import pytest

from lc_data.recipe.errors import RecipeError
from lc_data.training.config import ModelConfig, config_from_hf
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


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_configuration_survives_config_json(family: Any, tied: bool) -> None:
    config = small_config(
        family=family, tie_word_embeddings=tied, attention_bias=family == "qwen2", rope_theta=320_000.0
    )
    assert config_from_hf(config.to_hf()) == config


def test_defaults_are_those_of_hugging_face() -> None:
    config = config_from_hf(LLAMA)
    assert (config.num_key_value_heads, config.head_dim, config.rope_theta) == (8, 8, 10_000.0)
    assert not config.attention_bias
    qwen2 = config_from_hf({**LLAMA, "model_type": "qwen2", "use_sliding_window": False, "sliding_window": 4096})
    assert qwen2.attention_bias
    assert not qwen2.output_bias
    new_rope = config_from_hf({**LLAMA, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}})
    assert new_rope.rope_theta == 1e6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mamba"}, "mamba"),
        ({"rope_scaling": {"type": "linear", "factor": 4}}, "rope_scaling"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 8}}, "yarn"),
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


def test_the_rope_base_is_replaced_and_the_reach_grows() -> None:
    config = ModelConfig(**{**small_config().__dict__, "max_position_embeddings": 4096})
    assert config.with_rope(320_000.0, 32_768).rope_theta == 320_000.0
    assert config.with_rope(320_000.0, 32_768).max_position_embeddings == 32_768
    assert config.with_rope(None, 1024) == config
