"""The mask and positions of a recipe reach the plan, its hash, its rows, and whoever verifies it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lc_data import PackedDataset
from lc_data.corpus.manifest import Manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.verify_plan import verify_plans
from lc_data.streaming.collate import join_packs
from lc_data.training.batch import check_pack
from tests.stages.test_pack import blocks_of, packed

SHAPE = {"seq_len": 512, "block_packs": 4, "global_batch_packs": 2}


def switched(place: Path, **switches: Any) -> tuple[RunFolder, Manifest]:
    return packed(place, pack=SHAPE | switches)


@pytest.mark.parametrize("positions", ["reset", "continuous"])
def test_a_plan_without_masks_holds_the_same_pieces_in_one_span(tmp_path: Path, positions: str) -> None:
    _, plain = packed(tmp_path / "plain")
    run, manifest = switched(tmp_path / "free", mask="none", positions=positions)
    facts, before = manifest.facts["plans"]["pretrain"], plain.facts["plans"]["pretrain"]
    assert (facts["mask"], facts["positions"]) == ("none", positions)
    assert facts["plan_hash"] != before["plan_hash"]
    assert {key: facts[key] for key in ("packs", "pieces", "tokens")} == {
        k: before[k] for k in ("packs", "pieces", "tokens")
    }
    assert not any(block.span.any() for block in blocks_of(run, manifest, "pretrain"))
    assert any(block.span.any() for block in blocks_of(run, manifest, "held_out"))
    assert manifest.facts["plans"]["held_out"]["plan_hash"] == plain.facts["plans"]["held_out"]["plan_hash"]
    assert list(verify_plans(run)) == []


def test_positions_alone_change_the_hash(tmp_path: Path) -> None:
    manifests = [switched(tmp_path / way, positions=way)[1] for way in ("reset", "continuous")]
    reset, runs_on = (manifest.facts["plans"]["pretrain"] for manifest in manifests)
    assert reset["plan_hash"] != runs_on["plan_hash"]
    assert [b["checksum"] for b in reset["blocks"]] == [b["checksum"] for b in runs_on["blocks"]]


def test_rows_without_masks_are_streamed_and_joined_with_their_pieces(tmp_path: Path) -> None:
    switched(tmp_path, mask="none", positions="continuous")
    rows = list(PackedDataset(tmp_path))
    for row in rows:
        check_pack(row, 512, "continuous")
        pieces = row["piece_cu_seqlens"].diff().tolist()
        assert (len(row["cu_seqlens"]) - 1) == 1 + int(row["document_ids"][-1] < 0)
        assert sum(pieces) == 512
        assert (
            len(pieces) == len(row["piece_document_ids"]) == len(row["piece_domain_ids"]) == len(row["piece_part_ids"])
        )
    assert max(len(row["piece_document_ids"]) for row in rows) > 3
    joined = join_packs(rows[:2])
    first = len(rows[0]["piece_document_ids"])
    assert joined["piece_cu_seqlens"][first] == 512
    assert torch.equal(joined["piece_document_ids"][first:], rows[1]["piece_document_ids"])
    assert joined["piece_cu_seqlens"][-1] == joined["cu_seqlens"][-1] == 1024


@pytest.mark.parametrize(("made", "said"), [("document", "none"), ("none", "document")])
def test_a_plan_with_another_mask_than_it_says_is_found(tmp_path: Path, made: str, said: str) -> None:
    run, _ = switched(tmp_path, mask=made)
    path = Path(run.stage("pack").manifest_uri)
    manifest = json.loads(path.read_text())
    manifest["facts"]["plans"]["pretrain"]["mask"] = said
    path.write_text(json.dumps(manifest))
    problems = [problem for _, problem in verify_plans(run)]
    assert problems
    assert all(f"against the plan's mask {said!r}" in problem for problem in problems)


def test_other_positions_than_were_planned_are_found(tmp_path: Path) -> None:
    run, _ = switched(tmp_path)
    path = Path(run.stage("pack").manifest_uri)
    manifest = json.loads(path.read_text())
    manifest["facts"]["plans"]["pretrain"]["positions"] = "continuous"
    path.write_text(json.dumps(manifest))
    assert any("its pieces have the hash" in problem for _, problem in verify_plans(run))
