"""Reading a whole source without a stage: list, cut, read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zstandard
from pydantic import TypeAdapter

from lc_data.corpus.readers.kinds import list_inputs, plan_source, read_input
from lc_data.corpus.readers.record import Document, Record, Rejection, Skip
from lc_data.recipe.sources import IngestSection, Source

COMPRESS = {"": bytes, ".gz": lambda data: gzip.compress(data, mtime=0), ".zst": zstandard.compress}


def make_source(kind: str, *paths: Path | str, **settings: Any) -> Source:
    located = {"paths": [str(path) for path in paths]} if paths else {}
    stated = {"name": "s", "kind": kind, "domain": "d", **located, **settings}
    return TypeAdapter(Source).validate_python(stated)


def read_records(source: Source, **limits: int) -> list[Record]:
    section = IngestSection(**limits)
    plans = plan_source(source, list_inputs(source), section)
    records: list[Record] = [rejection for plan in plans for rejection in plan.rejections]
    for plan in plans:
        for part in plan.inputs:
            records += read_input(part, source, section.max_record_bytes)
    return records


def documents(records: Sequence[Record]) -> list[Document]:
    return [record for record in records if isinstance(record, Document)]


def rejections(records: Sequence[Record]) -> list[Rejection]:
    return [record for record in records if isinstance(record, Rejection)]


def skips(records: Sequence[Record]) -> list[Skip]:
    return [record for record in records if isinstance(record, Skip)]


def reasons(records: Sequence[Record]) -> list[str]:
    return [record.reason for record in rejections(records)]


def texts(records: Sequence[Record]) -> list[str]:
    return [document.text.decode() for document in documents(records)]


def to_lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)
