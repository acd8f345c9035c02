"""For whom each document goes, once it is decided who stays: range by range of the documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.dedup.decision import STAYS, best_rows, order_documents
from lc_data.engine.task import Task, TaskRecord
from lc_data.stages.dedupe.decide import States
from lc_data.stages.dedupe.join import COPIES_SCHEMA
from lc_data.stages.dedupe.settled import numbers_of, write_bits
from lc_data.stages.dedupe.sketch import Sketches
from lc_data.stages.dedupe.slices import Range, one_batch, read_slices, sorted_rows, write_sorted
from lc_data.stages.dedupe.verify import VERIFIED_SCHEMA

REMOVED_SCHEMA = pa.schema([("document", pa.int64()), ("reason", pa.string()), ("detail", pa.large_string())])
_FOLLOWERS_SCHEMA = pa.schema([("document", pa.int64()), ("keeper", pa.int64())])
_RULING = ("document", "keeper", "similarity", "keeper_id", "keeper_rank", "keeper_bytes")
"""What it takes to choose among keepers: without the details, which are most of the bytes."""


@dataclass(frozen=True)
class RangeOfKeepers:
    """The payload of a task: a range of documents, what was verified of them, and the files that name copies."""

    documents: Range
    verified_uris: tuple[str, ...]
    states: States
    copies_uris: tuple[str, ...]
    """By document for :func:`settle_near`, by keeper for :func:`list_removals`."""
    sketches: Sketches


def settle_near(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the near-duplicates that go with their keepers, and the bits of all that is settled by now."""
    payload: RangeOfKeepers = task.payload
    gone = _chosen(payload).select(_FOLLOWERS_SCHEMA.names)
    write_sorted(f"{folder.work_uri}/followers/{task.key}.arrow", gone, "keeper")
    copies = read_slices(payload.copies_uris, "document", payload.documents, ("document",))
    settled = np.concatenate([numbers_of(copies, "document"), gone.column("document").to_numpy()])
    write_bits(f"{folder.work_uri}/settled/{task.key}.arrow", payload.documents, settled)
    return TaskRecord()


def list_removals(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the documents of a range that go, and the copies, wherever they are, of what lies in the range.

    Each with its reason and, as JSON, its keeper, the measure and the spans. A span is four bytes' places: from and to
    in the document that goes, from and to in its keeper. The keeper of a copy may itself go for another reason; the
    copy has the same words, so its keeper is then the other one's, by the same measure, and the detail says which text
    it equals, in which the spans lie.
    """
    payload: RangeOfKeepers = task.payload
    details: dict[int, dict[str, Any]] = {}
    rows: list[tuple[int, str, str]] = []
    for row in _chosen(payload).to_pylist():
        details[row["document"]] = {"keeper": row["keeper_id"]} | json.loads(row["detail"])
        rows.append((row["document"], row["reason"], _as_json(details[row["document"]])))
    rows += _copies(payload, details)
    columns = list(zip(*rows, strict=True)) or [()] * len(REMOVED_SCHEMA)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, REMOVED_SCHEMA, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=REMOVED_SCHEMA)
    write_sorted(f"{folder.work_uri}/removed/{task.key}.arrow", batch, "document")
    return TaskRecord(facts={"removed": len(rows)})


def _copies(payload: RangeOfKeepers, details: dict[int, dict[str, Any]]) -> Iterator[tuple[int, str, str]]:
    copies = pa.Table.from_batches(read_slices(payload.copies_uris, "keeper", payload.documents), COPIES_SCHEMA)
    if not copies.num_rows:
        return
    originals = np.unique(copies.column("keeper").to_numpy())
    known = payload.sketches.look_up(originals, "id", "bytes").to_pydict()
    ids, sizes = (dict(zip(originals.tolist(), known[name], strict=True)) for name in ("id", "bytes"))
    for document, equal, size in zip(*(copies.column(name).to_pylist() for name in COPIES_SCHEMA.names), strict=True):
        whole = {"span_bytes": size, "spans_found": 1, "spans": [[0, size, 0, sizes[equal]]]}
        detail: dict[str, Any] = {"keeper": ids[equal], "jaccard": 1.0} | whole
        if equal in details:
            detail = details[equal] | {"same_text_as": ids[equal]}
        yield document, "exact_duplicate", _as_json(detail)


def _chosen(payload: RangeOfKeepers) -> pa.RecordBatch:
    """The verified row of each document of the range that goes, by document: of its keepers that stay the best one."""
    slices = list(read_slices(payload.verified_uris, "document", payload.documents))
    schema = pa.schema([VERIFIED_SCHEMA.field(name) for name in _RULING])
    rows = one_batch(schema, (batch.select(list(_RULING)) for batch in slices))
    keepers, places = np.unique(rows.column("keeper").to_numpy(), return_inverse=True)
    staying = np.flatnonzero((payload.states.look_up(keepers) == STAYS)[places])
    rows = rows.take(pa.array(staying))
    sizes, ranks = (rows.column(name).to_numpy() for name in ("keeper_bytes", "keeper_rank"))
    order = order_documents(sizes, rows.column("keeper_id").to_pylist(), ranks)
    best = best_rows(rows.column("document").to_numpy(), rows.column("similarity").to_numpy(), order)
    numbers = np.sort(staying[best])
    borders = np.searchsorted(numbers, np.cumsum([0, *(batch.num_rows for batch in slices)]))
    parts = zip(slices, np.split(numbers, borders[1:-1]) if slices else [], strict=True)
    first, chosen = 0, []
    for batch, part in parts:
        chosen.append(batch.take(pa.array(part - first)))
        first += batch.num_rows
    return sorted_rows(one_batch(VERIFIED_SCHEMA, chosen), "document")


def _as_json(detail: dict[str, Any]) -> str:
    return json.dumps(detail, ensure_ascii=False, sort_keys=True)
