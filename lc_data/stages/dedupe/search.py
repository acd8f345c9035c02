"""What the driver does between the phases: near-duplicates first, then what is contained among those that are left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.dedup.buckets import unique_pairs
from lc_data.dedup.verification import split_pairs
from lc_data.engine.stage import StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.stages.dedupe.contain import (
    MAX_PAIRS,
    OverlapPartitions,
    SamplePartition,
    find_contained,
    find_overlaps,
    plan_runs,
)
from lc_data.stages.dedupe.join import PAIRS_SCHEMA, PairsPartition, find_pairs, pairs_batch, read_pairs
from lc_data.stages.dedupe.remove import decide
from lc_data.stages.dedupe.settled import Settled
from lc_data.stages.dedupe.sketch import Sketches
from lc_data.stages.dedupe.verify import VERIFIED_SCHEMA, VerifyPairs, verify_contained, verify_near

PARTITION_KEYS = 1 << 22
"""Keys in one join, at 12 bytes each, and 12 more while they are grouped."""
VERIFY_BYTES = 64 << 20
"""Text that one verifying task holds, with its shingles, at about 3 times its size; of a larger pair at 2 times."""


@dataclass(frozen=True)
class Corpus:
    """The upstream shards, numbered through."""

    entries: tuple[FileEntry, ...]
    uris: tuple[str, ...]
    sketches: Sketches

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return self.sketches.first_documents[-1]

    def __iter__(self) -> Iterator[tuple[int, str, int, FileEntry]]:
        """The number, address, first document and manifest entry of each shard."""
        return zip(range(len(self.uris)), self.uris, self.sketches.first_documents, self.entries, strict=False)

    def work_files(self, context: StageContext, kind: str) -> tuple[str, ...]:
        """The work files of one kind that sketching left, one for each shard."""
        return tuple(f"{context.folder.work_uri}/{kind}/{number:05d}.arrow" for number in range(len(self.uris)))


@dataclass(frozen=True)
class Found:
    """What a search has verified, and how many pairs were looked at on the way."""

    verified: pa.Table
    facts: dict[str, Any]


def partitions(keys: int) -> int:
    """How many partitions so many keys are joined in: a power of two that depends on the corpus alone."""
    return 1 << max(0, (-(-keys // PARTITION_KEYS) - 1).bit_length())


def band_partitions(context: StageContext, corpus: Corpus) -> int:
    """How many partitions the band keys are joined in."""
    near = context.recipe.dedupe.near
    return partitions(corpus.documents * near.bands) if near is not None else 1


def sample_partitions(context: StageContext, corpus: Corpus) -> int:
    """How many partitions the sampled n-grams are joined in: a word has three bytes at least on average."""
    containment = context.recipe.dedupe.containment
    if containment is None:
        return 1
    return partitions(sum(entry.text_bytes for entry in corpus.entries) // (3 * containment.one_in))


def search_near(context: StageContext, corpus: Corpus, settled: Settled) -> Found:
    """The near-duplicates among the documents that are no copies."""
    section, work = context.recipe.dedupe, context.folder.work_uri
    if section.near is None:
        return Found(VERIFIED_SCHEMA.empty_table(), {})
    key_uris = corpus.work_files(context, "band_keys")
    settled_uri = f"{work}/copied.arrow"
    settled.write(settled_uri)
    tasks = [
        Task(f"{number:05d}", PairsPartition(number, key_uris, settled_uri, corpus.sketches, section.near))
        for number in range(band_partitions(context, corpus))
    ]
    records = context.map("pairs", find_pairs, tasks)
    found = [read_pairs(f"{work}/pairs/{task.key}.arrow") for task in tasks]
    pairs = unique_pairs(np.concatenate([np.zeros((0, 2), np.int64), *found]))
    verified = _verify(context, corpus, ("verify", verify_near, "verified"), pairs)
    facts = {
        "candidate_pairs": sum(record.facts["candidates"] for record in records),
        "likely_pairs": len(pairs),
        "verified_pairs": verified.facts["verified"],
    }
    return Found(verified.verified, facts)


def search_contained(context: StageContext, corpus: Corpus, settled: Settled, near: pa.Table) -> Found:
    """The excerpts and editions among the documents that neither are copies nor have a near-duplicate that stays.

    The near-duplicates of a document that is found to stand in another one are compared with that one too: else they
    would be left when the document that they go for goes itself.
    """
    containment, work = context.recipe.dedupe.containment, context.folder.work_uri
    if containment is None:
        return Found(VERIFIED_SCHEMA.empty_table(), {})
    gone = decide(near, corpus.sketches)
    settled_uri = f"{work}/settled.arrow"
    settled.settle(gone.column("document").to_numpy())
    settled.write(settled_uri)
    count = sample_partitions(context, corpus)
    pair_partitions = max(16, count)
    key_uris = corpus.work_files(context, "samples")
    tasks = [
        Task(f"{number:05d}", SamplePartition(number, key_uris, settled_uri, containment, pair_partitions))
        for number in range(count)
    ]
    records = context.map("overlaps", find_overlaps, tasks)
    overlap_uris = tuple(f"{work}/overlaps/{task.key}.arrow" for task in tasks)
    pieces = tuple(record.facts["pieces"] for record in records)
    held = np.sum([record.facts["pairs"] for record in records], axis=0)
    tasks = [
        Task(
            f"{first:05d}",
            OverlapPartitions(first, last, overlap_uris, pieces, pair_partitions, corpus.sketches, containment),
            int(held[first:last].sum()) + 1,
        )
        for first, last in plan_runs(held, MAX_PAIRS)
    ]
    records = context.map("contained", find_contained, tasks)
    found = [read_pairs(f"{work}/contained/{task.key}.arrow") for task in tasks]
    pairs = unique_pairs(with_followers(np.concatenate([np.zeros((0, 2), np.int64), *found]), gone))
    verified = _verify(context, corpus, ("cover", verify_contained, "covered"), pairs)
    facts = {
        "overlapping_pairs": sum(record.facts["overlapping"] for record in records),
        "likely_contained_pairs": len(pairs),
        "contained_pairs": verified.facts["verified"],
    }
    return Found(verified.verified, facts)


def with_followers(pairs: npt.NDArray[np.int64], gone: pa.Table) -> npt.NDArray[np.int64]:
    """Pairs, and for each of their documents the pairs of those that have gone for it with the other one."""
    followers: dict[int, list[int]] = {}
    for document, keeper in zip(*(gone.column(name).to_pylist() for name in ("document", "keeper")), strict=True):
        followers.setdefault(keeper, []).append(document)
    more = [
        (follower, other)
        for left, right in pairs.tolist()
        for one, other in ((left, right), (right, left))
        for follower in followers.get(one, ())
    ]
    return np.concatenate([pairs, np.array(more, np.int64).reshape(-1, 2)])


def _verify(
    context: StageContext,
    corpus: Corpus,
    phase: tuple[str, Callable[[Task, StageFolder], TaskRecord], str],
    pairs: npt.NDArray[np.int64],
) -> Found:
    """Compare pairs by their texts, a bounded amount of text at a time."""
    name, work, output = phase
    folder = context.folder.work_uri
    documents, rows = np.unique(pairs, return_inverse=True)
    sizes = corpus.sketches.look_up(documents, "bytes").column("bytes").to_numpy().astype(np.int64)
    rows = rows.reshape(-1, 2)
    # All pairs of a long document follow each other, so that it is read and indexed once for many.
    longer_last = np.take_along_axis(rows, np.argsort(sizes[rows], axis=1, kind="stable"), axis=1)
    rows = longer_last[np.lexsort((longer_last[:, 0], longer_last[:, 1]))]
    pairs = documents[rows]
    runs = list(split_pairs(rows, sizes, VERIFY_BYTES))
    pairs_uri = f"{folder}/to_{name}.arrow"
    write_batches(pairs_uri, PAIRS_SCHEMA, (pairs_batch(pairs[run]) for run in runs))
    tasks = [
        Task(
            f"{number:05d}",
            VerifyPairs(pairs_uri, number, corpus.sketches, corpus.uris, context.recipe.dedupe),
            int(sizes[np.unique(rows[run])].sum()),
        )
        for number, run in enumerate(runs)
    ]
    records = context.map(name, work, tasks)
    batches = [batch for task in tasks for batch in pick_batches(f"{folder}/{output}/{task.key}.arrow", [0])]
    facts = {"verified": sum(record.facts["verified"] for record in records)}
    return Found(pa.Table.from_batches(batches, VERIFIED_SCHEMA), facts)
