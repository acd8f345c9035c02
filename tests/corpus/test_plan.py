from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from lc_data.corpus.manifest import ManifestError, read_manifest, write_manifest
from lc_data.corpus.plan import PackPlan, PlanError
from lc_data.corpus.run import RunFolder
from lc_data.packing.plan import PlanBlock, plan_hash
from tests.streaming.packed_run import PackedRun, next_fit, random_documents


@pytest.fixture
def packed(tmp_path: Path) -> PackedRun:
    made = PackedRun(tmp_path / "run", random_documents(40, seed=1, longest=60))
    made.write_bucket()
    made.write_plan("pretrain", 24, next_fit(made.lengths, 24, packs_per_block=6))
    return made


def rows(block: PlanBlock) -> list[dict]:
    return block.to_table().to_pylist()


def test_the_pieces_of_a_pack_are_its_rows(packed: PackedRun) -> None:
    plan = PackPlan.open(packed.run, "pretrain")
    everything = [row for block in packed.blocks["pretrain"] for row in rows(block)]
    assert len(plan.facts.blocks) > 2
    assert plan.packs == everything[-1]["pack"] + 1
    for pack in np.random.default_rng(0).permutation(plan.packs).tolist():
        assert rows(plan.pieces(pack)) == [row for row in everything if row["pack"] == pack]


def test_a_document_is_found_in_every_pack_that_holds_it(packed: PackedRun) -> None:
    plan = PackPlan.open(packed.run, "pretrain")
    everything = [row for block in packed.blocks["pretrain"] for row in rows(block)]
    for document in range(len(packed.documents)):
        mine = [row for row in everything if row["document"] == document]
        assert rows(plan.pieces_of(document)) == mine
        assert plan.packs_of(document).tolist() == sorted({row["pack"] for row in mine})
    assert plan.packs_of(10**6).tolist() == []


def test_its_blocks_have_the_hash_that_the_manifest_records(packed: PackedRun) -> None:
    plan = pickle.loads(pickle.dumps(PackPlan.open(packed.run, "pretrain")))
    assert plan_hash(plan.blocks(), plan.seq_len) == plan.plan_hash


def test_a_plan_without_packs_is_a_plan(packed: PackedRun) -> None:
    packed.write_plan("held_out", 24, [])
    plan = PackPlan.open(packed.run, "held_out")
    assert (plan.packs, list(plan.blocks()), plan.packs_of(0).tolist()) == (0, [], [])
    with pytest.raises(IndexError, match="pack 0 of a plan with 0 packs"):
        plan.pieces(0)


def test_what_is_missing_is_named(packed: PackedRun, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no plan 'sft': it has pretrain"):
        PackPlan.open(packed.run, "sft")
    with pytest.raises(ManifestError, match="has not been run to its end"):
        PackPlan.open(RunFolder(str(tmp_path / "other")), "pretrain")
    (packed.folder / "pack/plan/pretrain/block-00001.arrow").unlink()
    with pytest.raises(PlanError, match=r"block-00001\.arrow, which the manifest names, does not exist"):
        PackPlan.open(packed.run, "pretrain").pieces(6)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda facts: facts["blocks"].pop(1), r"block-00002\.arrow begins at pack 12, not 6"),
        (lambda facts: facts["blocks"].pop(), r"has \d+ packs, its blocks \d+"),
        (lambda facts: facts.pop("plan_hash"), "plan_hash"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(packed: PackedRun, change, named: str) -> None:
    uri = packed.run.stage("pack").manifest_uri
    manifest = read_manifest(uri)
    change(manifest.facts["plans"]["pretrain"])
    write_manifest(uri, manifest)
    with pytest.raises(PlanError, match=named):
        PackPlan.open(packed.run, "pretrain")


def test_a_corpus_made_again_between_is_noticed_through_balance(packed: PackedRun) -> None:
    """pack <- balance <- bucket: the plan's own upstream may still fit when balance's does not."""
    pack = packed.run.stage("pack").manifest()
    balance = pack.model_copy(update={"stage": "balance", "fingerprint": "b" * 32, "upstream": {"bucket": "0" * 32}})
    write_manifest(packed.run.stage("balance").manifest_uri, balance)
    write_manifest(packed.run.stage("pack").manifest_uri, pack.model_copy(update={"upstream": {"balance": "b" * 32}}))
    with pytest.raises(PlanError, match="bucket was made again after balance"):
        PackPlan.open(packed.run, "pretrain")
