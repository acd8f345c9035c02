"""The SFT preset: the published numbers, and a run of it from dialogues to one epoch after the other in packs."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from lc_data.corpus.run import RunFolder
from lc_data.journey import travel
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import load_recipe
from lc_data.streaming.dataset import PackedDataset
from tests.lengths.texts import small_tokenizer
from tests.small_corpus import prose

GIVEN = ("variables.data=data", "variables.tokenizer=tokenizer.json")


def test_every_number_is_the_published_one() -> None:
    recipe = load_recipe("index_32k_sft", GIVEN)
    sft = recipe.sft
    assert sft is not None
    assert (sft.batch_tokens, sft.optimizer.peak_learning_rate) == (1 << 20, 5e-6)
    assert (sft.optimizer.weight_decay, sft.optimizer.clip_norm, sft.schedule.kind) == (0.1, 1.0, "cosine")
    assert (recipe.pack.seq_len, recipe.sft_mixture.epochs) == (32_768, 2)
    assert recipe.pack.global_batch_packs * recipe.pack.seq_len == sft.batch_tokens
    pretrain = load_recipe("index_32k", GIVEN).pretrain
    assert pretrain is not None
    assert pretrain.schedule == sft.schedule, "all else is as in pretraining"
    assert pretrain.optimizer == sft.optimizer.model_copy(update={"peak_learning_rate": 1e-5})


def test_what_has_to_be_given_is_said() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("index_32k_sft")
    assert all(f"-o variables.{name}=VALUE" in str(caught.value) for name in ("data", "tokenizer"))


def test_two_epochs_of_dialogues_are_packed_with_loss_on_the_answers(tmp_path: Path) -> None:
    rng = random.Random(3)
    for domain, count in (("long", 12), ("general", 20)):
        (tmp_path / "data" / domain).mkdir(parents=True)
        rows = [
            {"messages": [
                {"role": "user", "content": prose(rng, 600 if domain == "long" else 40)},
                {"role": "assistant", "content": prose(rng, 30)},
            ]}
            for _ in range(count)
        ]  # fmt: skip
        (tmp_path / "data" / domain / "part.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "tokenizer.json").write_text(small_tokenizer())
    given = [f"variables.data={tmp_path / 'data'}", f"variables.tokenizer={tmp_path / 'tokenizer.json'}"]
    given += ["tokenizer.eos=<|endoftext|>", "engine.backend=serial"]
    run = RunFolder(str(tmp_path / "run"))
    list(travel(load_recipe("index_32k_sft", given), run, "pack"))
    tokens = sum(shard.tokens or 0 for shard in run.stage("bucket").manifest().shards)
    packs = list(PackedDataset(run.uri, plan="sft"))
    seen = Counter(document for pack in packs for document in pack["document_ids"].tolist() if document >= 0)
    assert len(seen) == 32
    assert set(seen.values()) == {2}
    targets = sum(int((pack["labels"] != -100).sum()) for pack in packs)
    assert 0 < targets < 0.5 * tokens
