"""A run whose ingest stage is already published, for tests of the stages after it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from lc_data.corpus.document import DOCUMENT_SCHEMA
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_batches, read_table, write_documents
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import Stage, StageReport, bring_up_to_date
from lc_data.recipe.load import parse_recipe
from lc_data.recipe.recipe import Recipe

_RECIPE = """
name: stages
sources:
  - {name: web, kind: jsonl, paths: [web.jsonl], domain: web}
  - {name: books, kind: jsonl, paths: [books.jsonl], domain: books}
  - {name: chats, kind: chat, paths: [chats.jsonl], domain: chats}
tokenizer: {train: {vocab_size: 1024}}
engine: {backend: serial}
"""


def recipe(*overrides: str) -> Recipe:
    return parse_recipe(_RECIPE, overrides)


def publish(folder: Path, rows: list[dict], stage: str = "ingest", shard_rows: int = 50) -> RunFolder:
    """A run in which ``rows`` are what a stage passed on; domain and source are filled in where a row has none."""
    run = RunFolder(str(folder))
    ledger, shards = Ledger(), []
    rows = [{"domain": "web", "source": "web.jsonl"} | row for row in rows]
    for row in rows:
        ledger.come_in(row["domain"], 1, len(row["text"].encode()))
        ledger.keep(row["domain"], 1, len(row["text"].encode()))
    for number, start in enumerate(range(0, len(rows), shard_rows)):
        table = pa.Table.from_pylist(rows[start : start + shard_rows], schema=DOCUMENT_SCHEMA)
        shards.append(write_documents(run.stage(stage).uri, f"shards/{number:05d}.arrow", [table]))
    manifest = Manifest(stage=stage, fingerprint=f"made-of-{len(rows)}", shards=shards, ledger=ledger, seed=0)
    write_manifest(run.stage(stage).manifest_uri, manifest)
    return run


def bring(stage: Stage, run: RunFolder, *overrides: str, backend=None) -> StageReport:
    return bring_up_to_date(stage, recipe(*overrides), run, backend or SerialBackend())


def kept_documents(report: StageReport, run: RunFolder) -> list[dict]:
    folder = run.stage(report.stage)
    return [
        row
        for entry in report.manifest.shards
        for batch in read_batches(folder.file(entry.file))
        for row in batch.to_pylist()
    ]


def dropped_rows(report: StageReport, run: RunFolder) -> list[dict]:
    folder = run.stage(report.stage)
    return [row for entry in report.manifest.dropped for row in read_table(folder.file(entry.file)).to_pylist()]
