"""Phase one: what must be known of every document to find its duplicates.

Each shard gives three work files. The sketches, one row per document, are what later phases look documents up in. The
exact keys and the band keys are written already partitioned, a batch for each partition, so that a join reads its part
of every file and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.corpus.shard import read_batches
from lc_data.dedup.buckets import partition_of
from lc_data.dedup.exact import exact_hashes
from lc_data.dedup.minhash import band_keys, sign
from lc_data.engine.task import Task, TaskRecord
from lc_data.recipe.dedupe import DedupeSection, NearDuplicates

KEY_SCHEMA = pa.schema([("key", pa.uint64()), ("document", pa.int64()), ("bytes", pa.int64())])
EXACT_SCHEMA = pa.schema([
    ("high", pa.uint64()), ("low", pa.uint64()), ("document", pa.int64()), ("bytes", pa.int64()), ("id", pa.string()),
])  # fmt: skip


@dataclass(frozen=True)
class SketchShard:
    """The payload of a task: one shard, the number of its first document, and how to sketch it."""

    shard_uri: str
    first_document: int
    section: DedupeSection
    dialogue_domains: frozenset[str]
    exact_partitions: int
    band_partitions: int

    def is_exact_only(self, domain: str) -> bool:
        """Whether only exact copies are removed from a domain."""
        return domain in self.dialogue_domains or domain in self.section.exact_only_domains

    def salt(self, domain: str) -> int:
        """What keeps the keys of a domain apart from those of others, where it is compared with itself alone."""
        alone = self.section.scope == "domain" or domain in self.dialogue_domains
        return xxhash.xxh3_64_intdigest(domain) if alone else 0


def sketch_schema(near: NearDuplicates | None) -> pa.Schema:
    """One row per document. ``batch`` and ``row`` say where its text lies in its shard."""
    fields = [("id", pa.string()), ("domain", pa.string()), ("source", pa.string()), ("bytes", pa.int64()),
              ("batch", pa.int32()), ("row", pa.int32())]  # fmt: skip
    if near is not None:
        fields.append(("signature", pa.list_(pa.uint32(), near.bands * near.rows)))
    return pa.schema(fields)


def sketch_shard(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the work files of one shard."""
    payload: SketchShard = task.payload
    near = payload.section.near
    sketches: list[pa.RecordBatch] = []
    exact: list[pa.RecordBatch] = []
    keys: list[pa.RecordBatch] = []
    document = payload.first_document
    for number, batch in enumerate(read_batches(payload.shard_uri)):
        salts = np.array([payload.salt(domain) for domain in batch.column("domain").to_pylist()], np.uint64)
        exact.append(_exact_rows(batch, document, salts))
        columns = [
            *(batch.column(name) for name in ("id", "domain", "source")),
            pc.binary_length(batch.column("text")).cast(pa.int64()),
            pa.array(np.full(batch.num_rows, number, np.int32)),
            pa.array(np.arange(batch.num_rows, dtype=np.int32)),
        ]
        if near is not None:
            signatures, rows = _sign(batch, payload, near)
            columns.append(pa.FixedSizeListArray.from_arrays(pa.array(signatures.ravel()), signatures.shape[1]))
            keys.append(_key_rows(signatures, rows, document, exact[-1].column("bytes"), salts, near))
        sketches.append(pa.RecordBatch.from_arrays(columns, schema=sketch_schema(near)))
        document += batch.num_rows
    name = f"{task.key}.arrow"
    write_batches(f"{folder.work_uri}/sketches/{name}", sketch_schema(near), [_joined(sketches, sketch_schema(near))])
    whole = _joined(exact, EXACT_SCHEMA)
    parts = _partitioned(whole, whole.column("high").to_numpy(), payload.exact_partitions)
    write_batches(f"{folder.work_uri}/exact_keys/{name}", EXACT_SCHEMA, parts)
    if near is not None:
        whole = _joined(keys, KEY_SCHEMA)
        parts = _partitioned(whole, whole.column("key").to_numpy(), payload.band_partitions)
        write_batches(f"{folder.work_uri}/band_keys/{name}", KEY_SCHEMA, parts)
    return TaskRecord()


