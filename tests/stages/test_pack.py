from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.manifest import Manifest
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.corpus.shard import read_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.backend import SerialBackend
from lc_data.engine.ray_backend import open_ray
from lc_data.engine.stage import bring_up_to_date
from lc_data.engine.task import Task, TaskError, TaskRecord
from lc_data.packing import planner
from lc_data.packing.plan import PLAN_SCHEMA, PlanBlock, plan_hash
from lc_data.recipe.engine import EngineSection
from lc_data.stages import balance, pack, pack_stretches
from tests.stages.bucketed import write_bucketed
from tests.stages.test_balance import EDGES, LENGTHS, recipe


def packed(place: Path, lengths: dict[str, list[int]] = LENGTHS, **keys: Any) -> tuple[RunFolder, Manifest]:
    run = RunFolder(str(place))
    write_bucketed(run, lengths, EDGES, sft=("chat",))
    bring_up_to_date(balance.STAGE, recipe(**keys), run, SerialBackend())
    return run, bring_up_to_date(pack.STAGE, recipe(**keys), run, SerialBackend()).manifest


def blocks_of(run: RunFolder, manifest: Manifest, purpose: str) -> list[PlanBlock]:
    blocks = []
    for entry in manifest.facts["plans"][purpose]["blocks"]:
        uri = run.stage("pack").file(entry["file"])
        table = read_table(uri)
        assert table.schema == PLAN_SCHEMA
        assert file_checksum(uri) == entry["checksum"]
        block = PlanBlock.from_table(table)
        assert (block.first_pack, block.packs, block.pieces) == (entry["first_pack"], entry["packs"], entry["pieces"])
        blocks.append(block)
    return blocks


def test_every_token_lies_in_exactly_one_plan(tmp_path: Path) -> None:
    run, manifest = packed(tmp_path)
    corpus = TokenizedCorpus.open(run)
    tokens: Counter[int] = Counter()
    for purpose in ("pretrain", "sft", "held_out"):
        blocks = blocks_of(run, manifest, purpose)
        facts = manifest.facts["plans"][purpose]
        assert plan_hash(blocks, 512) == facts["plan_hash"]
        assert sum(block.packs for block in blocks) == facts["packs"]
        assert facts["packs"] * 512 == facts["tokens"] + facts["padding_tokens"]
        assert sum(facts["tokens_by_domain"].values()) == sum(facts["tokens_by_bucket"]) == facts["tokens"]
        for block in blocks:
            for document, length in zip(block.document.tolist(), block.length.tolist(), strict=True):
                tokens[document] += length
                domain = corpus.domains[corpus.domain[document]]
                assert (domain == "chat") == (purpose == "sft")
    expected = {d: int(n) for d, n in enumerate(corpus.length) if n and n != 5000}
    assert tokens == Counter(expected)


def test_held_out_documents_are_in_no_training_plan_and_come_longest_first(tmp_path: Path) -> None:
    lengths = {"books": [3000 + i for i in range(20)], "chat": [9], "web": [80] * 20}
    run, manifest = packed(tmp_path, lengths)
    [held_out] = blocks_of(run, manifest, "held_out")
    trained = {d for block in blocks_of(run, manifest, "pretrain") for d in block.document.tolist()}
    assert not trained & set(held_out.document.tolist())
    assert held_out.document.tolist() == [0, 1, 21, 22]
    assert held_out.length.tolist() == [512, 512, 80, 80]
    assert manifest.facts["plans"]["held_out"]["global_batch_packs"] == 1
    assert manifest.facts["plans"]["pretrain"]["documents_split"] == 18


