"""The last phase: the shards without what goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus import storage
from lc_data.corpus.document import DROPPED_SCHEMA
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_batches, write_documents, write_rows
from lc_data.engine.task import Task, TaskRecord
from lc_data.stages.dedupe.keepers import REMOVED_SCHEMA
from lc_data.stages.dedupe.slices import Range, one_batch, read_slices, sorted_rows


@dataclass(frozen=True)
class RemoveFromShard:
    """The payload of a task: one shard, its documents, and the files that say what goes."""

    shard_uri: str
    documents: Range
    removed_uris: tuple[str, ...]


def remove_from_shard(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the documents that stay and a row for each that goes."""
    payload: RemoveFromShard = task.payload
    slices = read_slices(payload.removed_uris, "document", payload.documents)
    removed = sorted_rows(one_batch(REMOVED_SCHEMA, slices), "document")
    gone = removed.column("document").to_numpy() - payload.documents.first
    ledger, dropped = Ledger(), []

    def kept() -> Iterator[pa.Table]:
        first = 0
        for batch in read_batches(payload.shard_uri):
            start, end = np.searchsorted(gone, [first, first + batch.num_rows])
            rows = gone[start:end] - first
            dropped.extend(_enter(ledger, batch, rows, removed.slice(start, end - start).to_pylist()))
            mask = np.ones(batch.num_rows, bool)
            mask[rows] = False
            first += batch.num_rows
            yield pa.Table.from_batches([batch]).filter(pa.array(mask))

    entry = write_documents(folder.uri, f"shards/{task.key}.arrow", kept())
    if not entry.rows:
        storage.remove_file(folder.file(entry.file))
    rejected = write_rows(folder.uri, f"dropped/{task.key}.arrow", dropped, DROPPED_SCHEMA)
    return TaskRecord(shards=[entry] if entry.rows else [], dropped=[rejected] if rejected else [], ledger=ledger)


def _enter(
    ledger: Ledger, batch: pa.RecordBatch, rows: npt.NDArray[np.int64], removed: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Book a batch; returns the rows of its dropped documents."""
    domains = batch.column("domain").to_pylist()
    sizes = pc.binary_length(batch.column("text")).to_pylist()
    reasons = dict(zip(rows.tolist(), removed, strict=True))
    found = []
    for row, (domain, size) in enumerate(zip(domains, sizes, strict=True)):
        ledger.come_in(domain, 1, size)
        if row not in reasons:
            ledger.keep(domain, 1, size)
            continue
        reason, detail = reasons[row]["reason"], reasons[row]["detail"]
        ledger.drop(domain, reason, 1, size)
        document_id = batch.column("id")[row].as_py()
        found.append({"id": document_id, "reason": reason, "domain": domain, "bytes": size, "detail": detail})
    return found