def _exact_rows(batch: pa.RecordBatch, document: int, salts: npt.NDArray[np.uint64]) -> pa.RecordBatch:
    hashes = exact_hashes(batch.column("text"))
    return pa.RecordBatch.from_arrays(
        [
            pa.array(hashes[:, 0] ^ salts),
            pa.array(hashes[:, 1]),
            pa.array(np.arange(document, document + batch.num_rows)),
            pc.binary_length(batch.column("text")).cast(pa.int64()),
            batch.column("id"),
        ],
        schema=EXACT_SCHEMA,
    )


def _sign(
    batch: pa.RecordBatch, payload: SketchShard, near: NearDuplicates
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Signatures of all rows, and the rows that take part in the search: with a shingle, and not exact-only."""
    wanted = np.array([not payload.is_exact_only(domain) for domain in batch.column("domain").to_pylist()], bool)
    values = np.full((batch.num_rows, near.bands * near.rows), 0xFFFFFFFF, np.uint32)
    text = batch.column("text")
    signed = sign(text if wanted.all() else text.filter(pa.array(wanted)), near.ngram_words, values.shape[1])
    values[wanted] = signed.values
    return values, np.flatnonzero(wanted)[signed.shingles > 0]


def _key_rows(
    signatures: npt.NDArray[np.uint32],
    rows: npt.NDArray[np.int64],
    document: int,
    sizes: pa.Array,
    salts: npt.NDArray[np.uint64],
    near: NearDuplicates,
) -> pa.RecordBatch:
    keys = band_keys(signatures[rows], near.bands, near.rows) ^ salts[rows, None]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(keys.ravel()),
            pa.array(np.repeat(document + rows, near.bands)),
            pa.array(np.repeat(sizes.to_numpy()[rows], near.bands)),
        ],
        schema=KEY_SCHEMA,
    )


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    joined = pa.Table.from_batches(batches, schema).combine_chunks().to_batches()
    return joined[0] if joined else pa.RecordBatch.from_pylist([], schema=schema)


def _partitioned(whole: pa.RecordBatch, keys: npt.NDArray[np.uint64], partitions: int) -> Iterator[pa.RecordBatch]:
    """One batch for each partition, in order, empty ones too."""
    partition = partition_of(keys, partitions)
    ordered = whole.take(pa.array(np.argsort(partition, kind="stable")))
    borders = np.searchsorted(np.sort(partition), np.arange(partitions + 1))
    for start, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        yield ordered.slice(start, end - start)


@dataclass(frozen=True)
class Sketches:
    """Looks documents up by their number, over all shards of the stage."""

    uris: tuple[str, ...]
    first_documents: tuple[int, ...]
    """The number of each shard's first document, and after the last one the number of documents."""

    def shards_of(self, documents: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.int64], slice]]:
        """For sorted documents: each shard that holds some, their rows in it, and their place among ``documents``."""
        borders = np.searchsorted(documents, np.array(self.first_documents))
        for shard, (start, end) in enumerate(zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)):
            if start < end:
                yield shard, documents[start:end] - self.first_documents[shard], slice(start, end)

    def look_up(self, documents: npt.NDArray[np.int64], *columns: str) -> pa.Table:
        """Some columns of sorted documents, in their order."""
        found = []
        for shard, rows, _ in self.shards_of(documents):
            (batch,) = pick_batches(self.uris[shard], [0], columns)
            found.append(batch.select(list(columns)).take(pa.array(rows)))
        return pa.Table.from_batches(found).combine_chunks() if found else pa.table({name: [] for name in columns})

    def signatures(self, documents: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
        """The signatures of sorted documents: uint32[documents, permutations]."""
        if not len(documents):
            return np.zeros((0, 0), np.uint32)
        column = self.look_up(documents, "signature").column("signature").combine_chunks()
        return column.flatten().to_numpy().reshape(len(documents), -1)

    def all(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """Some columns of every document, shard by shard."""
        for uri in self.uris:
            yield from pick_batches(uri, [0], columns)
