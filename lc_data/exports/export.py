"""Exporting a plan: its rows in another trainer's format, shard by shard.

A shard is a range of rows that fits half a gigabyte. What is finished stands in ``export.started.json``, so that an
interrupted export goes on where it stopped; ``export.json``, written last, makes the files whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.run import RunFolder
from lc_data.exports.datatrove_ds import DatatroveDs
from lc_data.exports.format import Format, Header, Shard
from lc_data.exports.hf_parquet import HfParquet
from lc_data.exports.mds import Mds
from lc_data.exports.megatron import Megatron
from lc_data.exports.olmo_core import OlmoCore
from lc_data.failure import Failure
from lc_data.packing.fill import Pack
from lc_data.progress import Progress
from lc_data.recipe.errors import RecipeError, nearest
from lc_data.streaming.reader import PackReader

FORMATS: dict[str, Format] = {
    form.name: form for form in (HfParquet(), Megatron(), Mds(), OlmoCore(), DatatroveDs())
}  # fmt: skip
"""By the name that ``lc-data export --to`` takes."""

SHARD_BYTES = 512 << 20
_STARTED, _DONE = "export.started.json", "export.json"


class ExportError(Failure):
    """An export that cannot be made where it was asked for, or that would lose what rows say."""


def export_plan(run_uri: str, plan: str, to: str, out_uri: str, shard_bytes: int = SHARD_BYTES) -> dict[str, Any]:
    """Write the rows of a plan (``pretrain``, ``sft`` or ``held_out``) to a folder; return what ``export.json`` says.

    The same call again does nothing when all is there, and goes on when it is not. Raises RecipeError for an unknown
    format, and :class:`ExportError` for a folder that holds another export, for labels that the format would lose and
    for rows with an anchor, which no format can tell of.
    """
    if to not in FORMATS:
        raise RecipeError(f"--to {to!r} is not a format{nearest(to, FORMATS)}")
    form, reader = FORMATS[to], PackReader.open(RunFolder(run_uri), plan)
    if plan == "sft" and not form.carries_labels:
        raise ExportError(f"{to} has no place for labels, so prompts would be trained on too: take another format")
    if reader.plan.facts.mask == "anchor":
        raise ExportError(
            f"the rows of plan {plan!r} begin with an anchor that all their documents see, and no format says so: "
            "its readers would train on it as on a document of one token; pack with mask: document to export"
        )
    header, what = _header(reader), _describe(reader, plan, to)
    finished = _finished(out_uri, what)
    if isinstance(finished, dict):
        return finished
    rows_per_shard = max(1, shard_bytes // (form.bytes_per_token * header.seq_len))
    with Progress(f"export {to}", reader.plan.packs, "rows") as progress:
        progress.advance(sum(shard.rows for shard in finished))
        while (begin := sum(shard.rows for shard in finished)) < reader.plan.packs:
            rows = range(begin, min(begin + rows_per_shard, reader.plan.packs))
            uri = storage.join(out_uri, f"part-{len(finished):05d}")
            finished.append(Shard(form.write(_read(reader, rows), uri, header), len(rows)))
            progress.advance(len(rows))
            storage.write_atomic(storage.join(out_uri, _STARTED), _json(what | {"shards": [vars(s) for s in finished]}))
    uris = [uri for shard in finished for uri in shard.files] + form.finish(out_uri, finished, header)
    files = [
        {"file": uri.rsplit("/", 1)[-1], "bytes": storage.size_bytes(uri), "checksum": file_checksum(uri)}
        for uri in uris
    ]
    result = what | {"files": files}
    storage.write_atomic(storage.join(out_uri, _DONE), _json(result))
    storage.remove_file(storage.join(out_uri, _STARTED))
    return result


def _read(reader: PackReader, rows: range) -> Iterator[Pack]:
    return map(reader.read, rows)


def _header(reader: PackReader) -> Header:
    tokenizer = reader.corpus.tokenizer
    return Header(reader.plan.seq_len, tokenizer.vocab_size, tokenizer.eos_id, tokenizer.pad_id)


def _describe(reader: PackReader, plan: str, to: str) -> dict[str, Any]:
    tokenizer = reader.corpus.tokenizer
    return {
        "format": to,
        "plan": plan,
        "plan_hash": reader.plan.plan_hash,
        "fingerprint": reader.fingerprint,
        "seq_len": reader.plan.seq_len,
        "rows": reader.plan.packs,
        "token_dtype": str(_header(reader).token_dtype),
        "tokenizer": {"hash": tokenizer.hash, "vocab_size": tokenizer.vocab_size, "eos_id": tokenizer.eos_id},
        "domains": list(reader.corpus.domains),
    }


def _finished(out_uri: str, what: dict[str, Any]) -> dict[str, Any] | list[Shard]:
    """What an earlier call left: the whole export, or its finished shards; none when the folder is new."""
    there = storage.list_files(out_uri)
    for name in (_DONE, _STARTED):
        if name in there:
            said = json.loads(storage.read_bytes(storage.join(out_uri, name)))
            differs = [key for key in what if said.get(key) != what[key]]
            if differs:
                raise ExportError(f"{out_uri} holds another export: {', '.join(differs)} differ; take another folder")
            return said if name == _DONE else [Shard(**shard) for shard in said["shards"]]
    if any(not name.startswith("part-00000") for name in there):
        raise ExportError(f"{out_uri} is not empty and holds no export: take another folder")
    return []


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"
