"""Pairs that are likely to be duplicates, ordered so that they are verified a bounded amount of text at a time.

All pairs of a long document follow each other, so that it is read and indexed once for many. The joins write their
pairs by a number of the longer document that spreads evenly; a task takes a range of it, drops the pairs that several
joins have found, and cuts the rest into runs of as much text as one task verifies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.dedup.verification import split_pairs
from lc_data.engine.task import Task, TaskRecord
from lc_data.stages.dedupe import bounds
from lc_data.stages.dedupe.sketch import Sketches
from lc_data.stages.dedupe.slices import Range, one_batch, read_slices, write_sorted

LONGER_END = 1 << 32
"""The end of the range of numbers by which pairs are written."""
_SHARERS = 4
_SPREAD = np.uint32(0x9E3779B1)
_LIKELY_SCHEMA = pa.schema([("longer", pa.uint32()), ("left", pa.int64()), ("right", pa.int64())])
PAIRS_SCHEMA = pa.schema([("left", pa.int64()), ("right", pa.int64())])


@dataclass(frozen=True)
class LikelyRange:
    """The payload of a task: a range of the likely pairs, and who has gone for whom before."""

    longer: Range
    pair_uris: tuple[str, ...]
    follower_uris: tuple[str, ...]
    sketches: Sketches
    output: str
    """The kind of work file that is written."""


def write_likely(uri: str, pairs: npt.NDArray[np.int64], sketches: Sketches) -> None:
    """Write pairs, int64[pairs, 2], for :func:`order_pairs`."""
    pairs = _shorter_first(pairs, sketches)
    columns = (pairs[:, 1].astype(np.uint32) * _SPREAD, *np.ascontiguousarray(pairs.T))
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=_LIKELY_SCHEMA)
    write_sorted(uri, batch, "longer")


def order_pairs(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the pairs of a range, each once, in runs of bounded text; the record has the bytes of each."""
    payload: LikelyRange = task.payload
    rows = one_batch(_LIKELY_SCHEMA, read_slices(payload.pair_uris, "longer", payload.longer))
    pairs = np.unique(np.stack([rows.column(name).to_numpy() for name in ("left", "right")], axis=1), axis=0)
    pairs = with_followers(pairs, read_followers(payload.follower_uris, np.unique(pairs)))
    pairs = _shorter_first(pairs, payload.sketches)
    pairs = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
    documents, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(-1, 2)
    sizes = _sizes(documents, payload.sketches)
    budget = min(max(int(sizes.sum()) // _SHARERS, bounds.SHARED_BYTES), bounds.VERIFY_BYTES)
    runs = list(split_pairs(places, sizes, budget))
    uri = f"{folder.work_uri}/{payload.output}/{task.key}.arrow"
    write_batches(uri, PAIRS_SCHEMA, (pairs_batch(pairs[run]) for run in runs))
    weights = [int(sizes[np.unique(places[run])].sum()) for run in runs]
    return TaskRecord(facts={"pairs": len(pairs), "run_bytes": weights})


def with_followers(pairs: npt.NDArray[np.int64], gone: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Pairs, and for each of their documents the pairs of those that have gone for it with the other one.

    ``gone`` is int64[rows, 2], a keeper and what went for it, sorted.
    """
    found = [pairs]
    for one, other in ((0, 1), (1, 0)):
        pair_rows, gone_rows = _equal_rows(pairs[:, one], gone[:, 0])
        found.append(np.stack([gone[gone_rows, 1], pairs[pair_rows, other]], axis=1))
    return np.concatenate(found)


def read_followers(uris: tuple[str, ...], keepers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What has gone for each of sorted documents: keeper and document, int64[rows, 2], sorted."""
    found = [np.zeros((0, 2), np.int64)]
    for uri in uris:
        (batch,) = pick_batches(uri, [0])
        known, documents = (batch.column(name).to_numpy() for name in ("keeper", "document"))
        _, rows = _equal_rows(keepers, known)
        found.append(np.stack([known[rows], documents[rows]], axis=1))
    gone = np.concatenate(found)
    return gone[np.lexsort((gone[:, 1], gone[:, 0]))]


def _equal_rows(
    numbers: npt.NDArray[np.int64], ordered: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows of ``numbers`` and of a sorted array that are equal, each with each."""
    starts, ends = (np.searchsorted(ordered, numbers, side=side) for side in ("left", "right"))
    counts = ends - starts
    offsets = np.cumsum(counts) - counts
    rows = np.repeat(starts - offsets, counts) + np.arange(counts.sum())
    return np.repeat(np.arange(len(numbers)), counts), rows


def _shorter_first(pairs: npt.NDArray[np.int64], sketches: Sketches) -> npt.NDArray[np.int64]:
    """The same pairs, each with its shorter document first, of equal ones that of the smaller number."""
    pairs = np.sort(pairs, axis=1)
    documents, places = np.unique(pairs, return_inverse=True)
    sizes = _sizes(documents, sketches)[places.reshape(-1, 2)]
    return np.take_along_axis(pairs, np.argsort(sizes, axis=1, kind="stable"), axis=1)


def _sizes(documents: npt.NDArray[np.int64], sketches: Sketches) -> npt.NDArray[np.int64]:
    sizes: npt.NDArray[np.int64] = sketches.look_up(documents, "bytes").column("bytes").to_numpy().astype(np.int64)
    return sizes


def pairs_batch(pairs: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Pairs as int64[pairs, 2] in the form in which they are stored."""
    columns = np.ascontiguousarray(pairs.T)
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=PAIRS_SCHEMA)


def read_pairs(uri: str, number: int) -> npt.NDArray[np.int64]:
    """One stored run of pairs as int64[pairs, 2]."""
    (batch,) = pick_batches(uri, [number])
    return np.stack([batch.column(name).to_numpy() for name in PAIRS_SCHEMA.names], axis=1)
