"""Phases five and six: documents that share sampled n-grams, counted over all partitions of them.

A pair's keys lie in many partitions, so its count is a sum over tasks. Each task writes its part already partitioned by
pair; the tasks that add up take runs of those partitions, as many as fit. No count of pairs is ever held whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.dedup.buckets import partition_of
from lc_data.dedup.containment import Overlaps, add_up, count_overlaps
from lc_data.engine.task import Task, TaskRecord
from lc_data.recipe.dedupe import Containment
from lc_data.stages.dedupe.join import PAIRS_SCHEMA, group_partition, pairs_batch
from lc_data.stages.dedupe.sketch import Sketches, partitioned

OVERLAP_SCHEMA = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("shared", pa.int64())])
MAX_PAIRS = 1 << 22
"""Pairs that a task holds at a time: 34 MB while they are sorted, and 100 MB when they have been counted."""


@dataclass(frozen=True)
class SamplePartition:
    """The payload of a task: one partition of the sampled n-grams, and the documents that are settled already."""

    partition: int
    key_uris: tuple[str, ...]
    settled_uri: str
    containment: Containment
    pair_partitions: int


@dataclass(frozen=True)
class OverlapPartitions:
    """The payload of a task: a run of the partitions by pair."""

    first: int
    last: int
    """Excluded."""
    overlap_uris: tuple[str, ...]
    pieces: tuple[int, ...]
    """How many pieces of each file are there, each with a batch for every partition."""
    pair_partitions: int
    sketches: Sketches
    containment: Containment


def find_overlaps(task: Task, folder: StageFolder) -> TaskRecord:
    """Write how many n-grams of one partition documents share."""
    payload: SamplePartition = task.payload
    groups = group_partition(payload.key_uris, payload.partition, payload.settled_uri)
    counts = np.zeros(payload.pair_partitions, np.int64)
    pieces = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal pieces
        limit = payload.containment.max_documents_per_key
        for overlaps in count_overlaps(groups, limit, MAX_PAIRS):
            partition = _pair_partition(overlaps.pairs, payload.pair_partitions)
            counts[:] += np.bincount(partition, minlength=len(counts))
            pieces += 1
            yield from partitioned(_overlap_batch(overlaps), partition, payload.pair_partitions)

    write_batches(f"{folder.work_uri}/overlaps/{task.key}.arrow", OVERLAP_SCHEMA, batches())
    return TaskRecord(facts={"pieces": pieces, "pairs": counts.tolist()})


def plan_runs(pairs: npt.NDArray[np.int64], max_pairs: int) -> Iterator[tuple[int, int]]:
    """Cut the partitions, which hold so many pairs each, into runs of at most ``max_pairs``; a larger one is alone."""
    start = held = 0
    for partition, count in enumerate(pairs.tolist()):
        if partition > start and held + count > max_pairs:
            yield start, partition
            start, held = partition, 0
        held += count
    yield start, len(pairs)


def find_contained(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the pairs of which one shares enough of its sample with the other."""
    payload: OverlapPartitions = task.payload
    batches = [
        batch
        for uri, pieces in zip(payload.overlap_uris, payload.pieces, strict=True)
        for piece in range(pieces)
        for batch in pick_batches(
            uri, range(piece * payload.pair_partitions + payload.first, piece * payload.pair_partitions + payload.last)
        )
    ]
    table = pa.Table.from_batches(batches, OVERLAP_SCHEMA)
    pairs = np.stack([table.column(name).to_numpy() for name in ("left", "right")], axis=1)
    total = add_up(Overlaps(pairs, table.column("shared").to_numpy()))
    documents, rows = np.unique(total.pairs, return_inverse=True)
    sampled = payload.sketches.look_up(documents, "sampled").column("sampled").to_numpy()
    share = total.shared / sampled[rows.reshape(-1, 2)].min(axis=1) if len(documents) else np.zeros(0)
    likely = total.pairs[share >= payload.containment.threshold]
    write_batches(f"{folder.work_uri}/contained/{task.key}.arrow", PAIRS_SCHEMA, [pairs_batch(likely)])
    return TaskRecord(facts={"overlapping": len(total.pairs)})


def _pair_partition(pairs: npt.NDArray[np.int64], partitions: int) -> npt.NDArray[np.int64]:
    left, right = pairs.astype(np.uint64).T
    mixed = left * np.uint64(0x9E3779B97F4A7C15) + right * np.uint64(0xC2B2AE3D27D4EB4F)
    return partition_of((mixed ^ mixed >> np.uint64(29)) * np.uint64(0xFF51AFD7ED558CCD), partitions)


def _overlap_batch(overlaps: Overlaps) -> pa.RecordBatch:
    columns = [*np.ascontiguousarray(overlaps.pairs.T), overlaps.shared]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=OVERLAP_SCHEMA)
