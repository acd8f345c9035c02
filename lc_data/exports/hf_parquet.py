"""Parquet for Hugging Face ``datasets``, and for whatever reads its rows: Trainer, TRL, Axolotl, torchtitan.

Boundaries are given twice: as ``position_ids``, from which padding-free collators infer them, and as ``seq_lens``,
from which nothing has to be inferred. Padding is the last of ``seq_lens`` where document id is -1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lc_data.corpus import storage
from lc_data.exports.format import Format, Header, documents
from lc_data.packing.fill import Pack

_ROW_GROUP_TOKENS = 1 << 22

_INT32S, _INT64S = pa.list_(pa.int32()), pa.list_(pa.int64())

SCHEMA = pa.schema({
    "pack_index": pa.int64(), "input_ids": _INT32S, "labels": _INT32S, "position_ids": _INT32S, "seq_lens": _INT32S,
    "document_ids": _INT64S, "domain_ids": _INT32S,
})  # fmt: skip
"""One row per pack; the last three have one element per document, padding last."""


class HfParquet(Format):
    """``part-00000.parquet``, ..."""

    name: ClassVar[str] = "hf-parquet"
    carries_labels: ClassVar[bool] = True
    bytes_per_token: ClassVar[int] = 6

    def write(self, rows: Iterable[Pack], shard_uri: str, header: Header) -> list[str]:
        """Write ``SHARD.parquet``, zstd, in row groups of about four million tokens."""
        uri = f"{shard_uri}.parquet"
        with storage.create(uri) as sink, pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
            group: list[dict] = []
            for row in rows:
                group.append(_record(row))
                if len(group) * header.seq_len >= _ROW_GROUP_TOKENS:
                    writer.write_table(pa.Table.from_pylist(group, SCHEMA))
                    group = []
            if group:
                writer.write_table(pa.Table.from_pylist(group, SCHEMA))
        return [uri]


def _record(row: Pack) -> dict:
    there = documents(row)
    return {
        "pack_index": row.pack_index,
        "input_ids": row.input_ids,
        "labels": row.labels,
        "position_ids": row.position_ids,
        "seq_lens": np.diff(there.cu_seqlens),
        "document_ids": there.document_ids,
        "domain_ids": there.domain_ids,
    }
