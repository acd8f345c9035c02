from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lc_data.corpus import storage
from lc_data.corpus.document import DOCUMENT_SCHEMA, QUARANTINE_SCHEMA
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.manifest import Manifest
from lc_data.corpus.readers import intake, jsonl
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import StageReport, bring_up_to_date
from lc_data.engine.task import TaskError
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.stages.ingest import STAGE, QuarantineLimitError
from tests.corpus.readers.reading import COMPRESS, to_lines


def make_recipe(*sources: dict[str, Any], **ingest: Any) -> Recipe:
    content = {"name": "r", "sources": sources, "ingest": ingest, "tokenizer": {"train": {}}}
    return Recipe.model_validate(content)


def jsonl_source(path: Path | str, name: str = "web", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "jsonl", "domain": name, "paths": [str(path)], **more}


def ingest(recipe: Recipe, run: Path) -> StageReport:
    return bring_up_to_date(STAGE, recipe, RunFolder(str(run)), SerialBackend())


def read_shards(run: Path, manifest: Manifest) -> list[dict[str, Any]]:
    tables = [read_table(str(run / "ingest" / entry.file)) for entry in manifest.shards]
    return [row for table in tables for row in table.to_pylist()]


def read_quarantine(run: Path, manifest: Manifest) -> list[dict[str, Any]]:
    tables = [read_table(str(run / "ingest" / entry.file)) for entry in manifest.quarantine]
    return [row for table in tables for row in table.to_pylist()]


def files_of(run: Path) -> dict[str, bytes]:
    stage = run / "ingest"
    return {
        str(path.relative_to(stage)): path.read_bytes()
        for path in sorted(stage.rglob("*"))
        if path.is_file() and path.name != "timing.json"
    }


def put_corpus(root: Path) -> None:
    """Three plain files, two compressed ones, and some faults."""
    for number in range(3):
        rows = [{"id": f"{number}-{row}", "text": f"text {row} " * (row + 1)} for row in range(40)]
        (root / f"{number}.jsonl").write_bytes(to_lines(*rows))
    rows = [{"text": f"line {row} 行 " * 50} for row in range(60)]
    (root / "3.jsonl.zst").write_bytes(COMPRESS[".zst"](to_lines(*rows)))
    (root / "4.jsonl.gz").write_bytes(
        COMPRESS[".gz"](to_lines({"id": "0-7", "text": "again"}, {"id": "g", "text": "g"}))
    )
    (root / "5.jsonl").write_bytes(
        b'{"text": "\xff"}\nno json\n' + to_lines({"id": "g", "text": "again"}, {"text": None})
    )


def test_a_stage_is_complete_and_up_to_date(tmp_path: Path) -> None:
    put_corpus(tmp_path)
    recipe = make_recipe(jsonl_source(tmp_path), task_bytes=4000, shard_bytes=65536)
    report = ingest(recipe, tmp_path / "run")
    manifest = report.manifest
    rows = read_shards(tmp_path / "run", manifest)
    assert len(rows) == 181
    assert read_table(str(tmp_path / "run" / "ingest" / manifest.shards[0].file)).schema == DOCUMENT_SCHEMA
    assert len({row["id"] for row in rows}) == 181
    quarantine = read_quarantine(tmp_path / "run", manifest)
    assert sorted((row["address"], row["reason"]) for row in quarantine) == [
        ("4.jsonl.gz@0", "duplicated id"),
        ("5.jsonl@0", "invalid UTF-8"),
        ("5.jsonl@14", "broken JSON"),
        ("5.jsonl@22", "duplicated id"),
        (f"5.jsonl@{22 + len(to_lines({'id': 'g', 'text': 'again'}))}", "null text"),
    ]
    account = manifest.ledger.domains["web"]
    assert (account.came_in.documents, account.kept.documents) == (186, 181)
    assert account.quarantined["duplicated id"].documents == 2
    assert manifest.facts == {"purposes": {"web": "pretrain"}}
    assert not ingest(recipe, tmp_path / "run").ran
    named = {entry.file for entry in manifest.files()} | {"manifest.json"}
    assert set(files_of(tmp_path / "run")) == named
    for entry in manifest.files():
        assert file_checksum(str(tmp_path / "run" / "ingest" / entry.file)) == entry.checksum


