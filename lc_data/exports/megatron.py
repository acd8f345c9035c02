"""Megatron-LM's ``.bin`` and ``.idx``: each piece of a document is a sequence and a document, and so is padding.

Laid end to end the sequences are the rows, so a dataset that concatenates and cuts at ``seq_len`` without shuffling
documents meets exactly our rows. The format has no place for labels: rows of dialogues are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from lc_data.corpus import storage
from lc_data.exports.format import Format, Header, documents
from lc_data.packing.fill import Pack

_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_TYPE_CODES = {np.dtype(np.int32): 4, np.dtype(np.uint16): 8}


class Megatron(Format):
    """``part-00000.bin`` and ``part-00000.idx``, ...: prefixes as ``--data-path`` takes them."""

    name: ClassVar[str] = "megatron"
    carries_labels: ClassVar[bool] = False
    bytes_per_token: ClassVar[int] = 4

    def write(self, rows: Iterable[Pack], shard_uri: str, header: Header) -> list[str]:
        """Write the tokens of a shard and their index."""
        dtype, lengths = header.token_dtype, []
        with storage.create(f"{shard_uri}.bin") as sink:
            for row in rows:
                sink.write(row.input_ids.astype(dtype).tobytes())
                lengths.append(np.diff(documents(row).cu_seqlens))
        with storage.create(f"{shard_uri}.idx") as sink:
            sink.write(_index(np.concatenate(lengths), dtype))
        return [f"{shard_uri}.bin", f"{shard_uri}.idx"]


def _index(lengths: np.ndarray, dtype: np.dtype) -> bytes:
    """Return an index: lengths of the sequences in tokens, where they begin in bytes, where documents end."""
    count = len(lengths)
    ends = np.cumsum(lengths, dtype=np.int64) * dtype.itemsize
    begins = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
    documents = np.arange(count + 1, dtype=np.int64)
    head = _MAGIC + struct.pack("<QBQQ", _VERSION, _TYPE_CODES[dtype], count, len(documents))
    return head + lengths.astype(np.int32).tobytes() + begins.tobytes() + documents.tobytes()
