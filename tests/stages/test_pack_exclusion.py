"""Take-down through the stages: what is excluded leaves, everything else stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lc_data import PackedDataset
from lc_data.corpus.lineage import LineageError
from lc_data.corpus.manifest import Manifest
from lc_data.corpus.plan import PackPlan
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.corpus.verify_plan import verify_plans
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.recipe.errors import RecipeError
from lc_data.stages import pack
from lc_data.streaming.ledger import pack_hash
from lc_data.streaming.state import StreamStateError
from tests.stages.test_balance import recipe
from tests.stages.test_pack import blocks_of, packed

LENGTHS = {
    "books": [*range(900, 3300, 40)],
    "chat": [*range(40, 400, 6)],
    "web": [*range(10, 400)],
}
KEYS: dict[str, Any] = {"mixture": {"budget_tokens": 90_000, "weights": {"books": 1, "web": 1}}}


def packs_of(run: RunFolder, manifest: Manifest, purpose: str) -> dict[int, list[tuple[int, ...]]]:
    packs: dict[int, list[tuple[int, ...]]] = {}
    for block in blocks_of(run, manifest, purpose):
        for number, *rest in zip(*(column.tolist() for column in vars(block).values()), strict=True):
            packs.setdefault(number, []).append(tuple(rest))
    return packs


def repack(run: RunFolder, **keys: Any) -> Manifest:
    return bring_up_to_date(pack.STAGE, recipe(**KEYS, **keys), run, SerialBackend()).manifest


@pytest.mark.parametrize("method", ["best_fit", "pow2"])
def test_excluding_one_percent_changes_only_the_packs_that_held_them(tmp_path: Path, method: str) -> None:
    section = {"seq_len": 512, "block_packs": 16, "global_batch_packs": 4, "min_piece_tokens": 8}
    shape = {"pack": section | {"method": method}}
    run, before = packed(tmp_path, LENGTHS, **KEYS, **shape)
    old = {purpose: packs_of(run, before, purpose) for purpose in ("pretrain", "sft", "held_out")}
    corpus = TokenizedCorpus.open(run)
    gone = set(range(7, corpus.document_count, 100))
    after = repack(run, exclude={"ids": [corpus.document_id(document) for document in gone]}, **shape)
    assert after.upstream == before.upstream
    changed = 0
    for purpose, packs in old.items():
        new, taken = packs_of(run, after, purpose), after.facts["plans"][purpose]["take_down"]
        held = {number for number, rows in packs.items() if gone & {row[0] for row in rows}}
        assert {number for number in packs if packs[number] != new[number]} == held
        assert new.keys() == packs.keys()
        assert not gone & {row[0] for rows in new.values() for row in rows}
        assert taken["packs_changed"] == len(held)
        changed += len(held)
    assert changed >= 3
    assert after.facts["excluded"]["documents"] == len(gone)
    drops = sum(account.dropped["excluded"].tokens for account in after.ledger.domains.values() if account.dropped)
    assert drops == sum(after.facts["plans"][purpose]["take_down"]["removed_tokens"] for purpose in ("pretrain", "sft"))
    assert after.facts["plans"]["pretrain"]["take_down"]["replaced_tokens"] > 0
    assert list(verify_plans(run)) == []
    assert repack(run, **shape) == before


def test_a_plan_that_holds_an_excluded_document_is_found(tmp_path: Path) -> None:
    run, _ = packed(tmp_path, LENGTHS, **KEYS)
    document = next(iter(packs_of(run, run.stage("pack").manifest(), "pretrain").values()))[0][0]
    plain = run.stage("pack").manifest()
    repack(run, exclude={"ids": [TokenizedCorpus.open(run).document_id(document)]})
    excluded = Path(run.stage("pack").file("excluded.arrow")).read_bytes()
    assert repack(run) == plain
    Path(run.stage("pack").file("excluded.arrow")).write_bytes(excluded)
    [(file, problem)] = verify_plans(run)
    assert file == "manifest.json"
    assert problem.startswith("plan pretrain: holds 1 excluded documents")


def test_a_held_out_document_can_be_taken_down(tmp_path: Path) -> None:
    run, before = packed(tmp_path, LENGTHS, **KEYS)
    held = packs_of(run, before, "held_out")
    first = held[0][0][0]
    after = repack(run, exclude={"ids": [TokenizedCorpus.open(run).document_id(first)]})
    new = packs_of(run, after, "held_out")
    assert [new[number] == held[number] for number in held] == [number > 0 for number in held]
    assert after.facts["plans"]["pretrain"]["plan_hash"] == before.facts["plans"]["pretrain"]["plan_hash"]


def test_ids_come_from_a_file_whose_contents_count(tmp_path: Path) -> None:
    run, _ = packed(tmp_path / "run", LENGTHS, **KEYS)
    ids = tmp_path / "ids.txt"
    ids.write_text("web-0-3\n\n web-1-5 \n")
    exclude = {"ids_file": str(ids)}
    assert repack(run, exclude=exclude).facts["excluded"]["documents"] == 2
    again = recipe(**KEYS, exclude=exclude)
    assert not bring_up_to_date(pack.STAGE, again, run, SerialBackend()).ran
    ids.write_text("web-0-3\n")
    assert repack(run, exclude=exclude).facts["excluded"]["documents"] == 1
    ids.unlink()
    with pytest.raises(RecipeError, match=r"exclude\.ids_file: there is no file"):
        pack.STAGE.check(again)


def test_an_id_that_never_was_is_an_error(tmp_path: Path) -> None:
    run, _ = packed(tmp_path, LENGTHS, **KEYS)
    with pytest.raises(RecipeError, match="never had 2 of these documents: 'web-0-x', 'web-7-3'; an id is"):
        repack(run, exclude={"ids": ["web-0-3", "web-0-x", "web-7-3"]})


@pytest.mark.parametrize("mask", ["document", "none"])
def test_a_stream_goes_on_after_a_take_down_that_changed_nothing_it_had_seen(tmp_path: Path, mask: str) -> None:
    shape = {"pack": {"seq_len": 512, "block_packs": 16, "global_batch_packs": 4, "mask": mask}}
    run, before = packed(tmp_path, LENGTHS, **KEYS, **shape)
    old = PackedDataset(tmp_path)
    hashes = [pack_hash(row) for row in old]
    packs = packs_of(run, before, "pretrain")
    document = packs[20][0][0]
    first = min(number for number, rows in packs.items() if document in {row[0] for row in rows})
    states = [old.state_at(consumed) for consumed in (first, first + 1)]
    after = repack(run, exclude={"ids": [TokenizedCorpus.open(run).document_id(document)]}, **shape)
    new = PackedDataset(tmp_path)
    assert after.facts["plans"]["pretrain"]["plan_hash"] != before.facts["plans"]["pretrain"]["plan_hash"]
    plan = PackPlan.open(run, "pretrain")
    changed = plan.changed_since(before.facts["plans"]["pretrain"]["plan_hash"], len(hashes)).tolist()
    assert changed[0] == first
    assert len(changed) == after.facts["plans"]["pretrain"]["take_down"]["packs_changed"]
    assert [number for number, seen in enumerate(hashes) if pack_hash(new.pack(number)) != seen] == changed
    new.load_state_dict(states[0])
    assert [row["pack_index"] for row in new] == list(range(first, new.packs))
    with pytest.raises(StreamStateError, match=rf"1 of these packs have changed \({first}\)"):
        new.load_state_dict(states[1])


def test_states_outlive_every_plan_that_the_run_has_had(tmp_path: Path) -> None:
    """A second take-down knows the states of the first, and taking it back knows those of both."""
    run, _ = packed(tmp_path, LENGTHS, **KEYS)
    corpus, packs = TokenizedCorpus.open(run), packs_of(run, run.stage("pack").manifest(), "pretrain")
    ids = [corpus.document_id(packs[number][0][0]) for number in (30, 20)]
    before = {number: list(rows) for number, rows in packs.items()}
    exclusions: list[dict[str, Any]] = [{}, {"exclude": {"ids": ids[:1]}}, {"exclude": {"ids": ids}}]
    states, contents = [], []
    for keys in exclusions:
        manifest = repack(run, **keys)
        states.append(PackedDataset(tmp_path).state_at(0))
        contents.append(packs_of(run, manifest, "pretrain"))
    assert contents[0] == before
    for now in (2, 0, 1):
        repack(run, **exclusions[now])
        dataset = PackedDataset(tmp_path)
        for then in range(3):
            differ = [number for number in before if contents[then][number] != contents[now][number]]
            for consumed in (0, 20, 21, 30, 31, len(before)):
                seen = [number for number in differ if number < consumed]
                state = states[then] | {"consumed": consumed}
                if not seen:
                    dataset.load_state_dict(state)
                    assert dataset.state_at(consumed)["consumed"] == dataset.state_dict()["consumed"] == consumed
                    continue
                with pytest.raises(StreamStateError, match=rf"{len(seen)} of these packs have changed \({seen[0]}"):
                    dataset.load_state_dict(state)
    assert contents[1] != contents[2]


def test_hashes_of_packs_that_changed_on_disk_are_named(tmp_path: Path) -> None:
    run, _ = packed(tmp_path, LENGTHS, **KEYS)
    state = PackedDataset(tmp_path).state_at(4)
    document = packs_of(run, run.stage("pack").manifest(), "pretrain")[20][0][0]
    repack(run, exclude={"ids": [TokenizedCorpus.open(run).document_id(document)]})
    PackedDataset(tmp_path).load_state_dict(state)
    path = tmp_path / "pack" / "lineage" / f"pretrain-{state['plan_hash']}.arrow"
    data = bytearray(path.read_bytes())
    at = data.index(read_table(str(path))["pack_hash"].to_numpy()[:4].tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(LineageError, match=f"{path.name} changed on disk"):
        PackedDataset(tmp_path).load_state_dict(state)
    path.unlink()
    with pytest.raises(StreamStateError, match="plan_hash differs"):
        PackedDataset(tmp_path).load_state_dict(state)