def test_two_runs_are_equal_and_the_split_changes_no_document(tmp_path: Path) -> None:
    put_corpus(tmp_path)
    small, large = (make_recipe(jsonl_source(tmp_path), task_bytes=size) for size in (1000, 1 << 20))
    for run, recipe in (("a", small), ("b", small), ("c", large)):
        ingest(recipe, tmp_path / run)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    shards = [read_shards(tmp_path / run, RunFolder(str(tmp_path / run)).stage("ingest").manifest()) for run in "ac"]
    assert shards[0] == shards[1]


def test_shards_are_bounded(tmp_path: Path) -> None:
    rows = [{"text": f"{row} " + "x" * 9000} for row in range(30)] + [{"text": "y" * 100_000}]
    (tmp_path / "a.jsonl.zst").write_bytes(COMPRESS[".zst"](to_lines(*rows)))
    manifest = ingest(make_recipe(jsonl_source(tmp_path), shard_bytes=65536), tmp_path / "run").manifest
    assert [entry.file for entry in manifest.shards] == [f"shards/web-00000-00{number}.arrow" for number in range(6)]
    assert [entry.rows for entry in manifest.shards] == [6, 6, 6, 6, 6, 1]
    assert all(entry.text_bytes <= 65536 for entry in manifest.shards[:-1])


def test_a_changed_input_runs_again_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(to_lines({"text": "one"}))
    recipe = make_recipe(jsonl_source(path))
    first = ingest(recipe, tmp_path / "run")
    path.write_bytes(to_lines({"text": "two"}))
    os.utime(path, ns=(1, 1))
    second = ingest(recipe, tmp_path / "run")
    assert second.ran
    assert any(change.startswith("inputs.web") for change in second.changes)
    assert second.manifest.fingerprint != first.manifest.fingerprint
    assert [row["text"] for row in read_shards(tmp_path / "run", second.manifest)] == ["two"]


def test_a_file_that_changes_while_it_is_read_gives_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / f"{name}.jsonl").write_bytes(to_lines(*({"text": f"{name}{row}" * 5000} for row in range(9))))
    recipe = make_recipe(jsonl_source(tmp_path), shard_bytes=65536, max_quarantined_share=1)
    real = jsonl.read_lines

    def grow_meanwhile(part, max_bytes):
        for count, line in enumerate(real(part, max_bytes)):
            if part.file.path == "b.jsonl" and count == 8:
                with open(part.file.uri, "ab") as file:
                    file.write(to_lines({"text": "more"}))
            yield line

    monkeypatch.setattr(jsonl, "read_lines", grow_meanwhile)
    size = (tmp_path / "b.jsonl").stat().st_size
    manifest = ingest(recipe, tmp_path / "run").manifest
    assert {row["text"][0] for row in read_shards(tmp_path / "run", manifest)} == {"a", "c"}
    (row,) = read_quarantine(tmp_path / "run", manifest)
    assert (row["reason"], row["bytes"], row["address"]) == (intake.CHANGED, size, f"b.jsonl@0-{size}")
    assert set(files_of(tmp_path / "run")) == {entry.file for entry in manifest.files()} | {"manifest.json"}
    monkeypatch.undo()
    again = ingest(recipe, tmp_path / "run")
    assert again.ran
    assert len(read_shards(tmp_path / "run", again.manifest)) == 28


def test_a_file_that_vanishes_is_quarantined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_bytes(to_lines({"text": name}))
    real = storage.open_input

    def remove_first(uri: str):
        Path(uri).unlink() if uri.endswith("b.jsonl") else None
        return real(uri)

    monkeypatch.setattr(storage, "open_input", remove_first)
    recipe = make_recipe(jsonl_source(tmp_path), max_quarantined_share=1)
    manifest = ingest(recipe, tmp_path / "run").manifest
    (row,) = read_quarantine(tmp_path / "run", manifest)
    assert row["reason"] == intake.CHANGED
    assert "is gone" in row["detail"]


