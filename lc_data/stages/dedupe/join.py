"""Documents that have keys in common, one partition of the keys at a time: copies, near-duplicates, overlaps.

Copies are found as they are. Pairs that share a band are looked at once more by their signatures, which say which of
them are likely. A pair's sampled n-grams lie in many partitions, so what it shares is a sum over tasks: each task
writes its part in an order of the pairs, and the tasks that add up take ranges of that order, however many it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.dedup.buckets import Groups, Keyed, candidate_pairs, group_equal, group_repeated
from lc_data.dedup.containment import Overlaps, add_up, count_overlaps, gather_pairs, least_shared, may_contain
from lc_data.dedup.decision import order_documents, remove_copies
from lc_data.dedup.minhash import estimate_jaccard
from lc_data.engine.task import Task, TaskRecord
from lc_data.recipe.dedupe import Containment, NearDuplicates
from lc_data.stages.dedupe import bounds
from lc_data.stages.dedupe.likely import write_likely
from lc_data.stages.dedupe.settled import Settled
from lc_data.stages.dedupe.sketch import EXACT_SCHEMA, Sketches
from lc_data.stages.dedupe.slices import Range, one_batch, slice_rows, write_sorted

COPIES_SCHEMA = pa.schema([("document", pa.int64()), ("keeper", pa.int64()), ("bytes", pa.int64())])
"""An exact copy with its size, and what it equals."""
OVERLAP_SCHEMA = pa.schema([("pair", pa.uint64()), ("shared", pa.uint32())])


@dataclass(frozen=True)
class CopiesPartition:
    """The payload of a task: one partition of the exact keys."""

    partition: int
    key_uris: tuple[str, ...]


@dataclass(frozen=True)
class KeyPartition:
    """One partition of keys, a file of them for each shard, without the documents that are settled."""

    partition: int
    key_uris: tuple[str, ...]
    sketches: Sketches
    settled: Settled


@dataclass(frozen=True)
class PairsPartition:
    """The payload of a task: one partition of the band keys."""

    keys: KeyPartition
    near: NearDuplicates


@dataclass(frozen=True)
class SamplePartition:
    """The payload of a task: one partition of the sampled n-grams."""

    keys: KeyPartition
    containment: Containment


@dataclass(frozen=True)
class OverlapRange:
    """The payload of a task: a range of the order in which pairs that overlap were written."""

    pairs: Range
    overlap_uris: tuple[str, ...]
    pieces: tuple[int, ...]
    """How many batches each file has."""
    sketches: Sketches
    containment: Containment
    signed: bool
    """Whether there are signatures of the same n-grams to look at once more."""


def find_copies(task: Task, folder: StageFolder) -> TaskRecord:
    """Write which documents equal which, the first in order of each group being the keeper of the others.

    By document for those who ask whether it is a copy, and by keeper for those who decide what becomes of that.
    """
    payload: CopiesPartition = task.payload
    batches = [batch for uri in payload.key_uris for batch in pick_batches(uri, [payload.partition])]
    table = pa.Table.from_batches(batches, EXACT_SCHEMA)
    groups = group_equal(np.stack([table.column(name).to_numpy() for name in ("high", "low")], axis=1))
    sizes, ranks = (table.column(name).to_numpy() for name in ("bytes", "rank"))
    copies, keepers = remove_copies(groups, order_documents(sizes, table.column("id").to_pylist(), ranks))
    documents = table.column("document").to_numpy()
    columns = (documents[copies], documents[keepers], sizes[copies])
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=COPIES_SCHEMA)
    write_sorted(f"{folder.work_uri}/copies/{task.key}.arrow", batch, "document")
    write_sorted(f"{folder.work_uri}/originals/{task.key}.arrow", batch, "keeper")
    return TaskRecord()


def find_pairs(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the pairs that share a band and whose signatures say that they may be near-duplicates."""
    payload: PairsPartition = task.payload
    sketches, near = payload.keys.sketches, payload.near
    pairs = candidate_pairs(group_partition(payload.keys), partial(_weigh, sketches), near.all_pairs_up_to)
    least = near.threshold - near.signature_slack
    likely = _compare(pairs, sketches, lambda left, right: estimate_jaccard(left, right) >= least)
    write_likely(f"{folder.work_uri}/pairs/{task.key}.arrow", pairs[likely], sketches)
    return TaskRecord(facts={"candidates": len(pairs), "likely": int(likely.sum())})


