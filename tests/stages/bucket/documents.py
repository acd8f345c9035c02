"""Documents for the bucket stage, and runs made of them."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa

from lc_data.corpus import shard as document_shard
from lc_data.corpus.document import DOCUMENT_SCHEMA, message_part
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.recipe.load import parse_recipe
from lc_data.recipe.recipe import Recipe
from lc_data.stages.bucket import STAGE
from tests.lengths.texts import mixed_text

EOS = "<|endoftext|>"
EDGES = [16, 64, 256]

RECIPE = """
name: test
seed: 3
sources:
  - {name: web, kind: jsonl, domain: web, paths: [none]}
  - {name: zh, kind: jsonl, domain: 书籍/a, paths: [none]}
  - {name: chats, kind: chat, domain: chats, paths: [none]}
tokenizer: {path: TOKENIZER}
bucket: {edges_tokens: [16, 64, 256], shard_tokens: 3000}
"""


def recipe(tokenizer: Path | None, *overrides: str) -> Recipe:
    text = RECIPE.replace("{path: TOKENIZER}", "{train: {vocab_size: 600, sample_bytes: 30000}}")
    return parse_recipe(RECIPE.replace("TOKENIZER", str(tokenizer)) if tokenizer else text, overrides)


def document(document_id: str, text: str, domain: str, parts: list[dict] | None = None) -> dict:
    empty = dict.fromkeys(DOCUMENT_SCHEMA.names)
    return empty | {"id": document_id, "text": text, "domain": domain, "source": "test", "parts": parts}


def chat(document_id: str, *contents: str) -> dict:
    text, parts = "", []
    for index, content in enumerate(contents):
        role = ("user", "assistant")[index % 2]
        text += f"<|im_start|>{role}\n"
        start = len(text.encode())
        text += f"{content}<|im_end|>\n"
        source = message_part(index, role)
        parts.append({"source": source, "offset": start, "length": len(text.encode()) - start})
    return document(document_id, text, "chats", parts)


def corpus(count: int = 300) -> list[dict]:
    rng = random.Random(0)
    rows = [document(f"web-{i}", mixed_text(i, rng.choice([1, 20, 60, 200])), "web") for i in range(count)]
    rows += [document(f"zh-{i}", "天地玄黄" * rng.randint(1, 90), "书籍/a") for i in range(count // 3)]
    rows += [chat(f"chat-{i}", mixed_text(i, 9), f"yes <|im_end|>\n {i}") for i in range(count // 6)]
    repository = [{"source": "a.py", "offset": 0, "length": 3}, {"source": "b.py", "offset": 3, "length": 3}]
    return [*rows, document("repository", "a=1b=2", "web", repository), document("empty", "", "web")]


def publish(run: RunFolder, shards: list[list[dict]]) -> None:
    """A dedupe stage's output with these documents in these shards."""
    folder, ledger, entries = run.stage("dedupe"), Ledger(), []
    for number, rows in enumerate(shards):
        table = pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)
        entries.append(document_shard.write_documents(folder.uri, f"shards/{number}.arrow", [table]))
        for row in rows:
            ledger.come_in(row["domain"], 1, len(row["text"].encode()))
            ledger.keep(row["domain"], 1, len(row["text"].encode()))
    manifest = Manifest(stage="dedupe", fingerprint="d" * 32, shards=entries, ledger=ledger, seed=3)
    write_manifest(folder.manifest_uri, manifest)


def bucket(folder: Path, shards: list[list[dict]], wanted: Recipe, backend=None) -> RunFolder:
    run = RunFolder(str(folder))
    publish(run, shards)
    bring_up_to_date(STAGE, wanted, run, backend or SerialBackend())
    return run


def published(run: RunFolder) -> dict[str, bytes]:
    folder = Path(run.stage("bucket").uri)
    manifest = run.stage("bucket").manifest()
    names = ["manifest.json", *(entry.file for entry in manifest.files())]
    on_disk = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert on_disk == {*names, "timing.json"}
    return {name: (folder / name).read_bytes() for name in names}
