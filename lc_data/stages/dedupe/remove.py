"""The last phase: the decision, the alarm, and the shards without what goes."""

from __future__ import annotations

import json
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
from lc_data.corpus.scratch import pick_batches
from lc_data.corpus.shard import read_batches, write_documents, write_rows
from lc_data.dedup.alarm import Loss, overdone, source_group
from lc_data.dedup.decision import order_documents, remove_verified
from lc_data.engine.task import Task, TaskRecord
from lc_data.failure import Failure
from lc_data.recipe.recipe import Recipe
from lc_data.stages.dedupe.sketch import Sketches

COPY_COLUMNS = ("document", "keeper")
REMOVED_SCHEMA = pa.schema([("document", pa.int64()), ("reason", pa.string()), ("detail", pa.string())])


class WipeOutError(Failure):
    """A source loses more than the recipe's share of its documents."""


@dataclass(frozen=True)
class RemoveFromShard:
    """The payload of a task: one shard, and where its removals lie."""

    shard_uri: str
    first_document: int
    removed_uri: str
    number: int


def decide(verified: pa.Table, sketches: Sketches) -> pa.Table:
    """The rows of verified pairs, documents named by their numbers, that decide by the rule of ``dedup.decision``."""
    pairs = np.stack([verified.column(name).to_numpy() for name in COPY_COLUMNS], axis=1)
    documents, rows = np.unique(pairs, return_inverse=True)
    known = sketches.look_up(documents, "bytes", "rank", "id")
    sizes, ranks = (known.column(name).to_numpy().astype(np.int64) for name in ("bytes", "rank"))
    places = order_documents(sizes, known.column("id").to_pylist(), ranks)
    removals = remove_verified(rows.reshape(-1, 2), verified.column("similarity").to_numpy(), places)
    return verified.take(pa.array(removals.rows))


def removed_table(copies: pa.Table, decided: pa.Table, sketches: Sketches) -> pa.Table:
    """Every document that goes, sorted by number, with its reason and, as JSON, its keeper, the measure and the spans.

    A span is four bytes' places: from and to in the document that goes, from and to in its keeper. The keeper of a copy
    may itself go for another reason; the copy has the same words, so its keeper is then the other one's, by the same
    measure, and the detail says which text it equals, in which the spans lie.
    """
    numbers = [table.column(name).to_numpy() for table in (copies, decided) for name in COPY_COLUMNS]
    documents = np.unique(np.concatenate(numbers).astype(np.int64))
    known = sketches.look_up(documents, "id", "bytes").to_pydict()
    ids, sizes = (dict(zip(documents.tolist(), known[name], strict=True)) for name in ("id", "bytes"))
    rows, detail_of = [], {}
    for row in decided.to_pylist():
        detail_of[row["document"]] = {"keeper": ids[row["keeper"]]} | json.loads(row["detail"])
        rows.append((row["document"], row["reason"], detail_of[row["document"]]))
    for document, equal in zip(*(copies.column(name).to_pylist() for name in COPY_COLUMNS), strict=True):
        whole = {"span_bytes": sizes[document], "spans_found": 1, "spans": [[0, sizes[document], 0, sizes[equal]]]}
        detail: dict[str, Any] = {"keeper": ids[equal], "jaccard": 1.0} | whole
        if equal in detail_of:
            detail = detail_of[equal] | {"same_text_as": ids[equal]}
        rows.append((document, "exact_duplicate", detail))
    rows.sort(key=lambda row: row[0])
    columns = [
        [document for document, _, _ in rows],
        [reason for _, reason, _ in rows],
        [json.dumps(detail, ensure_ascii=False, sort_keys=True) for _, _, detail in rows],
    ]
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, REMOVED_SCHEMA, strict=True)],
        schema=REMOVED_SCHEMA,
    )


def raise_alarm(removed: pa.Table, sketches: Sketches, recipe: Recipe) -> None:
    """Raise :class:`WipeOutError`, with examples, where a domain or a source loses more than its share."""
    section = recipe.dedupe
    losses = _losses(removed, sketches, frozenset(source.name for source in recipe.sources))
    lines = overdone(losses, section.max_loss_by_domain, section.max_loss, section.min_documents_for_alarm)
    if lines:
        message = "\n  ".join(["dedupe would remove too much, so nothing was removed:", *lines])
        raise WipeOutError(f"{message}\n  If that is right, raise dedupe.max_loss or set dedupe.max_loss_by_domain")


def _losses(removed: pa.Table, sketches: Sketches, names: frozenset[str]) -> dict[tuple[str, str], Loss]:
    """What each source of each domain loses."""
    losses: dict[tuple[str, str], Loss] = {}
    if not removed.num_rows:
        return losses
    gone = removed.column("document").to_numpy()
    details = removed.column("detail").to_pylist()
    first = 0
    for batch in sketches.all("id", "domain", "source"):
        domains, sources = (batch.column(name).to_pylist() for name in ("domain", "source"))
        groups = [source_group(domain, source, names) for domain, source in zip(domains, sources, strict=True)]
        for group in groups:
            losses.setdefault(group, Loss()).documents += 1
        start, end = np.searchsorted(gone, [first, first + batch.num_rows])
        for index in range(start, end):
            row = int(gone[index]) - first
            losses[groups[row]].remove(f"{batch.column('id')[row]}: {details[index]}")
        first += batch.num_rows
    return losses


def remove_from_shard(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the documents that stay and a row for each that goes."""
    payload: RemoveFromShard = task.payload
    (removed,) = pick_batches(payload.removed_uri, [payload.number])
    gone = removed.column("document").to_numpy() - payload.first_document
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
