"""Taking in what readers yield: documents into shards, rejections into the quarantine, skips to what was dropped.

Everything is pulled through one generator, batch by batch, so that memory is bounded by a batch or by one document. A
file that changes while it is read gives nothing but a row in the quarantine: the task is read again without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa
import xxhash

from lc_data.corpus import storage
from lc_data.corpus.document import DOCUMENT_SCHEMA, DROPPED_SCHEMA, QUARANTINE_SCHEMA
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.readers.inputs import describe_change
from lc_data.corpus.readers.kinds import ReadPlan, read_input
from lc_data.corpus.readers.record import Document, InputFault, Record, Rejection, Skip, reject
from lc_data.corpus.rows import RowFile
from lc_data.corpus.shard import BATCH_BYTES, sum_bytes, write_documents

CHANGED = "changed while being read"
_OBJECT_BYTES = 512
"""What a document weighs in memory besides its text: a million tweets are not a batch."""

KEYS_SCHEMA = pa.schema([
    pa.field("key", pa.binary(16), nullable=False),
    pa.field("address", pa.string(), nullable=False),
])  # fmt: skip
"""xxh3-128 of a document's id, and where it was read: one row per document in the order of the shards."""


@dataclass
class Intake:
    """What became of the inputs of a task."""

    shards: list[FileEntry] = field(default_factory=list)
    dropped: list[FileEntry] = field(default_factory=list)
    quarantine: list[FileEntry] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    lost_bytes: int = 0
    """Stored bytes of inputs that could not be read to their end."""
    examples: dict[str, str] = field(default_factory=dict)
    """For every reason of the quarantine its first address and detail."""


class _InputChangedError(Exception):
    def __init__(self, index: int, detail: str) -> None:
        super().__init__(detail)
        self.index = index
        self.detail = detail


def take_in(plan: ReadPlan, folder: str, keys_file: str) -> Intake:
    """Read a plan into ``shards/``, ``dropped/`` and ``quarantine/`` below a folder, and the keys of its ids.

    The names of the files begin with the plan's key; their bytes depend on the plan and the inputs alone.
    """
    changed: dict[int, str] = {}
    while True:
        try:
            intake = _attempt(plan, folder, keys_file, changed)
        except _InputChangedError as change:
            changed[change.index] = change.detail
            continue
        if changed:
            _remove_others(plan.key, folder, intake)
        return intake


def _attempt(plan: ReadPlan, folder: str, keys_file: str, changed: dict[int, str]) -> Intake:
    intake = Intake()
    with (
        RowFile(folder, f"quarantine/{plan.key}.arrow", QUARANTINE_SCHEMA) as quarantine,
        RowFile(folder, f"dropped/{plan.key}.arrow", DROPPED_SCHEMA) as dropped,
        RowFile(folder, keys_file, KEYS_SCHEMA) as keys,
    ):
        documents = _divert(_read_plan(plan, changed), intake, quarantine, dropped)
        batches = document_batches(_note_keys(documents, keys), min(BATCH_BYTES, plan.limits.shard_bytes))
        intake.shards = write_shards(folder, plan.key, batches, plan.limits.shard_bytes)
    intake.quarantine = [quarantine.entry] if quarantine.entry else []
    intake.dropped = [dropped.entry] if dropped.entry else []
    return intake


def _read_plan(plan: ReadPlan, changed: dict[int, str]) -> Iterator[Record]:
    """The records of all inputs; raises :class:`_InputChangedError` after one that is not what was planned."""
    yield from plan.rejections
    for index, part in enumerate(plan.inputs):
        if index in changed:
            fault = InputFault(CHANGED, changed[index], part.weight_bytes)
            yield reject(plan.source, part.address, fault, b"", part.weight_bytes)
            continue
        yield from read_input(part, plan.source, plan.limits.max_record_bytes)
        for file in part.files:
            if (change := describe_change(file)) is not None:
                raise _InputChangedError(index, change)


