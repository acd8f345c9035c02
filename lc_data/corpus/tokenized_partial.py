"""What tokenising leaves for grouping: each task's documents, sorted by stratum and order key.

The index beside it is all that planning reads; the tokens are mapped later, and of each file only the slice that a
shard needs. Written once, read once, and removed when the stage is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus import storage
from lc_data.corpus.columns import column_field
from lc_data.corpus.mapped_batch import map_batch
from lc_data.corpus.tokenized_writer import span_lists, token_lists

_INDEX_SCHEMA = pa.schema([
    pa.field("domain", pa.uint16(), nullable=False),
    pa.field("bucket", pa.uint8(), nullable=False),
    pa.field("key", pa.uint64(), nullable=False),
    pa.field("length", pa.uint32(), nullable=False),
])  # fmt: skip


@dataclass(frozen=True)
class PartialDocuments:
    """The documents of one task, in any order; lists of equal length."""

    ids: list[str]
    domains: list[int]
    """domain codes"""
    buckets: npt.NDArray[np.uint8]
    keys: list[int]
    """64-bit order keys"""
    text_bytes: list[int]
    tokens: list[npt.NDArray]
    target_spans: list[list[tuple[int, int]] | None]
    columns: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """by name, NaN where a document lacks it"""


@dataclass(frozen=True)
class Slice:
    """Consecutive rows of a partial file."""

    uri: str
    first_row: int
    rows: int

    def read(self) -> pa.RecordBatch:
        """Map the rows: ``key``, ``id``, ``bytes``, ``tokens``, ``target_spans``, and each column (NaN: missing)."""
        batch, _ = map_batch(self.uri, ("tokens",))
        return batch.slice(self.first_row, self.rows)


class PartialIndex:
    """The index of one partial file, mapped: rows sorted by domain, bucket and key."""

    def __init__(self, data_uri: str) -> None:
        self._data_uri = data_uri
        batch, _ = map_batch(index_uri(data_uri))
        self._keys: npt.NDArray[np.uint64] = batch["key"].to_numpy()
        self._lengths: npt.NDArray[np.uint32] = batch["length"].to_numpy()
        strata = batch["domain"].to_numpy().astype(np.int32) << 8 | batch["bucket"].to_numpy()
        codes, starts = np.unique(strata, return_index=True)
        ends = np.append(starts, len(strata))[1:]
        self._rows = {
            (int(c) >> 8, int(c) & 255): (int(a), int(b)) for c, a, b in zip(codes, starts, ends, strict=True)
        }

    @property
    def strata(self) -> set[tuple[int, int]]:
        """The (domain code, bucket) pairs that have documents."""
        return set(self._rows)

    def stratum(self, stratum: tuple[int, int]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
        """Keys, ascending, and lengths of a stratum's documents."""
        start, end = self._rows.get(stratum, (0, 0))
        return self._keys[start:end], self._lengths[start:end]

    def slice(self, stratum: tuple[int, int], first_key: int, last_key: int) -> Slice | None:
        """The rows of a stratum with keys from ``first_key`` to ``last_key``, both inclusive; None without any."""
        start, _ = self._rows.get(stratum, (0, 0))
        keys, _ = self.stratum(stratum)
        low = int(np.searchsorted(keys, np.uint64(first_key), side="left"))
        high = int(np.searchsorted(keys, np.uint64(last_key), side="right"))
        return Slice(self._data_uri, start + low, high - low) if high > low else None


def index_uri(data_uri: str) -> str:
    """Where the index of a partial file stands."""
    return f"{data_uri}.index"


def write_partial(data_uri: str, documents: PartialDocuments) -> None:
    """Sort documents by domain, bucket, key and id, and write them with their index."""
    table = pa.table({
        "domain": pa.array(documents.domains, pa.uint16()),
        "bucket": pa.array(documents.buckets, pa.uint8()),
        "key": pa.array(documents.keys, pa.uint64()),
        "id": pa.array(documents.ids, pa.string()),
        "bytes": pa.array(documents.text_bytes, pa.int64()),
        "length": pa.array([len(tokens) for tokens in documents.tokens], pa.uint32()),
        "target_spans": span_lists(documents.target_spans),
    } | {column_field(name): pa.array(values, pa.float32()) for name, values in documents.columns.items()})  # fmt: skip
    order = pc.sort_indices(table, [(name, "ascending") for name in ("domain", "bucket", "key", "id")])
    table = table.take(order).combine_chunks()
    in_order = [documents.tokens[row] for row in order.to_pylist()]
    tokens = np.concatenate(in_order) if in_order else np.zeros(0, np.int32)
    lists = token_lists(tokens, table["length"].to_numpy())
    kept = ["key", "id", "bytes", "target_spans", *map(column_field, documents.columns)]
    data = table.select(kept).append_column("tokens", lists)
    _write(data_uri, data)
    _write(index_uri(data_uri), table.select(_INDEX_SCHEMA.names).cast(_INDEX_SCHEMA))


def _write(uri: str, table: pa.Table) -> None:
    batches = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    with storage.create(uri) as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_batch(batches[0])