def find_overlaps(task: Task, folder: StageFolder) -> TaskRecord:
    """Write how many n-grams of one partition documents share."""
    payload: SamplePartition = task.payload
    groups = group_partition(payload.keys)
    pieces = pairs = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal pieces, pairs
        for overlaps in count_overlaps(groups, payload.containment.max_documents_per_key, bounds.MAX_PAIRS):
            pieces, pairs = pieces + 1, pairs + len(overlaps.pairs)
            columns = [pa.array(overlaps.pairs), pa.array(overlaps.shared)]
            yield pa.RecordBatch.from_arrays(columns, schema=OVERLAP_SCHEMA)

    write_batches(f"{folder.work_uri}/overlaps/{task.key}.arrow", OVERLAP_SCHEMA, batches())
    return TaskRecord(facts={"pieces": pieces, "pairs": pairs})


def find_contained(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the pairs of which one shares enough of its sample with the other."""
    payload: OverlapRange = task.payload
    files = zip(payload.overlap_uris, payload.pieces, strict=True)
    batches = (batch for uri, pieces in files for batch in pick_batches(uri, range(pieces)))
    rows = one_batch(OVERLAP_SCHEMA, (slice_rows(batch, "pair", payload.pairs) for batch in batches))
    total = add_up(Overlaps(rows.column("pair").to_numpy(), rows.column("shared").to_numpy()))
    pairs = gather_pairs(total.pairs)
    documents, places = np.unique(pairs, return_inverse=True)
    sampled = payload.sketches.look_up(documents, "sampled").column("sampled").to_numpy()
    threshold = payload.containment.threshold
    smaller = sampled[places.reshape(-1, 2)].min(axis=1) if len(documents) else np.zeros(0, np.int64)
    likely = pairs[total.shared >= least_shared(smaller, threshold)]
    if payload.signed:
        likely = likely[_compare(likely, payload.sketches, partial(may_contain, threshold=threshold))]
    write_likely(f"{folder.work_uri}/contained/{task.key}.arrow", likely, payload.sketches)
    return TaskRecord(facts={"overlapping": len(pairs), "likely": len(likely)})


def group_partition(keys: KeyPartition) -> Groups:
    """The documents of the repeated keys of one partition, without those that are settled.

    Takes 12 bytes a key beside the work files, which are mapped where the storage can.
    """

    def chunks() -> Iterator[Keyed]:
        for uri, first in zip(keys.key_uris, keys.sketches.first_documents, strict=False):
            (batch,) = pick_batches(uri, [keys.partition])
            if batch.num_rows:
                bits, start = keys.settled.bits_at(first)
                yield Keyed(batch.column("key").to_numpy(), batch.column("document").to_numpy(), bits, start)

    return group_repeated(chunks)


def _compare(
    pairs: npt.NDArray[np.int64],
    sketches: Sketches,
    likely: Callable[[npt.NDArray[np.uint32], npt.NDArray[np.uint32]], npt.NDArray[np.bool_]],
) -> npt.NDArray[np.bool_]:
    """Which pairs are likely by their signatures."""
    documents, places = np.unique(pairs, return_inverse=True)
    signatures = sketches.signatures(documents)
    left, right = places.reshape(-1, 2).T
    found = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 1 << 16):
        rows = slice(start, start + (1 << 16))
        found[rows] = likely(signatures[left[rows]], signatures[right[rows]])
    return found


def _weigh(sketches: Sketches, documents: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each of sorted documents a weight that falls in the order in which they are kept."""
    known = sketches.look_up(documents, "rank", "bytes")
    order = np.lexsort((-known.column("bytes").to_numpy(), known.column("rank").to_numpy()))
    weights = np.empty(len(documents), np.int64)
    weights[order] = -np.arange(len(documents))
    return weights
