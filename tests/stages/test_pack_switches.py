"""The mask and positions of a recipe reach the plan, its hash, its rows, and whoever verifies it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lc_data import PackedDataset
from lc_data.corpus.manifest import Manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.verify_plan import verify_plans
from lc_data.exports.export import ExportError, export_plan
from lc_data.packing.plan import PlanBlock
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.packing import PackSection
from lc_data.stages import pack
from lc_data.streaming.collate import join_packs
from lc_data.streaming.varlen import BoundaryError, varlen_batch
from lc_data.training.batch import PackError, check_pack, to_device
from lc_data.training.model import CausalLM
from tests.stages.test_balance import recipe
from tests.stages.test_pack import blocks_of, packed
from tests.training.synthetic import small_config

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


ANCHOR = {"mask": "anchor", "anchor_token": 3}


@pytest.mark.parametrize("positions", ["reset", "continuous"])
@pytest.mark.parametrize("method", ["best_fit", "concat", "one_per_row"])
def test_rows_with_an_anchor_begin_with_it_and_hold_one_token_less(tmp_path: Path, method: str, positions: str) -> None:
    run, manifest = switched(tmp_path, **ANCHOR, positions=positions, method=method)
    facts = manifest.facts["plans"]["pretrain"]
    assert (facts["mask"], facts["anchor_id"], facts["anchor_tokens"]) == ("anchor", 3, facts["packs"])
    assert facts["packs"] * 512 == facts["tokens"] + facts["padding_tokens"] + facts["anchor_tokens"]
    assert manifest.facts["plans"]["held_out"]["mask"] == "document"
    assert "anchor_id" not in manifest.facts["plans"]["held_out"]
    dataset = PackedDataset(tmp_path)
    assert dataset.mask == "anchor"
    plan = {n: pieces for block in blocks_of(run, manifest, "pretrain") for n, pieces in rows_by_pack(block)}
    for row in dataset:
        check_pack(row, 512, positions)
        pieces = plan[row["pack_index"]]
        used = 1 + sum(pieces["length"])
        assert (row["input_ids"][0], row["labels"][0], row["labels"][1], row["position_ids"][0]) == (3, -100, -100, 0)
        assert row["cu_seqlens"].tolist() == sorted({0, 1, *np.cumsum([1, *pieces["length"]]).tolist(), 512})
        assert row["document_ids"].tolist() == [-2, *pieces["document"], *[-1] * (used < 512)]
        begins = row["position_ids"][row["cu_seqlens"][1 : 1 + len(pieces["length"])].long()]
        expected = row["cu_seqlens"][1 : 1 + len(pieces["length"])].tolist()
        assert begins.tolist() == ([1] * len(pieces["length"]) if positions == "reset" else expected)
        assert row["max_seqlen"] == max([1, *pieces["length"], 512 - used])
    assert list(verify_plans(run)) == []
    plain = switched(tmp_path / "plain", positions=positions, method=method)[1].facts["plans"]["pretrain"]
    assert plain["plan_hash"] != facts["plan_hash"]


def rows_by_pack(block: PlanBlock) -> Iterator[tuple[int, dict[str, list[int]]]]:
    for number in range(block.first_pack, block.first_pack + block.packs):
        rows = block.take(block.rows_of(number))
        yield number, {"length": rows.length.tolist(), "document": rows.document.tolist()}


def test_another_anchor_is_another_plan_of_the_same_pieces(tmp_path: Path) -> None:
    plans = [
        switched(tmp_path / str(token), mask="anchor", anchor_token=token)[1].facts["plans"]["pretrain"]
        for token in (3, 4)
    ]
    assert plans[0]["plan_hash"] != plans[1]["plan_hash"]
    assert [b["checksum"] for b in plans[0]["blocks"]] == [b["checksum"] for b in plans[1]["blocks"]]


def test_anchors_are_found_by_name_and_refused_with_a_fix(tmp_path: Path) -> None:
    special = [{"id": 0, "content": "<|endoftext|>"}, {"id": 7, "content": "<|anchor|>"}]
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "tokenizer.json").write_text(json.dumps({"added_tokens": special}))
    _, manifest = switched(tmp_path, mask="anchor", anchor_token="<|anchor|>")
    assert manifest.facts["plans"]["pretrain"]["anchor_id"] == 7
    with pytest.raises(RecipeError, match=r"'<\|ancor\|>' is no special token.*<\|anchor\|>"):
        switched(tmp_path, mask="anchor", anchor_token="<|ancor|>")
    with pytest.raises(RecipeError, match=r"no BOS before documents: name one .* '<\|endoftext\|>'"):
        switched(tmp_path, mask="anchor")
    with pytest.raises(RecipeError, match="1000 is outside the vocabulary: its last id is 999"):
        switched(tmp_path, mask="anchor", anchor_token=1000)
    with pytest.raises(RecipeError, match=r"tokenizer\.bos is null: name a special token with pack\.anchor_token"):
        pack.STAGE.check(recipe(pack=SHAPE | {"mask": "anchor"}))
    with pytest.raises(RecipeError, match=r"none of tokenizer\.train\.special_tokens"):
        pack.STAGE.check(recipe(pack=SHAPE | {"mask": "anchor", "anchor_token": "<s>"}))
    with pytest.raises(ValidationError, match="anchor_token is for mask: anchor"):
        PackSection(anchor_token=3)
    with pytest.raises(ValidationError, match="take method best_fit"):
        PackSection(mask="anchor", method="pow2")


def test_an_anchor_is_refused_where_nobody_would_heed_it(tmp_path: Path) -> None:
    switched(tmp_path, **ANCHOR)
    rows = list(PackedDataset(tmp_path))
    with pytest.raises(BoundaryError, match=r"these rows have an anchor.*mask: document"):
        varlen_batch(rows[0])
    with pytest.raises(ExportError, match=r"begin with an anchor.*mask: document to export"):
        export_plan(str(tmp_path), "pretrain", "hf-parquet", str(tmp_path / "out"))
    joined = join_packs(rows[:2])
    segments = len(rows[0]["document_ids"])
    assert joined["document_ids"][segments] == -2
    assert joined["cu_seqlens"][segments : segments + 2].tolist() == [512, 513]


def test_the_model_is_told_of_an_anchor_and_its_documents_do_not_see_one_another(tmp_path: Path) -> None:
    """Exchanging a document moves no logits but its own; exchanging the anchor moves those of every document."""
    switched(tmp_path, **ANCHOR, positions="continuous")
    row = next(row for row in PackedDataset(tmp_path) if (row["document_ids"] >= 0).sum() > 2)
    torch.manual_seed(0)
    model = CausalLM(small_config(vocab_size=1000)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ends = row["cu_seqlens"].tolist()

    def moved(begin: int, end: int) -> list[bool]:
        """Which segments' logits notice that some tokens are others."""
        other = row | {"input_ids": row["input_ids"].clone()}
        other["input_ids"][begin:end] = (other["input_ids"][begin:end] + 17) % 1000
        with torch.no_grad():
            one, two = (model(**to_device(each, torch.device("cpu"))) for each in (row, other))
        off = (one - two).abs().amax(dim=1)
        return [bool(off[a:b].max() > 1e-4) for a, b in pairwise(ends)]

    assert to_device(row, torch.device("cpu"))["anchored"] is True
    assert moved(ends[1], ends[2]) == [False, True, *[False] * (len(ends) - 3)]
    assert all(moved(0, 1)[:3])


