"""Phase one: what must be known of every document to find its duplicates.

Each shard gives up to four work files. The sketches, one row per document, are what later phases look documents up in.
The exact keys, the band keys and the sampled n-grams are written already partitioned, a batch for each partition, so
that a join reads its part of every file and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.corpus.shard import read_batches
from lc_data.dedup.buckets import number_documents, partition_of
from lc_data.dedup.exact import exact_hashes
from lc_data.dedup.minhash import band_keys, sign
from lc_data.dedup.preference import rank_documents
from lc_data.dedup.shingles import BASE
from lc_data.engine.task import Task, TaskRecord
from lc_data.recipe.dedupe import DedupeSection, NearDuplicates

KEY_SCHEMA = pa.schema([("key", pa.uint64()), ("document", pa.uint32())])
"""Band keys, and sampled n-grams: 12 bytes a key, of which there are billions."""
EXACT_SCHEMA = pa.schema([
    ("high", pa.uint64()), ("low", pa.uint64()), ("document", pa.int64()), ("bytes", pa.int64()), ("rank", pa.int64()),
    ("id", pa.string()),
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
    sample_partitions: int

    def is_exact_only(self, domain: str) -> bool:
        """Whether only exact copies are removed from a domain."""
        return domain in self.dialogue_domains or domain in self.section.exact_only_domains

    def salt(self, domain: str) -> int:
        """What keeps the keys of a domain apart from those of others, where it is compared with itself alone."""
        alone = self.section.scope == "domain" or domain in self.dialogue_domains
        return xxhash.xxh3_64_intdigest(domain) if alone else 0


def sketch_schema(near: NearDuplicates | None) -> pa.Schema:
    """One row per document.

    ``batch`` and ``row`` say where its text lies in its shard, ``rank`` what is preferred to it, ``sampled`` how many
    different n-grams it has below the bound of the sample.
    """
    fields = [("id", pa.string()), ("domain", pa.string()), ("source", pa.string()), ("bytes", pa.int64()),
              ("batch", pa.int32()), ("row", pa.int32()), ("rank", pa.int64()), ("sampled", pa.int64())]  # fmt: skip
    if near is not None:
        fields.append(("signature", pa.list_(pa.uint32(), near.bands * near.rows)))
    return pa.schema(fields)


@dataclass
class _Rows:
    """What the batches of a shard give, collected."""

    sketches: list[pa.RecordBatch] = field(default_factory=list)
    exact: list[pa.RecordBatch] = field(default_factory=list)
    bands: list[pa.RecordBatch] = field(default_factory=list)
    samples: list[pa.RecordBatch] = field(default_factory=list)


def sketch_shard(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the work files of one shard."""
    payload: SketchShard = task.payload
    section = payload.section
    rows, document = _Rows(), payload.first_document
    for number, batch in enumerate(read_batches(payload.shard_uri)):
        _sketch_batch(batch, number, document, payload, rows)
        document += batch.num_rows
    schema = sketch_schema(section.near)
    write_batches(f"{folder.work_uri}/sketches/{task.key}.arrow", schema, [_joined(rows.sketches, schema)])
    keyed = [("exact_keys", "high", rows.exact, EXACT_SCHEMA, payload.exact_partitions)]
    if section.near is not None:
        keyed.append(("band_keys", "key", rows.bands, KEY_SCHEMA, payload.band_partitions))
    if section.containment is not None:
        keyed.append(("samples", "key", rows.samples, KEY_SCHEMA, payload.sample_partitions))
    for kind, key, batches, key_schema, partitions in keyed:
        whole = _joined(batches, key_schema)
        parts = partitioned(whole, partition_of(whole.column(key).to_numpy(), partitions), partitions)
        write_batches(f"{folder.work_uri}/{kind}/{task.key}.arrow", key_schema, parts)
    return TaskRecord()


