"""Own greedy generation against transformers', token by token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from lc_data.evaluation.generation import GreedyGenerator, StopRules
from lc_data.recipe.errors import RecipeError
from lc_data.training.cache import KeyValueCache
from lc_data.training.load import load_model, rope_override, with_override
from lc_data.training.model import CausalLM
from lc_data.training.rope import Rope
from lc_data.training.weights import export, fill, random_weights
from tests.training.synthetic import VOCAB, small_config

NEW = 24


def prompts(lengths: tuple[int, ...] = (3, 1, 40, 17, 40, 9)) -> list[list[int]]:
    draw = np.random.default_rng(5)
    return [draw.integers(0, VOCAB, length).tolist() for length in lengths]


def decode(tokens: Any) -> str:
    """Some tokens are one letter, some are three: a stop string may lie across tokens and inside one."""
    return "".join("abc"[token % 3] * (1 + 2 * (token % 5 == 0)) for token in tokens)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    config = transformers.Qwen3Config(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=32,
        initializer_range=0.4,
    )
    transformers.Qwen3ForCausalLM(config).save_pretrained(tmp_path)
    return tmp_path


def continued_by_transformers(folder: Path, prompt: list[int], **settings: Any) -> list[int]:
    """What ``generate`` adds to one prompt; by a fresh model, since dynamic scaling remembers earlier lengths."""
    scaling = settings.pop("rope_scaling", None)
    config = transformers.AutoConfig.from_pretrained(folder)
    if scaling:
        config.rope_parameters = {**config.rope_parameters, **scaling}
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, config=config, attn_implementation="eager")
    ids = torch.tensor([prompt])
    mask = torch.ones_like(ids)
    made = model.generate(ids, attention_mask=mask, do_sample=False, pad_token_id=0, max_new_tokens=NEW, **settings)
    return made[0, len(prompt) :].tolist()


@pytest.mark.parametrize("batch_tokens", [1, 150, 1 << 20])
def test_tokens_are_those_of_transformers(checkpoint: Path, batch_tokens: int) -> None:
    generator = GreedyGenerator(load_model(checkpoint, dtype="float32"), batch_tokens)
    expected = [continued_by_transformers(checkpoint, prompt) for prompt in prompts()]
    assert generator.generate(prompts(), NEW, StopRules()) == expected
    assert len({tuple(text) for text in expected}) == len(expected)


@pytest.mark.parametrize("rope", ["dynamic:8", "linear:8", "yarn:8"])
def test_scaled_angles_continue_as_transformers_does(checkpoint: Path, rope: str) -> None:
    kind, factor = rope.split(":")
    scaling = {"rope_type": kind, "factor": float(factor)}
    if kind == "yarn":
        scaling["original_max_position_embeddings"] = 32
    generator = GreedyGenerator(load_model(checkpoint, dtype="float32", rope=rope))
    texts = prompts((5, 30, 60))
    expected = [continued_by_transformers(checkpoint, prompt, rope_scaling=scaling) for prompt in texts]
    assert generator.generate(texts, NEW, StopRules()) == expected
    plain = GreedyGenerator(load_model(checkpoint, dtype="float32")).generate(texts, NEW, StopRules())
    assert plain[-1] != expected[-1]


def test_a_stop_id_ends_a_text_where_transformers_ends_it(checkpoint: Path) -> None:
    generator = GreedyGenerator(load_model(checkpoint, dtype="float32"))
    free = generator.generate(prompts(), NEW, StopRules())
    ids = [free[0][5], free[3][2]]
    expected = [continued_by_transformers(checkpoint, prompt, eos_token_id=ids) for prompt in prompts()]
    stopped = generator.generate(prompts(), NEW, StopRules(ids=frozenset(ids)))
    assert stopped == [text[:-1] if text[-1] in ids else text for text in expected]
    assert min(map(len, stopped)) < max(map(len, stopped))


def test_a_stop_string_ends_a_text_with_the_token_that_completes_it(checkpoint: Path) -> None:
    generator = GreedyGenerator(load_model(checkpoint, dtype="float32"))
    free = generator.generate(prompts(), NEW, StopRules())
    stop = StopRules(strings=("aab", "ccc"), decode=decode)
    for text, whole in zip(generator.generate(prompts(), NEW, stop), free, strict=True):
        ends = [n for n in range(1, NEW + 1) if any(s in decode(whole[:n]) for s in stop.strings)]
        assert text == whole[: min(ends, default=NEW)]
        assert not any(string in stop.cut(decode(text)) for string in stop.strings)
    assert stop.cut("abaabccc") == "ab"


def test_rules_and_prompts_that_make_no_sense_are_refused(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="decode"):
        StopRules(strings=("a",))
    with pytest.raises(ValueError, match="empty"):
        StopRules(strings=("",), decode=decode)
    generator = GreedyGenerator(load_model(checkpoint))
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        generator.generate([[1], []], 4, StopRules())
    with pytest.raises(ValueError, match="max_new_tokens"):
        generator.generate([[1]], 0, StopRules())
    assert generator.generate([], 4, StopRules()) == []


@torch.no_grad()
def test_logits_with_a_cache_are_those_without(checkpoint: Path) -> None:
    model = load_model(checkpoint, dtype="float32")
    first, second = prompts((7, 12))
    cache = KeyValueCache(torch.tensor([7, 12]), 16)
    places = torch.cat((torch.arange(7), torch.arange(12)))
    ends = torch.tensor([0, 7, 19], dtype=torch.int32)
    model.next_logits(torch.tensor(first + second), places, ends, 12, cache)
    for step in range(3):
        lengths = torch.tensor([7, 12]) + step
        got = model.next_logits(torch.tensor([4, 9]), lengths, torch.tensor([0, 1, 2], dtype=torch.int32), 1, cache)
        first, second = [*first, 4], [*second, 9]
        for row, text in zip(got, (first, second), strict=True):
            count = len(text)
            whole = model(torch.tensor(text), torch.arange(count), torch.tensor([0, count], dtype=torch.int32), count)
            torch.testing.assert_close(row, whole[-1], atol=1e-5, rtol=1e-5)


def test_an_own_index_model_continues_as_its_folded_export_does(tmp_path: Path) -> None:
    model = CausalLM(small_config(family="index", norm_head=True))
    fill(model, random_weights(0.3, 2))
    export(model, tmp_path, writes=True)
    generator = GreedyGenerator(load_model(tmp_path, dtype="float32"))
    expected = [continued_by_transformers(tmp_path / "llama", prompt) for prompt in prompts()]
    assert generator.generate(prompts(), NEW, StopRules()) == expected


def test_overrides_are_read_or_refused() -> None:
    assert rope_override("none") is None
    assert rope_override("yarn:2.5") == ("yarn", 2.5)
    for wrong in ("dynamic", "dynamic:0.5", "ntk:8", "linear:x", ""):
        with pytest.raises(RecipeError, match="is not known"):
            rope_override(wrong)
    config = small_config(max_position_embeddings=64)
    assert with_override(config, "dynamic:8").rope == Rope(kind="dynamic", factor=8.0, original_length=64)
    with pytest.raises(RecipeError, match="cannot be laid over"):
        with_override(with_override(config, "yarn:4"), "linear:8")


@pytest.mark.gpu
def test_half_precision_generation_runs_on_the_device(checkpoint: Path) -> None:
    generator = GreedyGenerator(load_model(checkpoint))
    assert all(len(text) == NEW for text in generator.generate(prompts(), NEW, StopRules()))
