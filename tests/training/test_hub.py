"""``impl: hf``: transformers' models inside our boundaries, and those that cannot keep to them refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from lc_data.evaluation.generation import GreedyGenerator, StopRules
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.model import ModelSection
from lc_data.training import hub, loss
from lc_data.training.batch import to_device
from lc_data.training.hub import HubModelError
from lc_data.training.load import empty_model, load_model, read_model_config
from lc_data.training.loop import train
from lc_data.training.model import CausalLM
from lc_data.training.weights import checkpoint_weights, export, fill
from tests.training.synthetic import SEQ_LEN, VOCAB, make_job, make_pack, make_packs

CPU = torch.device("cpu")
SHAPE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen3": {"head_dim": 8},
    "olmo2": {"tie_word_embeddings": True},
    "gpt_neox": {"use_parallel_residual": True, "attention_dropout": 0.1},
    "granite": {"attention_multiplier": 0.5, "logits_scaling": 3.0, "embedding_multiplier": 2.0},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": 8},
}
TEXTS = [[5, 9, 2, 40, 17, 3], [8], [11, 30, 30, 2, 7, 60, 1, 1, 4], [21, 20]]


def saved(folder: Path, kind: str, **settings: Any) -> Path:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **{**SHAPE, **KINDS.get(kind, {}), **settings})
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@torch.no_grad()
def logits_alone(folder: Path, text: list[int]) -> Tensor:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    return model(torch.tensor([text]), use_cache=False).logits[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pack_gives_what_transformers_gives_for_each_document(tmp_path: Path, kind: str) -> None:
    folder = saved(tmp_path, kind)
    model = load_model(folder, "hf", "float32")
    pack = make_pack(TEXTS, 24)
    with torch.no_grad():
        logits = model(**to_device(pack, CPU))
        nll = model(**to_device(pack, CPU), targets=loss.next_token_targets(pack["labels"]))
    start = 0
    for text in TEXTS:
        alone = logits_alone(folder, text)
        torch.testing.assert_close(logits[start : start + len(text)], alone, atol=1e-5, rtol=1e-5)
        expected = torch.nn.functional.cross_entropy(alone[:-1], torch.tensor(text)[1:], reduction="none")
        torch.testing.assert_close(nll[start : start + len(text) - 1], expected, atol=1e-5, rtol=1e-5)
        start += len(text)
    assert model._has_plain_head == (kind != "granite")


@pytest.mark.parametrize("changed", range(len(TEXTS)))
def test_one_document_never_touches_another(tmp_path: Path, changed: int) -> None:
    model = load_model(saved(tmp_path, "llama"), "hf", "float32")
    after = [[(token + 1) % VOCAB for token in text] if i == changed else text for i, text in enumerate(TEXTS)]
    with torch.no_grad():
        one, other = (model(**to_device(make_pack(texts, 24), CPU)) for texts in (TEXTS, after))
    lengths = [*map(len, TEXTS), 24 - sum(map(len, TEXTS))]
    same = [torch.equal(a, b) for a, b in zip(one.split(lengths), other.split(lengths), strict=True)]
    assert same == [i != changed for i in range(len(lengths))]


def test_a_training_model_is_filled_and_exported_under_the_names_of_transformers(tmp_path: Path) -> None:
    for kind in ("llama", "olmo2", "qwen3_moe"):
        folder = saved(tmp_path / kind, kind)
        config = read_model_config(folder, "hf").for_training(
            ModelSection(path="x", impl="hf", rope_base=320_000.0), 96
        )
        model = empty_model(config, recompute=True)
        assert all(parameter.is_meta for parameter in model.parameters())
        assert len(model.blocks) == 2
        model = model.materialize(CPU)
        fill(model, checkpoint_weights(folder, config))
        pack = make_pack(TEXTS, 24)
        model(**to_device(pack, CPU), targets=loss.next_token_targets(pack["labels"])).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        (tmp_path / f"{kind}-out").mkdir()
        export(model, tmp_path / f"{kind}-out", writes=True)
        back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / f"{kind}-out")
        assert back.config.rope_parameters["rope_theta"] == 320_000.0
        assert back.config.max_position_embeddings == 96
        before = dict(transformers.AutoModelForCausalLM.from_pretrained(folder).named_parameters())
        assert {name: torch.equal(p, before[name]) for name, p in back.named_parameters()} == dict.fromkeys(
            before, True
        )


def test_its_loss_and_gradient_are_those_of_the_own_decoder(tmp_path: Path) -> None:
    folder = saved(tmp_path, "qwen3", tie_word_embeddings=True)
    pack = make_pack(TEXTS, 24)
    gradients = []
    for impl in ("own", "hf"):
        config = read_model_config(folder, impl)
        model = empty_model(config, recompute=impl == "hf").materialize(CPU)
        fill(model, checkpoint_weights(folder, config))
        model(**to_device(pack, CPU), targets=loss.next_token_targets(pack["labels"])).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["llama", "granite", "gpt_neox"])
def test_it_continues_as_transformers_does(tmp_path: Path, kind: str) -> None:
    folder = saved(tmp_path, kind)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    expected = []
    for text in TEXTS:
        ids = torch.tensor([text])
        made = theirs.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=12,
            pad_token_id=0,
            eos_token_id=-1,
        )
        expected.append(made[0, len(text) :].tolist())
    generator = GreedyGenerator(load_model(folder, "hf", "float32"))
    assert generator.generate(TEXTS, 12, StopRules()) == expected


def test_scaled_angles_are_those_of_the_own_decoder(tmp_path: Path) -> None:
    folder = saved(tmp_path, "llama")
    for rope in ("linear:4", "yarn:4", "llama3:4"):
        own, theirs = (
            GreedyGenerator(load_model(folder, impl, "float32", rope)).generate(TEXTS, 12, StopRules())
            for impl in ("own", "hf")
        )
        assert own == theirs
    with pytest.raises(RecipeError, match="cannot lay dynamic"):
        load_model(folder, "hf", "float32", "dynamic:8")


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("mistral", {"sliding_window": 4}, "attends to 4 tokens"),
        ("gemma2", {"head_dim": 8, "attn_logit_softcapping": 5.0, "sliding_window": 64}, "softcap"),
        ("mamba", {"state_size": 4}, "see one another"),
        ("bloom", {"n_head": 4}, "see one another"),
        ("lfm2", {"layer_types": ["conv", "full_attention"]}, "see one another"),
    ],
)
def test_models_that_our_attention_does_not_describe_are_refused(
    tmp_path: Path, kind: str, settings: dict[str, Any], message: str
) -> None:
    folder = saved(tmp_path, kind, **settings)
    with pytest.raises((HubModelError, RecipeError), match=message), torch.no_grad():
        load_model(folder, "hf", "float32")(**to_device(make_pack(TEXTS, 24), CPU))


def test_a_model_that_ignores_boundaries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path, "llama")
    right = hub.attend

    def one_segment(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, *_rest: Any) -> Tensor:
        return right(q, k, v, cu_seqlens[[0, -1]], len(q))

    monkeypatch.setattr(hub, "attend", one_segment)
    with pytest.raises(HubModelError, match="see one another"), torch.no_grad():
        load_model(folder, "hf", "float32")(**to_device(make_pack(TEXTS, 24), CPU))


def test_what_a_model_has_no_place_for_is_refused(tmp_path: Path) -> None:
    config = read_model_config(saved(tmp_path / "gpt2", "gpt2", n_positions=64), "hf")
    with pytest.raises(RecipeError, match="64 positions"):
        config.for_training(None, 128)
    with pytest.raises(RecipeError, match="no single rotary base"):
        config.for_training(ModelSection(path="x", impl="hf", rope_base=1e6), 64)
    with pytest.raises(RecipeError, match="does not exist"):
        read_model_config(tmp_path / "nothing", "hf")
    (tmp_path / "config.json").write_text('{"model_type": "index", "auto_map": {"AutoConfig": "modeling.IndexConfig"}}')
    with pytest.raises(RecipeError, match="transformers cannot read it"):
        read_model_config(tmp_path, "hf")


def test_a_hub_model_is_no_own_one(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path, "llama"), "hf", "float32")
    assert not isinstance(model, CausalLM)
    assert isinstance(model, transformers.LlamaForCausalLM)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
def test_the_loop_trains_it_as_it_trains_the_own_decoder(tmp_path: Path, tied: bool, recompute: bool) -> None:
    folder = saved(tmp_path / "start", "llama", tie_word_embeddings=tied, num_key_value_heads=2)
    packs = make_packs(12)
    weights = []
    for impl in ("own", "hf"):
        config = read_model_config(folder, impl).for_training(None, SEQ_LEN)
        job = make_job(tmp_path / impl, packs, activation_checkpointing=recompute)
        job = replace(job, config=config, read_weights=checkpoint_weights(folder, config))
        train(job)
        model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / impl / "export")
        weights.append(dict(model.named_parameters()))
    start = dict(transformers.AutoModelForCausalLM.from_pretrained(folder).named_parameters())
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], atol=2e-4, rtol=1e-3)
        assert not torch.equal(value, start[name])
