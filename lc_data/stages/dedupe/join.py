"""Phases two, three and five: documents with equal keys, one partition of the keys at a time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.dedup.buckets import Groups, Keyed, candidate_pairs, group_equal, group_repeated
from lc_data.dedup.decision import order_documents, remove_copies
from lc_data.dedup.minhash import estimate_jaccard
from lc_data.engine.task import Task, TaskRecord
from lc_data.recipe.dedupe import NearDuplicates
from lc_data.stages.dedupe.settled import read_bits
from lc_data.stages.dedupe.sketch import EXACT_SCHEMA, KEY_SCHEMA, Sketches

COPIES_SCHEMA = pa.schema([("document", pa.int64()), ("keeper", pa.int64())])
PAIRS_SCHEMA = pa.schema([("left", pa.int64()), ("right", pa.int64())])


@dataclass(frozen=True)
class CopiesPartition:
    """The payload of a task: one partition of the exact keys."""

    partition: int
    key_uris: tuple[str, ...]


@dataclass(frozen=True)
class PairsPartition:
    """The payload of a task: one partition of the band keys, and what was settled before."""

    partition: int
    key_uris: tuple[str, ...]
    settled_uri: str
    sketches: Sketches
    near: NearDuplicates


def find_copies(task: Task, folder: StageFolder) -> TaskRecord:
    """Write which documents equal which, the first in order of each group being the keeper of the others."""
    payload: CopiesPartition = task.payload
    table = read_partition(payload.key_uris, payload.partition, EXACT_SCHEMA)
    groups = group_equal(np.stack([table.column(name).to_numpy() for name in ("high", "low")], axis=1))
    sizes, ranks = (table.column(name).to_numpy() for name in ("bytes", "rank"))
    copies = remove_copies(groups, order_documents(sizes, table.column("id").to_pylist(), ranks))
    documents = table.column("document").to_numpy()
    batch = pa.RecordBatch.from_arrays(
        [pa.array(documents[copies.documents]), pa.array(documents[copies.keepers])], schema=COPIES_SCHEMA
    )
    write_batches(f"{folder.work_uri}/copies/{task.key}.arrow", COPIES_SCHEMA, [batch])
    return TaskRecord()


def find_pairs(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the pairs that share a band and whose signatures say that they may be near-duplicates."""
    payload: PairsPartition = task.payload
    groups = group_partition(payload.key_uris, payload.partition, payload.settled_uri)
    pairs = candidate_pairs(groups, partial(_weigh, payload.sketches), payload.near.all_pairs_up_to)
    documents, places = np.unique(pairs, return_inverse=True)
    signatures = payload.sketches.signatures(documents)
    left, right = places.reshape(-1, 2).T
    likely = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 1 << 16):
        rows = slice(start, start + (1 << 16))
        estimate = estimate_jaccard(signatures[left[rows]], signatures[right[rows]])
        likely[rows] = estimate >= payload.near.threshold - payload.near.signature_slack
    write_batches(f"{folder.work_uri}/pairs/{task.key}.arrow", PAIRS_SCHEMA, [pairs_batch(pairs[likely])])
    return TaskRecord(facts={"candidates": len(pairs)})


def group_partition(uris: tuple[str, ...], partition: int, settled_uri: str) -> Groups:
    """The documents of the repeated keys of one partition, without those that are settled.

    Takes 12 bytes a key beside the work files, which are mapped where the storage can.
    """
    batches = [batch for uri in uris for batch in pick_batches(uri, [partition])]
    columns = [tuple(batch.column(name).to_numpy() for name in KEY_SCHEMA.names) for batch in batches]
    return group_repeated(lambda: itertools.starmap(Keyed, columns), read_bits(settled_uri))


def _weigh(sketches: Sketches, documents: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each of sorted documents a weight that falls in the order in which they are kept."""
    known = sketches.look_up(documents, "rank", "bytes")
    order = np.lexsort((-known.column("bytes").to_numpy(), known.column("rank").to_numpy()))
    weights = np.empty(len(documents), np.int64)
    weights[order] = -np.arange(len(documents))
    return weights


def read_copies(uris: tuple[str, ...]) -> pa.Table:
    """All exact copies found, with the documents that they equal."""
    return pa.Table.from_batches([batch for uri in uris for batch in pick_batches(uri, [0])], COPIES_SCHEMA)


def pairs_batch(pairs: np.ndarray) -> pa.RecordBatch:
    """Pairs as int64[pairs, 2] in the form in which they are stored."""
    return pa.RecordBatch.from_arrays(
        [pa.array(np.ascontiguousarray(pairs[:, side])) for side in (0, 1)], schema=PAIRS_SCHEMA
    )


def read_pairs(uri: str, number: int = 0) -> np.ndarray:
    """Stored pairs as int64[pairs, 2]."""
    (batch,) = pick_batches(uri, [number])
    return np.stack([batch.column(name).to_numpy() for name in PAIRS_SCHEMA.names], axis=1)


def read_partition(uris: tuple[str, ...], partition: int, schema: pa.Schema) -> pa.Table:
    """The rows of one partition from the work files of all shards."""
    return pa.Table.from_batches([batch for uri in uris for batch in pick_batches(uri, [partition])], schema)