def _sketch_batch(batch: pa.RecordBatch, number: int, document: int, payload: SketchShard, rows: _Rows) -> None:
    near, containment = payload.section.near, payload.section.containment
    salts = np.array([payload.salt(domain) for domain in batch.column("domain").to_pylist()], np.uint64)
    ranks = pa.array(rank_documents(batch, payload.section.keep))
    rows.exact.append(_exact_rows(batch, document, salts, ranks))
    signed = _sign(batch, payload)
    if near is not None:
        rows.bands.append(_band_rows(signed, document, salts, near))
    sampled = np.zeros(batch.num_rows, np.int64)
    if containment is not None:
        sampled[signed.rows] = signed.sampled
        rows.samples.append(_sample_rows(signed, document, salts))
    columns = [
        *(batch.column(name) for name in ("id", "domain", "source")),
        pc.binary_length(batch.column("text")).cast(pa.int64()),
        pa.array(np.full(batch.num_rows, number, np.int32)),
        pa.array(np.arange(batch.num_rows, dtype=np.int32)),
        ranks,
        pa.array(sampled),
    ]
    if near is not None:
        columns.append(pa.FixedSizeListArray.from_arrays(pa.array(signed.values.ravel()), signed.values.shape[1]))
    rows.sketches.append(pa.RecordBatch.from_arrays(columns, schema=sketch_schema(near)))


def _exact_rows(batch: pa.RecordBatch, document: int, salts: npt.NDArray[np.uint64], ranks: pa.Array) -> pa.RecordBatch:
    hashes = exact_hashes(batch.column("text"))
    return pa.RecordBatch.from_arrays(
        [
            pa.array(hashes[:, 0] ^ salts),
            pa.array(hashes[:, 1]),
            pa.array(np.arange(document, document + batch.num_rows)),
            pc.binary_length(batch.column("text")).cast(pa.int64()),
            ranks,
            batch.column("id"),
        ],
        schema=EXACT_SCHEMA,
    )


@dataclass(frozen=True)
class _Signed:
    """The signatures and samples of a batch."""

    values: npt.NDArray[np.uint32]
    """Of all rows; all ones where a row takes no part."""
    rows: npt.NDArray[np.int64]
    """The rows that take part: not exact-only."""
    shingles: npt.NDArray[np.int64]
    """Of those rows."""
    samples: list[npt.NDArray[np.uint64]]
    """Of those rows."""
    sampled: npt.NDArray[np.int64]
    """Of those rows: how many n-grams of the sample lie below its bound."""


def _sign(batch: pa.RecordBatch, payload: SketchShard) -> _Signed:
    near, containment = payload.section.near, payload.section.containment
    wanted = np.array([not payload.is_exact_only(domain) for domain in batch.column("domain").to_pylist()], bool)
    text = batch.column("text") if wanted.all() else batch.column("text").filter(pa.array(wanted))
    rows = np.flatnonzero(wanted)
    count = near.bands * near.rows if near is not None else 0
    one_in, least = (containment.one_in, containment.min_keys) if containment is not None else (None, 0)
    if near is not None and containment is not None and near.ngram_words != containment.ngram_words:
        signed = sign(text, near.ngram_words, count)
        sample = sign(text, containment.ngram_words, 0, one_in, least)
    else:
        search = near or containment
        signed = sample = sign(text, search.ngram_words if search is not None else 1, count, one_in, least)
    values = np.full((batch.num_rows, count), 0xFFFFFFFF, np.uint32)
    values[rows] = signed.values
    return _Signed(values, rows, signed.shingles, sample.samples, sample.sampled)


def _band_rows(signed: _Signed, document: int, salts: npt.NDArray[np.uint64], near: NearDuplicates) -> pa.RecordBatch:
    rows = signed.rows[signed.shingles > 0]
    keys = band_keys(signed.values[rows], near.bands, near.rows) ^ salts[rows, None]
    numbers = number_documents(document, len(signed.values))[rows]
    return pa.RecordBatch.from_arrays(
        [pa.array(keys.ravel()), pa.array(np.repeat(numbers, near.bands))], schema=KEY_SCHEMA
    )


def _sample_rows(signed: _Signed, document: int, salts: npt.NDArray[np.uint64]) -> pa.RecordBatch:
    sizes = np.array([len(sample) for sample in signed.samples], np.int64)
    # Most lie below 2^64 / one_in: spread over all of 64 bits, one to one, they can be partitioned by the highest.
    keys = np.concatenate([np.zeros(0, np.uint64), *signed.samples]) * BASE
    numbers = number_documents(document, len(signed.values))[signed.rows]
    columns = [keys ^ np.repeat(salts[signed.rows], sizes), np.repeat(numbers, sizes)]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=KEY_SCHEMA)


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    joined = pa.Table.from_batches(batches, schema).combine_chunks().to_batches()
    return joined[0] if joined else pa.RecordBatch.from_pylist([], schema=schema)


def partitioned(whole: pa.RecordBatch, partition: npt.NDArray[np.int64], partitions: int) -> Iterator[pa.RecordBatch]:
    """One batch for each partition, in order, empty ones too, from the partition of each row."""
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
