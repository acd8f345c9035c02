"""The way from a packed run through pretraining and SFT to an evaluation, in one process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lc_data.corpus.plan import PlanError
from lc_data.evaluation.evaluate import evaluate, evaluate_run
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.training.config import read_config
from lc_data.training.launch import launch
from lc_data.training.model import CausalLM
from lc_data.training.weights import checkpoint_weights, fill
from tests.streaming.packed_run import Document, PackedRun, next_fit

SEQ_LEN = 48
VOCAB = 61


def counting(seed: int, number: int, domain: str, spans: list[tuple[int, int]] | None = None) -> Document:
    draw = np.random.default_rng([seed, number])
    start, step, length = draw.integers(VOCAB), draw.integers(1, 4), int(draw.integers(10, SEQ_LEN))
    return Document(f"{domain}-{number}", domain, [int((start + step * i) % VOCAB) for i in range(length)], spans)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    training = {"batch_tokens": 4 * SEQ_LEN, "optimizer": {"peak_learning_rate": 1e-2}}
    shape = {"hidden_size": 32, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate_size": 48}
    return Recipe.model_validate(
        {
            "name": "small",
            "sources": [{"kind": "jsonl", "name": "books", "domain": "books", "paths": ["books.jsonl"]}],
            "tokenizer": {"path": "tokenizer.json"},
            "pack": {"seq_len": SEQ_LEN, "block_packs": 64},
            "pretrain": {**training, "model": {"shape": shape}},
            "sft": {**training, "steps": 2},
            "evaluation": {"first_bucket_tokens": 8},
        }
    )


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> PackedRun:
    """Plans of all purposes over the same documents; chat/0 has loss on four tokens only."""
    torch.set_num_threads(1)
    documents = [counting(1, i, "books") for i in range(60)] + [counting(1, i, "chat", [(3, 7)]) for i in range(60)]
    run = PackedRun(tmp_path_factory.mktemp("run") / "run", documents, vocab_size=VOCAB)
    run.write_bucket()
    (run.folder / "bucket" / "tokenizer.json").write_text("{}")
    for purpose in ("pretrain", "sft", "held_out"):
        run.write_plan(purpose, SEQ_LEN, next_fit(run.lengths, SEQ_LEN, packs_per_block=7))
    return run


def reference_nll(folder: Path, documents: list[Document]) -> dict[str, list[tuple[int, float]]]:
    """(position, loss) of every target by domain, each document alone and its logits written out."""
    model = CausalLM(read_config(folder))
    fill(model, checkpoint_weights(folder, model.config))
    seen: dict[str, list[tuple[int, float]]] = {}
    for document in documents:
        tokens = torch.tensor(document.tokens)
        with torch.no_grad():
            logits = model(tokens, torch.arange(len(tokens)), torch.tensor([0, len(tokens)]), len(tokens))
        losses = torch.nn.functional.cross_entropy(logits[:-1], tokens[1:], reduction="none").tolist()
        for position, loss in enumerate(losses, start=1):
            if document.spans is None or any(start <= position < end for start, end in document.spans):
                seen.setdefault(document.domain, []).append((position, loss))
    return seen


def test_pretrain_sft_and_evaluate_follow_each_other(packed: PackedRun, recipe: Recipe) -> None:
    run_uri = str(packed.folder)
    with pytest.raises(RecipeError, match="pretrain first"):
        launch("sft", run_uri, recipe)
    with pytest.raises(RecipeError, match="pretrain first"):
        evaluate_run(recipe, run_uri)

    first = launch("pretrain", run_uri, recipe)
    assert first.ran
    assert first.result["last_loss"] < first.result["first_loss"]
    assert sorted(path.name for path in (packed.folder / "pretrain" / "export").iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert not launch("pretrain", run_uri, recipe).ran

    assert launch("sft", run_uri, recipe).ran
    assert not launch("sft", run_uri, recipe).ran
    before = evaluate_run(recipe, run_uri)
    assert before.ran
    assert list(before.results) == ["pretrain", "sft"]
    assert not evaluate_run(recipe, run_uri).ran

    # Another start makes another fine-tuning, and only that is evaluated again.
    other = recipe.model_copy(update={"sft": recipe.sft.model_copy(update={"steps": 3})})
    assert launch("sft", run_uri, other).ran
    after = evaluate_run(recipe, run_uri)
    assert after.ran
    assert after.results["pretrain"] == before.results["pretrain"]
    assert after.results["sft"]["all"]["nll"] != before.results["sft"]["all"]["nll"]


def test_the_table_is_that_of_the_documents_one_by_one(packed: PackedRun, recipe: Recipe) -> None:
    launch("pretrain", str(packed.folder), recipe)
    export = packed.folder / "pretrain" / "export"
    evaluate(export, str(packed.folder), recipe)
    written = json.loads((packed.folder / "evaluate" / "pretrain" / "position_loss.json").read_text())
    expected = reference_nll(export, packed.documents)
    assert written["documents"] == 120
    assert set(written["domains"]) == {"books", "chat"}
    for domain, losses in expected.items():
        for bucket in written["domains"][domain]["buckets"]:
            inside = [loss for position, loss in losses if bucket["from"] <= position < bucket["to"]]
            assert bucket["tokens"] == len(inside)
            assert bucket["nll"] == pytest.approx(sum(inside) / len(inside), rel=1e-5)


def test_the_limit_counts_documents(packed: PackedRun, recipe: Recipe) -> None:
    launch("pretrain", str(packed.folder), recipe)
    few = recipe.model_copy(update={"evaluation": recipe.evaluation.model_copy(update={"max_documents": 5})})
    result = evaluate(packed.folder / "pretrain" / "export", str(packed.folder), few, "few").results["few"]
    plan = np.concatenate([block.document for block in packed.blocks["held_out"]])
    chosen = [packed.documents[number] for number in list(dict.fromkeys(plan.tolist()))[:5]]
    assert result["documents"] == 5
    assert result["all"]["tokens"] == sum(
        len(document.spans or document.tokens[1:]) * (4 if document.spans else 1) for document in chosen
    )


def test_what_cannot_be_evaluated_is_refused(packed: PackedRun, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"config.json does not exist"):
        evaluate(tmp_path, str(packed.folder), recipe)
    bare = PackedRun(tmp_path / "bare", packed.documents, vocab_size=VOCAB)
    bare.write_bucket()
    bare.write_plan("pretrain", SEQ_LEN, next_fit(bare.lengths, SEQ_LEN, packs_per_block=7))
    with pytest.raises(PlanError, match="no plan 'held_out'"):
        evaluate(tmp_path, str(bare.folder), recipe)


@pytest.mark.slow
def test_two_processes_under_torchrun_train_as_one_does(packed: PackedRun, recipe: Recipe, tmp_path: Path) -> None:
    alone = launch("pretrain", str(packed.folder), recipe).result
    twin = PackedRun(tmp_path / "run", packed.documents, vocab_size=VOCAB)
    twin.write_bucket()
    (twin.folder / "bucket" / "tokenizer.json").write_text("{}")
    twin.write_plan("pretrain", SEQ_LEN, packed.blocks["pretrain"])
    two = recipe.model_copy(update={"pretrain": recipe.pretrain.model_copy(update={"processes": 2})})
    together = launch("pretrain", str(twin.folder), two)
    assert together.ran
    assert together.result["last_loss"] == pytest.approx(alone["last_loss"], rel=1e-5)
    assert together.result["fingerprint"] == alone["fingerprint"]
    assert not launch("pretrain", str(twin.folder), two).ran