def test_rows_whose_anchor_is_not_one_token_are_refused(tmp_path: Path) -> None:
    switched(tmp_path, **ANCHOR)
    row = PackedDataset(tmp_path).pack(0)
    wide = row | {"cu_seqlens": row["cu_seqlens"].clone()}
    wide["cu_seqlens"][1] = 2
    with pytest.raises(PackError, match="its anchor has 2 tokens, not one"):
        check_pack(wide, 512)
    shifted = row | {"position_ids": row["position_ids"].clone()}
    shifted["position_ids"][1:] -= 1
    with pytest.raises(PackError, match="positions do not restart"):
        check_pack(shifted, 512)


def test_a_plan_whose_anchor_is_lost_is_found(tmp_path: Path) -> None:
    run, _ = switched(tmp_path, **ANCHOR)
    path = Path(run.stage("pack").manifest_uri)
    text = path.read_text()
    for change, found in (({"anchor_id": 4}, "its pieces have the hash"), ({"anchor_id": 5000}, "outside the vocab"),
                          ({"anchor_id": None}, "has mask 'anchor' and anchor token None")):  # fmt: skip
        manifest = json.loads(text)
        manifest["facts"]["plans"]["pretrain"] |= change
        path.write_text(json.dumps(manifest))
        assert any(found in problem for _, problem in verify_plans(run))
