"""Each family against transformers' own implementation of it, there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from lc_data.recipe.errors import RecipeError
from lc_data.training import loss, weights
from lc_data.training.config import ModelConfig, config_from_hf, read_config
from lc_data.training.model import CausalLM
from lc_data.training.weights import checkpoint_weights, export, fill, random_weights
from tests.training.synthetic import VOCAB, small_config

TOKENS = torch.arange(40) * 7 % VOCAB
SHAPE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "head_dim": 8,
    "max_position_embeddings": 32,
    "initializer_range": 0.15,
}
ROPES: list[dict[str, Any]] = [
    {"rope_type": "default", "rope_theta": 320_000.0},
    {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0},
    {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
    {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 8.0, "original_max_position_embeddings": 16},
    {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 8.0},
]


def loaded(folder: Path, dtype: torch.dtype = torch.float32) -> CausalLM:
    config = read_config(folder)
    model = CausalLM(config).to(dtype)
    fill(model, checkpoint_weights(folder, config))
    return model


@torch.no_grad()
def logits(model: CausalLM, tokens: Tensor = TOKENS) -> Tensor:
    count = len(tokens)
    return model(tokens, torch.arange(count), torch.tensor([0, count], dtype=torch.int32), count)


@torch.no_grad()
def logits_of_transformers(model: Any) -> Tensor:
    return model(TOKENS[None], use_cache=False).logits[0]


def made(family: str, **settings: Any) -> Any:
    """A random model of transformers whose biases and norms are random too."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(family, **{**SHAPE, **settings})
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=float("norm" in name), std=0.3)
    return model.eval()


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_logits_are_those_of_transformers_there_and_back(
    tmp_path: Path, family: str, tied: bool, kv_heads: int
) -> None:
    theirs = made(family, tie_word_embeddings=tied, num_key_value_heads=kv_heads)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="9KB")
    assert (tmp_path / "theirs/model.safetensors.index.json").exists()
    ours = loaded(tmp_path / "theirs")
    expected = logits_of_transformers(theirs)
    torch.testing.assert_close(logits(ours), expected, atol=1e-5, rtol=1e-5)

    (tmp_path / "ours").mkdir()
    export(ours, tmp_path / "ours", writes=True)
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", attn_implementation="eager")
    assert type(back) is type(theirs)
    assert torch.equal(logits_of_transformers(back), expected)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_in_float64_the_agreement_is_that_of_the_rotary_tables(tmp_path: Path, family: str) -> None:
    theirs = made(family, num_key_value_heads=2).double()
    theirs.save_pretrained(tmp_path)
    assert (logits(loaded(tmp_path, torch.float64)) - logits_of_transformers(theirs)).abs().max() < 1e-5


@pytest.mark.parametrize("rope", ROPES, ids=lambda rope: rope["rope_type"])
@pytest.mark.parametrize("layout", ["old", "new"])
def test_every_rotary_scaling_is_that_of_transformers(tmp_path: Path, rope: dict[str, Any], layout: str) -> None:
    scaling = {name: value for name, value in rope.items() if name != "rope_theta"}
    old = {"rope_theta": rope["rope_theta"], "rope_scaling": scaling}
    theirs = made("llama", num_key_value_heads=2, **(old if layout == "old" else {"rope_parameters": dict(rope)}))
    theirs.save_pretrained(tmp_path / "theirs")
    ours = loaded(tmp_path / "theirs")
    assert ours.config.rope.kind == rope["rope_type"]
    expected = logits_of_transformers(theirs)
    torch.testing.assert_close(logits(ours), expected, atol=1e-5, rtol=1e-5)
    (tmp_path / "ours").mkdir()
    export(ours, tmp_path / "ours", writes=True)
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", attn_implementation="eager")
    torch.testing.assert_close(logits_of_transformers(back), expected, atol=1e-6, rtol=1e-6)


INDEX: dict[str, Any] = {
    "architectures": ["IndexForCausalLM"],
    "auto_map": {"AutoModelForCausalLM": "modeling_index.IndexForCausalLM"},
    "model_type": "index",
    "vocab_size": 65029,
    "hidden_size": 2048,
    "intermediate_size": 5888,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "hidden_act": "silu",
    "max_length": 4096,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6,
    "initializer_range": 0.01,
    "norm_head": 1,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
}


def small_index() -> ModelConfig:
    return small_config(family="index", norm_head=True, num_key_value_heads=4)


def test_index_has_the_size_that_its_report_says() -> None:
    config = config_from_hf(INDEX)
    with torch.device("meta"):
        model = CausalLM(config)
    total = sum(p.numel() for p in model.parameters())
    assert config.norm_head
    assert round(total / 1e9, 2) == 2.17
    assert round((total - 2 * config.vocab_size * config.hidden_size) / 1e9, 3) == 1.906


@pytest.mark.parametrize("shard_bytes", [1 << 30, 4096])
def test_index_is_exported_as_it_trains_and_folded_to_llama(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard_bytes: int
) -> None:
    monkeypatch.setattr(weights, "SHARD_BYTES", shard_bytes)
    ours = CausalLM(small_index())
    fill(ours, random_weights(0.3, 1))
    export(ours, tmp_path, writes=True)
    raw = loaded(tmp_path)
    assert raw.config == ours.config
    assert torch.equal(raw.lm_head.weight, ours.lm_head.weight)
    folded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "llama", attn_implementation="eager")
    assert type(folded).__name__ == "LlamaForCausalLM"
    torch.testing.assert_close(logits_of_transformers(folded), logits(ours), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(folded.lm_head.weight, ours.lm_head.weight)
    torch.testing.assert_close(logits(loaded(tmp_path / "llama")), logits(ours), atol=1e-5, rtol=1e-5)


def test_index_trains_with_the_normalised_head() -> None:
    model = CausalLM(small_index()).double()
    fill(model, random_weights(0.3, 1))
    arguments = (TOKENS, torch.arange(40), torch.tensor([0, 40], dtype=torch.int32), 40)
    targets = loss.next_token_targets(TOKENS)
    model(*arguments, targets=targets).sum().backward()
    gradient = model.lm_head.weight.grad
    assert gradient is not None

    weight = model.lm_head.weight.detach().clone().requires_grad_()
    hidden = model.model.norm.register_forward_hook(lambda _m, _i, output: states.append(output.detach()))
    states: list[Tensor] = []
    logits(model)
    hidden.remove()
    whole = states[0] @ (weight / weight.square().sum(-1, keepdim=True).sqrt()).T
    torch.nn.functional.cross_entropy(whole[:-1], TOKENS[1:], reduction="sum").backward()
    torch.testing.assert_close(gradient, weight.grad)
    # A row's length does not matter, so the gradient has no part along the row.
    assert (gradient * weight.detach()).sum(-1).abs().max() < 1e-9


def test_another_norm_head_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = CausalLM(small_index())
    fill(ours, random_weights(0.3, 1))
    right = logits(ours)
    plain = CausalLM(small_index().folded())
    fill(plain, random_weights(0.3, 1))
    assert (logits(plain) - right).abs().max() > 0.1


def test_unknown_fields_of_real_models_are_refused() -> None:
    with pytest.raises(RecipeError, match="rope_ratio"):
        config_from_hf({**INDEX, "rope_ratio": 32})
