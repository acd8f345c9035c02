"""Verification: silent on a whole run, and each planted fault is found and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from lc_data.cli import app
from lc_data.corpus import storage
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table
from lc_data.corpus.verify import Finding, verify_run
from lc_data.packing.plan import PlanBlock, plan_hash
from lc_data.stages.chain import run_chain
from tests.small_corpus import small_recipe, write_small_corpus


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("verified")
    write_small_corpus(folder / "corpus")
    list(run_chain(small_recipe(folder / "corpus"), RunFolder(str(folder / "run")), "pack"))
    return folder / "run"


@pytest.fixture
def run(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def the_finding(run: Path) -> Finding:
    findings = verify_run(str(run))
    assert len(findings) == 1, findings
    return findings[0]


def edit_manifest(run: Path, stage: str, change: Callable[[dict], None]) -> None:
    path = run / stage / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def replace_table(run: Path, stage: str, file: str, table: pa.Table, tokens: int) -> None:
    """Put another table in the place of a file, with a manifest that agrees: only its meaning is wrong."""
    place = str(run / stage / file)
    with storage.create(place) as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)

    def change(content: dict) -> None:
        entry = next(entry for entry in (*content["shards"], *content["extra"]) if entry["file"] == file)
        entry |= {
            "bytes": Path(place).stat().st_size,
            "checksum": file_checksum(place),
            "rows": table.num_rows,
            "tokens": tokens,
        }
        for plan in content["facts"].get("plans", {}).values():
            for block in plan["blocks"]:
                if block["file"] == file:
                    block["checksum"] = entry["checksum"]

    edit_manifest(run, stage, change)


PRETRAIN = "plan/pretrain/block-00001.arrow"


def edit_plan(run: Path, file: str = PRETRAIN, **columns: Callable[[np.ndarray], None]) -> None:
    table = read_table(str(run / "pack" / file))
    for name, change in columns.items():
        values = table[name].to_numpy().copy()
        change(values)
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), pa.array(values))
    replace_table(run, "pack", file, table, int(table["length"].to_numpy().sum()))


def test_a_whole_run_has_no_findings(whole):
    assert verify_run(str(whole)) == []


def test_one_changed_byte_is_found_and_named_in_every_kind_of_file(run):
    named = [run / "bucket" / "index.arrow", run / "bucket" / "tokenizer.json", *run.glob("balance/*.arrow")]
    for kind in ("shards", "dropped", "quarantine", "plan/*"):
        named += [min(folder.iterdir()) for folder in sorted(run.glob(f"*/{kind}"))]
    assert len(named) > 10
    for path in named:
        original = path.read_bytes()
        middle = len(original) // 2
        path.write_bytes(original[:middle] + bytes([original[middle] ^ 1]) + original[middle + 1 :])
        found = the_finding(run)
        assert f"{found.stage}/{found.file}" == path.relative_to(run).as_posix()
        assert "changed" in found.problem
        path.write_bytes(original)


def test_a_missing_and_a_cut_file(run):
    place = next((run / "dedupe" / "shards").iterdir())
    place.write_bytes(place.read_bytes()[:-8])
    assert "bytes, the manifest says" in the_finding(run).problem
    place.unlink()
    assert the_finding(run) == Finding("dedupe", f"shards/{place.name}", "the file is missing")


@pytest.mark.parametrize("place", ["ingest/shards", "filter/dropped", "ingest/quarantine", "pack/plan/pretrain"])
def test_a_file_that_no_manifest_names(run, place):
    (run / place / "stray.arrow").write_bytes(b"")
    stage, _, below = place.partition("/")
    assert the_finding(run) == Finding(stage, f"{below}/stray.arrow", "the manifest does not name this file")


def test_what_killed_writers_left_is_no_finding(run):
    (run / "ingest" / "shards" / "00000.arrow.tmp-0123456789ab").write_bytes(b"half")
    assert verify_run(str(run)) == []


def test_a_manifest_that_cannot_be_read(run):
    place = run / "filter" / "manifest.json"
    place.write_text(place.read_text()[:-40])
    found = the_finding(run)
    assert (found.stage, found.file) == ("filter", "manifest.json")


def test_a_missing_manifest_before_others(run):
    (run / "filter" / "manifest.json").unlink()
    assert "does not exist" in the_finding(run).problem


def test_a_ledger_that_does_not_balance(run):
    def lose_one(content: dict) -> None:
        content["ledger"]["domains"]["web"]["in"]["documents"] += 1

    edit_manifest(run, "filter", lose_one)
    problems = [finding.problem for finding in verify_run(str(run))]
    assert any("does not balance" in problem and "'web'" in problem for problem in problems)
    assert any("ingest passed on" in problem for problem in problems)


def test_a_ledger_that_balances_and_says_another_reason_than_the_rows(run):
    def rename(content: dict) -> None:
        dropped = content["ledger"]["domains"]["web"]["dropped"]
        reason = next(iter(dropped))
        dropped["another reason"] = dropped.pop(reason)

    edit_manifest(run, "filter", rename)
    problems = [finding.problem for finding in verify_run(str(run))]
    assert len(problems) == 2
    assert all("'web'" in problem and "dropped for" in problem for problem in problems)


def test_a_ledger_that_moves_documents_between_domains(run):
    def move(content: dict) -> None:
        web, books = (content["ledger"]["domains"][name] for name in ("web", "books"))
        for account, step in ((web, 1), (books, -1)):
            account["in"]["documents"] += step
            account["kept"]["documents"] += step

    edit_manifest(run, "dedupe", move)
    problems = [finding.problem for finding in verify_run(str(run))]
    assert [problem.split(":")[0] for problem in problems] == ["domain 'books'", "domain 'web'"]


def test_a_dropped_list_that_was_taken_out_of_the_manifest(run):
    def forget(content: dict) -> None:
        for entry in content["dropped"]:
            (run / "dedupe" / entry["file"]).unlink()
        content["dropped"] = []

    edit_manifest(run, "dedupe", forget)
    findings = verify_run(str(run))
    assert findings
    assert all("dropped for" in finding.problem for finding in findings)


def test_another_upstream(run):
    edit_manifest(run, "dedupe", lambda content: content.update(fingerprint="0" * 32))
    found = the_finding(run)
    assert found.stage == "bucket"
    assert "is now " + "0" * 32 in found.problem


def test_an_entry_named_twice_and_wrong_counts(run):
    edit_manifest(run, "ingest", lambda content: content["shards"].append(content["shards"][0]))
    assert "names this file 2 times" in verify_run(str(run))[0].problem


def test_rows_that_are_miscounted(run):
    edit_manifest(run, "ingest", lambda content: content["shards"][0].update(rows=1, text_bytes=2))
    problems = [finding.problem for finding in verify_run(str(run))]
    assert "manifest says 1" in problems[0]
    assert "manifest says 2" in problems[1]


def test_an_index_that_disagrees_with_the_shards(run):
    table = read_table(str(run / "bucket" / "index.arrow"))
    length = table["length"].to_numpy().copy()
    length[3] += 1
    length[4] -= 1
    table = table.set_column(0, table.schema.field("length"), pa.array(length))
    replace_table(run, "bucket", "index.arrow", table, int(length.sum()))
    findings = verify_run(str(run))
    assert any(finding.stage == "bucket" and "not those of index.arrow" in finding.problem for finding in findings)


def test_an_index_with_a_wrong_bucket(run):
    table = read_table(str(run / "bucket" / "index.arrow"))
    bucket = table["bucket"].to_numpy().copy()
    bucket[5] += 1
    table = table.set_column(2, table.schema.field("bucket"), pa.array(bucket))
    replace_table(run, "bucket", "index.arrow", table, int(table["length"].to_numpy().sum()))
    findings = verify_run(str(run))
    assert "document 5" in findings[0].problem
    assert "bucket" in findings[0].problem


def test_a_piece_outside_its_document(run):
    edit_plan(run, start=lambda values: values.__setitem__(2, values[2] + 100_000))
    assert any("piece outside its document" in finding.problem for finding in verify_run(str(run)))


def test_a_document_that_is_not_there(run):
    edit_plan(run, document=lambda values: values.__setitem__(2, 1 << 40))
    assert "not in the corpus" in the_finding(run).problem


def test_an_overfull_pack(run):
    edit_plan(run, pack=lambda values: values.__setitem__(slice(None), values[0]))
    assert any("holds more than 1024 tokens" in finding.problem for finding in verify_run(str(run)))


def test_packs_with_a_gap(run):
    edit_plan(
        run, pack=lambda values: values.__setitem__(slice(len(values) // 2, None), values[len(values) // 2 :] + 1)
    )
    assert any("not numbered one after the other" in finding.problem for finding in verify_run(str(run)))


def test_spans_out_of_order(run):
    edit_plan(run, span=lambda values: values.__iadd__(1))
    assert "attention spans out of order" in the_finding(run).problem


def test_a_plan_that_is_valid_and_another_one(run):
    table = read_table(str(run / "pack" / "plan/sft/block-00000.arrow"))
    order = np.arange(table.num_rows)
    order[[0, 1]] = [1, 0]
    swapped = table.take(order).set_column(5, table.schema.field("span"), table["span"])
    replace_table(run, "pack", "plan/sft/block-00000.arrow", swapped, int(table["length"].to_numpy().sum()))
    found = the_finding(run)
    assert "plan sft: its pieces have the hash" in found.problem


def test_a_held_out_document_in_training(run):
    held = read_table(str(run / "pack" / "plan/held_out/block-00000.arrow"))
    document, length = held["document"][-1].as_py(), held["length"][-1].as_py()
    table = read_table(str(run / "pack" / PRETRAIN))
    row = int(np.flatnonzero((table["length"].to_numpy() >= length) & (table["part"].to_numpy() == 0))[0])
    edit_plan(
        run,
        document=lambda values: values.__setitem__(row, document),
        length=lambda values: values.__setitem__(row, length),
    )

    def rehash(content: dict) -> None:
        plan = content["facts"]["plans"]["pretrain"]
        blocks = [PlanBlock.from_table(read_table(str(run / "pack" / block["file"]))) for block in plan["blocks"]]
        plan["plan_hash"] = plan_hash(blocks, plan["seq_len"])

    edit_manifest(run, "pack", rehash)
    assert "holds 1 held-out documents" in the_finding(run).problem


def test_a_stage_that_was_begun_and_not_finished(run):
    (run / "pack" / "manifest.json").unlink()
    (run / "pack" / "tasks").mkdir()
    assert the_finding(run) == Finding("pack", "", "was begun and not finished: the command that began it goes on")


def test_a_run_that_ends_early_is_verified_as_far_as_it_goes(run):
    shutil.rmtree(run / "pack")
    shutil.rmtree(run / "balance")
    assert verify_run(str(run)) == []


def test_an_empty_folder(tmp_path):
    assert "holds no published stage" in the_finding(tmp_path).problem


def test_the_command_exits_with_1_and_names_what_is_wrong(run):
    assert CliRunner().invoke(app, ["verify", str(run)]).exit_code == 0
    (run / "recipe.yaml").unlink()
    result = CliRunner().invoke(app, ["verify", str(run)])
    assert result.exit_code == 1
    assert "recipe.yaml: the run's resolved recipe is missing" in result.output
