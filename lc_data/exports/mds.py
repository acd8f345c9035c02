"""MosaicML Streaming's MDS: one sample per row, with ProLong's ``indices`` (begin and end of each document).

Columns: ``input_ids`` (int32), ``mask`` (uint8: 1 where the token is a target), ``indices`` (int32 [documents, 2],
padding left out), ``pack_index``. Shards stay under 4 GiB, as their 32-bit offsets demand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from lc_data.corpus import storage
from lc_data.exports.format import Format, Header, Shard, documents, targets
from lc_data.packing.fill import Pack

_VERSION = 2


class Mds(Format):
    """``part-00000.mds``, ... and ``index.json``."""

    name: ClassVar[str] = "mds"
    carries_labels: ClassVar[bool] = True
    bytes_per_token: ClassVar[int] = 5

    def write(self, rows: Iterable[Pack], shard_uri: str, header: Header) -> list[str]:
        """Write the samples of a shard, behind their count, their offsets, and the description of their columns."""
        samples = [_sample(row) for row in rows]
        description = json.dumps(_description(header), sort_keys=True).encode()
        begin = 4 * (len(samples) + 2) + len(description)
        offsets = np.cumsum([begin, *map(len, samples)]).astype(np.uint32)
        uri = f"{shard_uri}.mds"
        with storage.create(uri) as sink:
            sink.write(np.uint32(len(samples)).tobytes() + offsets.tobytes() + description)
            for sample in samples:
                sink.write(sample)
        return [uri]

    def finish(self, folder_uri: str, shards: Sequence[Shard], header: Header) -> list[str]:
        """Write ``index.json``, from which a StreamingDataset knows its shards."""
        entries = [
            {
                "samples": shard.rows,
                "raw_data": {
                    "basename": shard.files[0].rsplit("/", 1)[-1],
                    "bytes": storage.size_bytes(shard.files[0]),
                    "hashes": {},
                },
                "zip_data": None,
            }
            | _description(header)
            for shard in shards
        ]
        uri = storage.join(folder_uri, "index.json")
        storage.write_atomic(uri, json.dumps({"shards": entries, "version": _VERSION}, sort_keys=True).encode())
        return [uri]


def _description(header: Header) -> dict[str, Any]:
    """Describe the columns, by name in alphabetical order; a size is null where samples differ in it."""
    columns = {
        "indices": ("ndarray:int32", None),
        "input_ids": (f"ndarray:int32:{header.seq_len}", 4 * header.seq_len),
        "mask": (f"ndarray:uint8:{header.seq_len}", header.seq_len),
        "pack_index": ("int", 8),
    }
    return {
        "version": _VERSION,
        "format": "mds",
        "compression": None,
        "hashes": [],
        "size_limit": None,
        "column_names": list(columns),
        "column_encodings": [encoding for encoding, _ in columns.values()],
        "column_sizes": [size for _, size in columns.values()],
    }


def _sample(row: Pack) -> bytes:
    """Encode a sample: the size of ``indices``, the only column that varies, and then the columns."""
    there = documents(row)
    begins, ends = there.cu_seqlens[:-1], there.cu_seqlens[1:]
    indices = np.stack((begins, ends), axis=1)[there.document_ids >= 0].astype(np.int32)
    # An array of free shape begins with (dimensions << 2 | 2): its shape follows as uint32.
    shaped = (
        np.uint8(indices.ndim << 2 | 2).tobytes() + np.array(indices.shape, np.uint32).tobytes() + indices.tobytes()
    )
    columns = (
        shaped,
        row.input_ids.astype(np.int32).tobytes(),
        targets(row).astype(np.uint8).tobytes(),
        np.int64(row.pack_index).tobytes(),
    )
    return np.uint32(len(shaped)).tobytes() + b"".join(columns)