def test_the_limit_names_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"broken\n" * 3 + to_lines({"text": None}, *({"text": "x"} for _ in range(20))))
    with pytest.raises(QuarantineLimitError) as error:
        ingest(make_recipe(jsonl_source(tmp_path)), tmp_path / "run")
    said = str(error.value)
    assert "4 of 24 records (16.7%) could not be read; ingest.max_quarantined_share is 0.05" in said
    assert "\n  3 x broken JSON, e.g. web/a.jsonl@0: " in said
    assert "\n  1 x null text, e.g. web/a.jsonl@21: " in said
    assert not (tmp_path / "run" / "ingest" / "manifest.json").exists()


def test_a_lost_file_counts_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(to_lines(*({"text": "x"} for _ in range(1000))))
    (tmp_path / "b.jsonl.gz").write_bytes(os.urandom(9000))
    with pytest.raises(QuarantineLimitError, match=r"(?s)9,000 of 23,000 stored bytes .* broken gzip stream"):
        ingest(make_recipe(jsonl_source(tmp_path)), tmp_path / "run")


def test_no_document_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n")
    with pytest.raises(Failure, match="no document was read from any source"):
        ingest(make_recipe(jsonl_source(tmp_path)), tmp_path / "run")
    (tmp_path / "a.jsonl").write_bytes(b"x\n")
    with pytest.raises(Failure, match="1 x broken JSON"):
        ingest(make_recipe(jsonl_source(tmp_path), max_quarantined_share=1), tmp_path / "run")