def test_the_books_hold_what_balance_passed_on(tmp_path: Path) -> None:
    mixture = {"budget_tokens": 20_000, "weights": {"books": 3, "web": 1}, "held_out": {"share": 0}}
    run, manifest = packed(tmp_path, mixture=mixture)
    assert manifest.ledger.kept() == run.stage("balance").manifest().ledger.kept()
    assert manifest.ledger.kept().tokens == sum(manifest.facts["plans"][p]["tokens"] for p in ("pretrain", "sft"))
    assert manifest.facts["plans"]["held_out"]["packs"] == 0


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_another_plan(tmp_path: Path) -> None:
    _, first = packed(tmp_path / "a")
    _, second = packed(tmp_path / "b")
    _, other = packed(tmp_path / "c", seed=1)
    assert first.model_dump_json() == second.model_dump_json()
    assert first.facts["plans"]["pretrain"]["plan_hash"] != other.facts["plans"]["pretrain"]["plan_hash"]


def test_a_planner_that_loses_a_token_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted fault: best fit that shortens a piece."""
    honest = planner._emit

    def careless(*arguments: Any) -> PlanBlock:
        block = honest(*arguments)
        long = block.length == 512
        return PlanBlock(**{**vars(block), "length": np.where(long, 511, block.length).astype(np.int32)})

    monkeypatch.setattr(planner, "_emit", careless)
    with pytest.raises(TaskError, match="PlanAuditError: stratum"):
        packed(tmp_path)
    assert not RunFolder(str(tmp_path)).stage("pack").is_published()


MANY = {"books": [*range(900, 3300, 40)], "chat": [*range(40, 400, 6)], "web": [*range(10, 400)]}


@pytest.mark.parametrize("method", ["best_fit", "one_per_row", "pow2"])
def test_a_plan_in_stretches_is_the_same_whoever_plans_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Tasks of their own, a part of them done before a crash, or the task that writes the plan."""
    keys: dict[str, Any] = {
        "pack": {"seq_len": 512, "block_packs": 2, "global_batch_packs": 2, "method": method, "min_piece_tokens": 8},
        "mixture": {"budget_tokens": 90_000, "weights": {"books": 1, "web": 1}},
    }
    _, manifest = packed(tmp_path / "apart", MANY, **keys)
    timing = json.loads((tmp_path / "apart" / "pack" / "timing.json").read_text())
    assert list(timing["phases"]) == ["draw", "stretches", "plan"]
    assert not (tmp_path / "apart" / "pack" / "work").exists()

    honest, done = pack_stretches.plan_stretch, []

    def stopped(task: Task, folder: StageFolder) -> TaskRecord:
        if len(done) == 1:
            raise RuntimeError("the machine is gone")
        done.append(task.key)
        return honest(task, folder)

    monkeypatch.setattr(pack, "plan_stretch", stopped)
    with pytest.raises(TaskError, match="the machine is gone"):
        packed(tmp_path / "crashed", MANY, **keys)
    monkeypatch.setattr(pack, "plan_stretch", honest)
    assert packed(tmp_path / "crashed", MANY, **keys)[1].model_dump_json() == manifest.model_dump_json()

    monkeypatch.setattr(pack, "is_parallel", lambda tokens, packing: False)
    run, alone = packed(tmp_path / "alone", MANY, **keys)
    assert alone.model_dump_json() == manifest.model_dump_json()
    assert list(json.loads((tmp_path / "alone" / "pack" / "timing.json").read_text())["phases"]) == ["plan"]
    assert sum(block.packs for block in blocks_of(run, alone, "pretrain")) == alone.facts["plans"]["pretrain"]["packs"]


def test_stretches_planned_by_ray_are_those_planned_in_turn(tmp_path: Path) -> None:
    keys: dict[str, Any] = {
        "pack": {"seq_len": 512, "block_packs": 2, "global_batch_packs": 2},
        "mixture": {"budget_tokens": 90_000, "weights": {"books": 1, "web": 1}},
    }
    _, manifest = packed(tmp_path / "serial", MANY, **keys)
    run = RunFolder(str(tmp_path / "ray"))
    write_bucketed(run, MANY, EDGES, sft=("chat",))
    bring_up_to_date(balance.STAGE, recipe(**keys), run, SerialBackend())
    with open_ray(EngineSection(backend="ray", workers=2)) as backend:
        made = bring_up_to_date(pack.STAGE, recipe(**keys), run, backend).manifest
    assert made.model_dump_json() == manifest.model_dump_json()