def _divert(records: Iterator[Record], intake: Intake, quarantine: RowFile, dropped: RowFile) -> Iterator[Document]:
    """The documents among the records; the others go to their files, and all of them into the books."""
    ledger = intake.ledger
    for record in records:
        if isinstance(record, Document):
            _enter(ledger, record)
            yield record
        elif isinstance(record, Rejection):
            ledger.come_in(record.domain, 1, record.size_bytes)
            ledger.quarantine(record.domain, record.reason, 1, record.size_bytes)
            intake.lost_bytes += record.lost_bytes
            intake.examples.setdefault(
                record.reason, f"{record.source}/{record.address}: {record.detail or record.reason}"
            )
            sizes = (record.size_bytes, record.reason, record.detail, record.sample)
            quarantine.add(record.source, record.domain, record.address, *sizes, text_bytes=record.size_bytes)
        else:
            _skip(record, ledger, dropped)
        del record  # its text is the batch's now


def _enter(ledger: Ledger, document: Document) -> None:
    domain, size = document.labels.domain, len(document.text)
    if document.origin is None:
        ledger.come_in(domain, 1, size)
    else:
        transform, documents, read_bytes = document.origin
        ledger.come_in(domain, documents, read_bytes)
        ledger.transform(domain, transform, 1 - documents, size - read_bytes)
    ledger.keep(domain, 1, size)


def _skip(record: Skip, ledger: Ledger, dropped: RowFile) -> None:
    ledger.come_in(record.domain, 1, record.size_bytes)
    ledger.drop(record.domain, record.reason, 1, record.size_bytes)
    dropped.add(record.id, record.reason, record.domain, record.size_bytes, record.detail, text_bytes=record.size_bytes)


def _note_keys(documents: Iterator[Document], keys: RowFile) -> Iterator[Document]:
    for document in documents:
        keys.add(xxhash.xxh3_128_digest(document.labels.id), document.address)
        yield document
        del document


def document_batches(documents: Iterator[Document], max_bytes: int) -> Iterator[pa.RecordBatch]:
    """Documents as Arrow batches of at most ``max_bytes`` of text and what goes with it, or of one larger document."""
    held: list[Document] = []
    held_bytes = 0
    for document in documents:
        weight = len(document.text) + _OBJECT_BYTES
        if held and held_bytes + weight > max_bytes:
            yield _take_batch(held)
            held_bytes = 0
        held.append(document)
        held_bytes += weight
        del document
    if held:
        yield _take_batch(held)


def write_shards(folder: str, key: str, batches: Iterator[pa.RecordBatch], shard_bytes: int) -> list[FileEntry]:
    """Batches as shards ``<key>-000.arrow``, ... of at most ``shard_bytes`` of text, or of one larger document."""
    shards = groupby(_number_shards(batches, shard_bytes), key=itemgetter(0))
    return [
        write_documents(folder, f"shards/{key}-{number:03d}.arrow", (batch for _, batch in group))
        for number, group in shards
    ]


def _number_shards(batches: Iterator[pa.RecordBatch], shard_bytes: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Each batch with the number of the shard that it belongs to."""
    number = size = 0
    for batch in batches:
        batch_bytes = sum_bytes(batch)
        if size and size + batch_bytes > shard_bytes:
            number, size = number + 1, 0
        size += batch_bytes
        yield number, batch


def _take_batch(held: list[Document]) -> pa.RecordBatch:
    """The held documents as a batch; nothing is held afterwards. One document's text is not copied."""
    texts = [document.text for document in held]
    labels = [document.labels for document in held]
    parts = [document.parts for document in held]
    held.clear()
    ends = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    joined = texts[0] if len(texts) == 1 else b"".join(texts)
    text = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(joined))
    columns = {name: [getattr(label, name) for label in labels] for name in labels[0].__slots__}
    types = {each.name: each.type for each in DOCUMENT_SCHEMA}
    arrays = {name: pa.array(values, types[name]) for name, values in columns.items()}
    arrays |= {"text": text, "parts": pa.array(parts, types["parts"])}
    return pa.record_batch([arrays[name] for name in DOCUMENT_SCHEMA.names], schema=DOCUMENT_SCHEMA)


def _remove_others(key: str, folder: str, intake: Intake) -> None:
    """Remove shards that an attempt wrote before an input changed under it."""
    named = {entry.file for entry in intake.shards}
    for name in storage.list_files(storage.join(folder, "shards")):
        if re.fullmatch(rf"{re.escape(key)}-\d+\.arrow", name) and f"shards/{name}" not in named:
            storage.remove_file(storage.join(folder, "shards", name))
