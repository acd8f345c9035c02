"""What each source and each domain would lose, counted before anything is removed.

A corpus may have as many sources as documents, so nobody holds the counts of all: each range of documents writes its
own by a hash of what is watched, and a task takes a range of the hashes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import xxhash

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches
from lc_data.dedup.alarm import Group, Loss, overdone, source_group
from lc_data.engine.stage import StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.failure import Failure
from lc_data.recipe.dedupe import DedupeSection
from lc_data.stages.dedupe import bounds
from lc_data.stages.dedupe.numbering import Corpus
from lc_data.stages.dedupe.slices import Range, even_ranges, read_slices, write_sorted

_LOSS_SCHEMA = pa.schema([
    ("place", pa.uint64()), ("domain", pa.string()), ("source", pa.string()), ("documents", pa.int64()),
    ("removed", pa.int64()), ("examples", pa.list_(pa.string())),
])  # fmt: skip
_NAMED_LINES = 20


class WipeOutError(Failure):
    """A source loses more than the recipe's share of its documents."""


@dataclass(frozen=True)
class RangeOfLosses:
    """The payload of a task: the sketches of a range of documents, and what goes."""

    documents: Range
    sketch_uris: tuple[str, ...]
    removed_uris: tuple[str, ...]
    source_names: frozenset[str]


@dataclass(frozen=True)
class LossesToSum:
    """The payload of a task: a range of the hashes of what is watched."""

    places: Range
    loss_uris: tuple[str, ...]
    section: DedupeSection


def raise_alarm(context: StageContext, corpus: Corpus, removed_uris: tuple[str, ...]) -> None:
    """Raise :class:`WipeOutError`, with examples, where a domain or a source loses more than its share."""
    recipe, uris = context.recipe, corpus.sketches.uris
    names = frozenset(source.name for source in recipe.sources)
    first = corpus.sketches.first_documents
    tasks = [
        Task(
            f"{number:05d}",
            RangeOfLosses(
                documents,
                tuple(uris[np.searchsorted(first, documents.first) : np.searchsorted(first, documents.last)]),
                removed_uris,
                names,
            ),
            documents.last - documents.first + 1,
        )
        for number, documents in enumerate(corpus.ranges)
    ]
    records = context.map("losses", count_losses, tasks)
    loss_uris = tuple(f"{context.folder.work_uri}/losses/{task.key}.arrow" for task in tasks)
    groups = sum(record.facts["groups"] for record in records)
    tasks = [
        Task(f"{number:05d}", LossesToSum(places, loss_uris, recipe.dedupe))
        for number, places in enumerate(even_ranges(groups, bounds.RANGE_DOCUMENTS, 1 << 64))
    ]
    records = context.map("alarm", sum_losses, tasks)
    lines = sorted(line for record in records for line in record.facts["lines"])
    if lines:
        more = sum(record.facts["overdone"] for record in records) - len(lines[:_NAMED_LINES])
        shown = [*lines[:_NAMED_LINES], *([f"and {more} more"] if more else [])]
        message = "\n  ".join(["dedupe would remove too much, so nothing was removed:", *shown])
        raise WipeOutError(f"{message}\n  If that is right, raise dedupe.max_loss or set dedupe.max_loss_by_domain")


def count_losses(task: Task, folder: StageFolder) -> TaskRecord:
    """Write what each source and each domain has in a range, and what of it goes."""
    payload: RangeOfLosses = task.payload
    slices = list(read_slices(payload.removed_uris, "document", payload.documents, ("document", "detail")))
    where = {
        document: (number, row)
        for number, rows in enumerate(slices)
        for row, document in enumerate(rows.column("document").to_pylist())
    }
    losses: dict[Group, Loss] = {}
    document = payload.documents.first
    for uri in payload.sketch_uris:
        (batch,) = pick_batches(uri, [0], ("id", "domain", "source"))
        for name, domain, source in zip(*(batch.column(column).to_pylist() for column in range(3)), strict=True):
            for group in ((domain, None), source_group(domain, source, payload.source_names)):
                loss = losses.setdefault(group, Loss())
                loss.documents += 1
                if document in where:
                    loss.remove(partial(_describe, name, slices, where[document]))
            document += 1
    rows = [
        {"place": _place(group), "domain": group[0], "source": group[1]} | vars(loss) for group, loss in losses.items()
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=_LOSS_SCHEMA)
    write_sorted(f"{folder.work_uri}/losses/{task.key}.arrow", batch, "place")
    return TaskRecord(facts={"groups": len(rows)})


def sum_losses(task: Task, folder: StageFolder) -> TaskRecord:
    """Add up what ranges have counted; the record has the lines of those that lose too much, the first few."""
    payload: LossesToSum = task.payload
    losses: dict[Group, Loss] = {}
    for batch in read_slices(payload.loss_uris, "place", payload.places):
        for row in batch.to_pylist():
            loss = Loss(row["documents"], row["removed"], row["examples"])
            losses.setdefault((row["domain"], row["source"]), Loss()).add(loss)
    section = payload.section
    lines = overdone(losses, section.max_loss_by_domain, section.max_loss, section.min_documents_for_alarm)
    return TaskRecord(facts={"overdone": len(lines), "lines": lines[:_NAMED_LINES]})


def _describe(name: str, slices: Sequence[pa.RecordBatch], where: tuple[int, int]) -> str:
    number, row = where
    return f"{name}: {slices[number].column('detail')[row]}"


def _place(group: Group) -> int:
    return xxhash.xxh3_64_intdigest(json.dumps(group))
