from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lc_data.recipe.errors import RecipeError
from lc_data.training import weights
from lc_data.training.batch import to_device
from lc_data.training.config import ModelConfig, read_config
from lc_data.training.model import CausalLM
from lc_data.training.rope import Rope
from lc_data.training.weights import checkpoint_weights, export, fill, random_weights, weights_fingerprint
from tests.training.synthetic import make_pack, small_config


def model_of(config: ModelConfig, seed: int = 1) -> CausalLM:
    built = CausalLM(config)
    fill(built, random_weights(0.3, seed))
    return built


def names_of_hugging_face(family: str, tied: bool) -> dict[str, list[int]]:
    """What transformers 4.x saves for two layers of width 32, 4 heads of 8, 2 of them for keys and values."""
    expected: dict[str, list[int]] = {"model.embed_tokens.weight": [61, 32], "model.norm.weight": [32]}
    if not tied:
        expected["lm_head.weight"] = [61, 32]
    for layer in ("model.layers.0.", "model.layers.1."):
        attention = layer + "self_attn."
        for name, rows in (("q_proj", 32), ("k_proj", 16), ("v_proj", 16)):
            expected[f"{attention}{name}.weight"] = [rows, 32]
            if family == "qwen2":
                expected[f"{attention}{name}.bias"] = [rows]
        expected[f"{attention}o_proj.weight"] = [32, 32]
        if family == "qwen3":
            expected |= {f"{attention}q_norm.weight": [8], f"{attention}k_norm.weight": [8]}
        expected |= {f"{layer}mlp.{name}.weight": [48, 32] for name in ("gate_proj", "up_proj")}
        expected[f"{layer}mlp.down_proj.weight"] = [32, 48]
        expected |= {f"{layer}{name}.weight": [32] for name in ("input_layernorm", "post_attention_layernorm")}
    return expected


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_names_and_shapes_are_those_of_hugging_face(tmp_path: Path, family: Any, tied: bool) -> None:
    config = small_config(family=family, attention_bias=family == "qwen2", tie_word_embeddings=tied)
    export(model_of(config), tmp_path, writes=True)
    saved = load_file(tmp_path / "model.safetensors")
    assert {name: list(tensor.shape) for name, tensor in saved.items()} == names_of_hugging_face(family, tied)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == family


@pytest.mark.parametrize("shard_bytes", [1 << 30, 4096])
def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard_bytes: int) -> None:
    monkeypatch.setattr(weights, "SHARD_BYTES", shard_bytes)
    config = small_config(family="qwen3", rope=Rope(320_000.0))
    before = model_of(config)
    export(before, tmp_path, writes=True)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shard_bytes == 4096)
    after = CausalLM(read_config(tmp_path))
    fill(after, checkpoint_weights(tmp_path, after.config))
    pack = to_device(make_pack([[1, 2, 3, 4], [5, 6]], 8), torch.device("cpu"))
    assert torch.equal(before(**pack), after(**pack))


def test_random_weights_depend_on_the_seed_and_the_name_alone() -> None:
    one, same, other = (model_of(small_config(), seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    matrices = [name for name in one if one[name].ndim == 2]
    assert not any(torch.equal(one[name], other[name]) for name in matrices)
    q, k = (one[f"model.layers.{i}.self_attn.q_proj.weight"] for i in (0, 1))
    assert not torch.equal(q, k)


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    config = small_config()
    export(model_of(config), tmp_path, writes=True)
    saved = load_file(tmp_path / "model.safetensors")
    before = weights_fingerprint(tmp_path)

    save_file({**saved, "model.layers.0.self_attn.q_proj.bias": torch.zeros(32)}, tmp_path / "model.safetensors")
    assert weights_fingerprint(tmp_path) != before
    with pytest.raises(RecipeError, match="unknown to its config"):
        checkpoint_weights(tmp_path, config)
    save_file({name: t for name, t in saved.items() if "norm.weight" not in name}, tmp_path / "model.safetensors")
    with pytest.raises(RecipeError, match="lacks 5 tensors"):
        checkpoint_weights(tmp_path, config)
    save_file({**saved, "model.norm.weight": torch.ones(31)}, tmp_path / "model.safetensors")
    with pytest.raises(RecipeError, match=r"model\.norm\.weight is"):
        fill(CausalLM(config), checkpoint_weights(tmp_path, config))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(RecipeError, match="no safetensors"):
        checkpoint_weights(tmp_path, config)


def test_an_index_says_which_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SHARD_BYTES", 4096)
    config = small_config()
    export(model_of(config), tmp_path, writes=True)
    save_file({"consolidated": torch.zeros(1)}, tmp_path / "consolidated.safetensors")
    checkpoint_weights(tmp_path, config)
    next(tmp_path.glob("model-*.safetensors")).unlink()
    with pytest.raises(RecipeError, match="which its index names"):
        checkpoint_weights(tmp_path, config)


def test_a_tied_checkpoint_may_repeat_its_embedding_but_not_hold_another_head(tmp_path: Path) -> None:
    config = small_config(tie_word_embeddings=True)
    export(model_of(config), tmp_path, writes=True)
    saved = load_file(tmp_path / "model.safetensors")
    embedding = saved["model.embed_tokens.weight"]
    save_file({**saved, "lm_head.weight": embedding.clone()}, tmp_path / "model.safetensors")
    checkpoint_weights(tmp_path, config)
    save_file({**saved, "lm_head.weight": embedding + 1}, tmp_path / "model.safetensors")
    with pytest.raises(RecipeError, match="output head of its own"):
        checkpoint_weights(tmp_path, config)