def test_a_source_of_nothing_stops_before_work(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(to_lines({"text": "x"}))
    recipe = make_recipe(jsonl_source(tmp_path), jsonl_source(tmp_path / "*.nope", "other"))
    with pytest.raises(RecipeError, match=r"sources\.other\.paths\.0"):
        ingest(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_repeated_ids_of_whole_shards_and_across_sources(tmp_path: Path) -> None:
    rows = [{"id": str(row), "text": f"text {row}"} for row in range(50)]
    for name, shown in (("a", rows), ("b", rows[:10]), ("c", [*rows[5:8], {"id": "new", "text": "new"}])):
        (tmp_path / f"{name}.jsonl").write_bytes(to_lines(*shown))
    sources = [jsonl_source(tmp_path / f"{name}.jsonl", name) for name in "abc"]
    manifest = ingest(make_recipe(*sources, max_quarantined_share=1), tmp_path / "run").manifest
    assert [entry.file for entry in manifest.shards] == ["shards/a-00000-000.arrow", "shards/c-00000-000-unique.arrow"]
    assert [row["id"] for row in read_shards(tmp_path / "run", manifest)] == [*(row["id"] for row in rows), "new"]
    quarantine = read_quarantine(tmp_path / "run", manifest)
    assert [row["source"] for row in quarantine] == ["b"] * 10 + ["c"] * 3
    assert quarantine[0]["detail"] == "an earlier document has the id '0'"
    assert read_table(str(tmp_path / "run" / "ingest" / manifest.quarantine[0].file)).schema == QUARANTINE_SCHEMA
    assert set(files_of(tmp_path / "run")) == {entry.file for entry in manifest.files()} | {"manifest.json"}


@pytest.mark.parametrize("phase", ["read_task", "unique_task"])
def test_a_run_that_is_stopped_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    put_corpus(tmp_path)
    (tmp_path / "6.jsonl").write_bytes(to_lines({"id": "0-9", "text": "x" * 1000}, {"id": "last", "text": "x" * 900}))
    recipe = make_recipe(jsonl_source(tmp_path), task_bytes=2000)
    ingest(recipe, tmp_path / "whole")
    from lc_data.stages import ingest as module

    real = getattr(module, phase)
    calls = []

    def fail_at_second(task, folder):
        calls.append(task.key)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(task, folder)

    monkeypatch.setattr(module, phase, fail_at_second)
    with pytest.raises(KeyboardInterrupt):
        ingest(recipe, tmp_path / "run")
    monkeypatch.undo()
    ingest(recipe, tmp_path / "run")
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")


def test_a_run_that_is_stopped_before_it_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_corpus(tmp_path)
    recipe = make_recipe(jsonl_source(tmp_path), task_bytes=2000)
    ingest(recipe, tmp_path / "whole")
    from lc_data.stages import ingest as module

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_replace_shards", stop)
    with pytest.raises(KeyboardInterrupt):
        ingest(recipe, tmp_path / "run")
    monkeypatch.undo()
    ingest(recipe, tmp_path / "run")
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")


def test_a_full_disk_fails_the_task_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_corpus(tmp_path)
    recipe = make_recipe(jsonl_source(tmp_path), task_bytes=2000)
    ingest(recipe, tmp_path / "whole")
    real = storage.create

    class Full:
        """A file on a disk with room for 500 bytes."""

        def __init__(self, file):
            self._file, self._left, self.closed = file, 500, False

        def write(self, data):
            self._left -= len(data)
            if self._left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self._file.write(data)

        def flush(self):
            self._file.flush()

        def tell(self):
            return self._file.tell()

    from contextlib import contextmanager

    @contextmanager
    def create(uri: str):
        with real(uri) as file:
            yield Full(file) if "/shards/" in uri else file

    monkeypatch.setattr(storage, "create", create)
    with pytest.raises(TaskError, match=r"read task web-0000\d: OSError: .*No space left on device"):
        ingest(recipe, tmp_path / "run")
    assert list((tmp_path / "run" / "ingest").rglob("*.arrow*")) == []
    monkeypatch.undo()
    ingest(recipe, tmp_path / "run")
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")


def test_domains_of_records_and_their_purposes(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (tmp_path / "a.jsonl").write_bytes(to_lines({"text": "x", "kind": "law"}, {"text": "y"}))
    (tmp_path / "b.jsonl").write_bytes(to_lines({"messages": said, "kind": "help"}))
    fields = {"domain": "kind"}
    chat = {"name": "talk", "kind": "chat", "domain": "talk", "paths": [str(tmp_path / "b.jsonl")], "fields": fields}
    recipe = make_recipe(jsonl_source(tmp_path / "a.jsonl", fields=fields), chat)
    manifest = ingest(recipe, tmp_path / "run").manifest
    assert manifest.facts["purposes"] == {"help": "sft", "law": "pretrain", "web": "pretrain"}
    (tmp_path / "b.jsonl").write_bytes(to_lines({"messages": said, "kind": "law"}))
    with pytest.raises(Failure, match="domain 'law' holds dialogues and plain documents"):
        ingest(recipe, tmp_path / "run")


def test_joined_and_rendered_documents_balance(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / "repo" / name).write_text(f"{name} = 1")
    tree = {"name": "code", "kind": "tree", "domain": "code", "paths": [str(tmp_path / "repo")]}
    manifest = ingest(make_recipe(tree), tmp_path / "run").manifest
    account = json.loads(manifest.ledger.model_dump_json(by_alias=True))["domains"]["code"]
    assert account["in"] == {"documents": 3, "bytes": 24, "tokens": 0}
    assert account["added"]["joined"] == {"documents": -2, "bytes": 3, "tokens": 0}
    (row,) = read_shards(tmp_path / "run", manifest)
    assert row["parts"][1] == {"source": "b.py", "offset": 9, "length": 8}


def test_a_large_document_is_written_alone(tmp_path: Path) -> None:
    text = "long context " * (1 << 20)
    (tmp_path / "a.jsonl").write_bytes(to_lines({"text": "a"}, {"text": text}, {"text": "b"}))
    manifest = ingest(make_recipe(jsonl_source(tmp_path), task_bytes=1 << 20), tmp_path / "run").manifest
    assert [row["text"] for row in read_shards(tmp_path / "run", manifest)] == ["a", text, "b"]
    with pa.ipc.open_file(str(tmp_path / "run" / "ingest" / manifest.shards[0].file)) as reader:
        assert [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)] == [1, 1]
