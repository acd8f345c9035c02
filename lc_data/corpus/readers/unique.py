"""Ids are unique in a corpus: the first document in plan order keeps its id, later ones go to the quarantine.

Duplicates are found by sorting 16-byte keys, 24 bytes a document in all; only the shards that hold one are written
again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus import storage
from lc_data.corpus.document import QUARANTINE_SCHEMA
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.readers.record import SAMPLE_BYTES
from lc_data.corpus.rows import RowFile
from lc_data.corpus.shard import read_batches, read_table, write_documents

REASON = "duplicated id"


@dataclass(frozen=True)
class Repetition:
    """The documents of one task whose ids others have already."""

    key: str
    source: str
    shards: tuple[FileEntry, ...]
    keys_file: str
    rows: tuple[int, ...]
    """Their numbers within the task, ascending."""


@dataclass
class Removal:
    """What a task's shards became."""

    shards: list[FileEntry] = field(default_factory=list)
    quarantine: list[FileEntry] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    """Only the difference: so many fewer kept, so many more quarantined."""
    example: str | None = None


def find_repeated(keys: Sequence[np.ndarray]) -> list[np.ndarray]:
    """For the keys of each task, uint64[n, 2], the rows whose key stands earlier, in this task or one before it."""
    counts = [len(each) for each in keys]
    if not sum(counts):
        return [np.empty(0, np.int64) for _ in keys]
    all_keys = np.concatenate(keys)
    order = np.lexsort((all_keys[:, 1], all_keys[:, 0]))  # stable: equal keys stay in plan order
    ranked = all_keys[order]
    repeated = np.sort(order[1:][(ranked[1:] == ranked[:-1]).all(axis=1)])
    starts = np.concatenate([[0], np.cumsum(counts)])
    cuts = np.searchsorted(repeated, starts)
    return [repeated[low:high] - start for low, high, start in zip(cuts, cuts[1:], starts, strict=False)]


def load_keys(uri: str) -> np.ndarray:
    """The keys that a task left, uint64[n, 2]; no row for a task without documents."""
    if not storage.exists(uri):
        return np.empty((0, 2), np.uint64)
    column = read_table(uri)["key"].combine_chunks()
    data = np.frombuffer(column.buffers()[1], np.uint64, 2 * len(column), 16 * column.offset)
    return data.reshape(-1, 2)


def remove_repeated(repetition: Repetition, folder: str) -> Removal:
    """Write the shards that hold a repeated id again without it, under ``<shard>-unique.arrow``.

    The old file stays until every task is done, so that a crash leaves what the next attempt needs.
    """
    removal = Removal()
    rows = np.asarray(repetition.rows)
    addresses = read_table(storage.join(folder, repetition.keys_file))["address"]
    first = 0
    with RowFile(folder, f"quarantine/{repetition.key}-repeated.arrow", QUARANTINE_SCHEMA) as quarantine:
        for shard in repetition.shards:
            here = rows[(rows >= first) & (rows < first + shard.rows)] - first
            if not len(here):
                removal.shards.append(shard)
            else:
                for row, document in _documents(storage.join(folder, shard.file), here):
                    _reject(document, addresses[first + row].as_py(), repetition.source, removal, quarantine)
                if len(here) < shard.rows:
                    removal.shards.append(_rewrite(shard, here, folder))
            first += shard.rows
    removal.quarantine = [quarantine.entry] if quarantine.entry else []
    return removal


def _rewrite(shard: FileEntry, rows: np.ndarray, folder: str) -> FileEntry:
    kept = np.ones(shard.rows, bool)
    kept[rows] = False

    def remaining() -> Iterator[pa.Table]:
        first = 0
        for batch in read_batches(storage.join(folder, shard.file)):
            mask = pa.array(kept[first : first + batch.num_rows])
            yield pa.Table.from_batches([batch]).filter(mask)
            first += batch.num_rows

    return write_documents(folder, f"{shard.file.removesuffix('.arrow')}-unique.arrow", remaining())


def _documents(uri: str, rows: np.ndarray) -> Iterator[tuple[int, dict[str, object]]]:
    """The documents at ascending rows of a shard: id, domain, size and the first bytes."""
    first = 0
    for batch in read_batches(uri):
        here = rows[(rows >= first) & (rows < first + batch.num_rows)]
        sizes = pc.binary_length(batch["text"])
        for row in here.tolist():
            text = batch["text"][row - first].as_buffer()
            yield (
                row,
                {
                    "id": batch["id"][row - first].as_py(),
                    "domain": batch["domain"][row - first].as_py(),
                    "bytes": sizes[row - first].as_py(),
                    "sample": text.slice(0, min(SAMPLE_BYTES, text.size)).to_pybytes(),
                },
            )
        first += batch.num_rows


def _reject(document: dict, address: str, source: str, removal: Removal, quarantine: RowFile) -> None:
    domain, size = document["domain"], document["bytes"]
    detail = f"an earlier document has the id {document['id']!r}"
    quarantine.add(source, domain, address, size, REASON, detail, document["sample"], text_bytes=size)
    removal.ledger.keep(domain, -1, -size)
    removal.ledger.quarantine(domain, REASON, 1, size)
    removal.example = removal.example or f"{source}/{address}: {detail}"
