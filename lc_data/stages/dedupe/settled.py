"""Which documents a later search leaves out, because it is settled that they go: one bit for each document.

A file holds the bits of one range of documents. A join reads the keys of one shard after the other, and with them the
bits of the range that the shard lies in: none of its memory grows with the number of documents.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.engine.task import Task, TaskRecord
from lc_data.stages.dedupe.slices import Range, read_slices

_SCHEMA = pa.schema([("bits", pa.uint8())])


@dataclass(frozen=True)
class Settled:
    """The documents that go, range by range."""

    uris: tuple[str, ...]
    borders: tuple[int, ...]
    """The first document of each range, and after the last one the number of documents."""

    def bits_at(self, document: int) -> tuple[npt.NDArray[np.uint8], int]:
        """The bits of the range that holds a document, mapped where the storage can, and its first document.

        Bit ``d % 8`` of byte ``d // 8`` is that of document ``d`` of the range.
        """
        part = bisect_right(self.borders, document, hi=len(self.uris)) - 1
        return _read_bits(self.uris[part]), self.borders[part]


@dataclass(frozen=True)
class CopiesOfRange:
    """The payload of a task: a range of documents, and the files that name copies."""

    documents: Range
    copies_uris: tuple[str, ...]


def settle_copies(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the bits of the copies of one range."""
    payload: CopiesOfRange = task.payload
    copies = read_slices(payload.copies_uris, "document", payload.documents, ("document",))
    write_bits(f"{folder.work_uri}/copied/{task.key}.arrow", payload.documents, numbers_of(copies, "document"))
    return TaskRecord()


def numbers_of(rows: Iterable[pa.RecordBatch], column: str) -> npt.NDArray[np.int64]:
    """One column of some rows: int64[rows]."""
    return np.concatenate([np.zeros(0, np.int64), *(batch.column(column).to_numpy() for batch in rows)])


def write_bits(uri: str, documents: Range, gone: npt.NDArray[np.int64]) -> None:
    """Write the bits of a range of which some documents, in any order and perhaps named twice, go."""
    flags = np.zeros(documents.last - documents.first, bool)
    flags[gone - documents.first] = True
    bits = np.packbits(flags, bitorder="little")
    write_batches(uri, _SCHEMA, [pa.RecordBatch.from_arrays([pa.array(bits)], schema=_SCHEMA)])


def _read_bits(uri: str) -> npt.NDArray[np.uint8]:
    (batch,) = pick_batches(uri, [0])
    bits: npt.NDArray[np.uint8] = batch.column("bits").to_numpy()
    return bits
