"""The stage: its phases in order, and what the driver does between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.dedup.buckets import unique_pairs
from lc_data.dedup.decision import Removals
from lc_data.dedup.verification import split_pairs
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task
from lc_data.recipe.recipe import Recipe
from lc_data.stages.dedupe.join import (
    PAIRS_SCHEMA,
    CopiesPartition,
    PairsPartition,
    find_copies,
    find_pairs,
    pairs_batch,
    read_copies,
    read_pairs,
)
from lc_data.stages.dedupe.remove import RemoveFromShard, decide, raise_alarm, remove_from_shard, removed_table
from lc_data.stages.dedupe.sketch import Sketches, SketchShard, sketch_shard
from lc_data.stages.dedupe.verify import VERIFIED_SCHEMA, VerifyPairs, verify_pairs

PARTITION_KEYS = 1 << 22
"""Keys in one join: 100 MB, and three times that while they are sorted."""
VERIFY_BYTES = 64 << 20
"""Text that one verifying task holds as shingles, at about 1.5 times its size."""


@dataclass(frozen=True)
class _Input:
    """The upstream shards, numbered through."""

    entries: tuple[FileEntry, ...]
    uris: tuple[str, ...]
    sketches: Sketches

    @property
    def documents(self) -> int:
        return self.sketches.first_documents[-1]

    def __iter__(self) -> Iterator[tuple[int, str, int, FileEntry]]:
        """The number, address, first document and manifest entry of each shard."""
        return zip(range(len(self.uris)), self.uris, self.sketches.first_documents, self.entries, strict=False)


def _config(recipe: Recipe) -> dict[str, Any]:
    return {"dedupe": recipe.dedupe.model_dump(mode="json"), "dialogue_domains": recipe.domains("sft")}


def _work(context: StageContext) -> Outcome:
    shards = _number_shards(context)
    _sketch(context, shards)
    copies_uris = _find_copies(context, shards)
    near, facts = _find_near(context, shards, copies_uris)
    removed = removed_table(read_copies(copies_uris), near, shards.sketches)
    raise_alarm(removed, shards.sketches, context.recipe)
    removed_uri = f"{context.folder.work_uri}/removed.arrow"
    write_batches(removed_uri, removed.schema, _by_shard(removed, shards.sketches.first_documents))
    tasks = [
        Task(f"{number:05d}", RemoveFromShard(uri, first, removed_uri, number), entry.text_bytes)
        for number, uri, first, entry in shards
    ]
    return Outcome.of(context.map("remove", remove_from_shard, tasks), **facts)


def _number_shards(context: StageContext) -> _Input:
    entries = tuple(context.upstream("filter").shards)
    upstream, work = context.run.stage("filter"), context.folder.work_uri
    first = np.concatenate([[0], np.cumsum([entry.rows for entry in entries], dtype=np.int64)])
    sketches = Sketches(
        tuple(f"{work}/sketches/{number:05d}.arrow" for number in range(len(entries))), tuple(first.tolist())
    )
    return _Input(entries, tuple(upstream.file(entry.file) for entry in entries), sketches)


def _work_files(context: StageContext, kind: str, shards: _Input) -> tuple[str, ...]:
    """The work files of one kind that sketching left, one for each shard."""
    return tuple(f"{context.folder.work_uri}/{kind}/{number:05d}.arrow" for number, _, _, _ in shards)


def _partitions(keys: int) -> int:
    """How many partitions so many keys are joined in: a power of two that depends on the corpus alone."""
    return 1 << max(0, (-(-keys // PARTITION_KEYS) - 1).bit_length())


def _band_partitions(context: StageContext, shards: _Input) -> int:
    near = context.recipe.dedupe.near
    return _partitions(shards.documents * near.bands) if near is not None else 1


def _sketch(context: StageContext, shards: _Input) -> None:
    recipe = context.recipe
    tasks = [
        Task(
            f"{number:05d}",
            SketchShard(
                shard_uri=uri,
                first_document=first,
                section=recipe.dedupe,
                dialogue_domains=frozenset(recipe.domains("sft")),
                exact_partitions=_partitions(shards.documents),
                band_partitions=_band_partitions(context, shards),
            ),
            entry.text_bytes,
        )
        for number, uri, first, entry in shards
    ]
    context.map("sketch", sketch_shard, tasks)


def _find_copies(context: StageContext, shards: _Input) -> tuple[str, ...]:
    """The work files with exact copies."""
    if not context.recipe.dedupe.exact:
        return ()
    work = context.folder.work_uri
    key_uris = _work_files(context, "exact_keys", shards)
    tasks = [Task(f"{p:05d}", CopiesPartition(p, key_uris)) for p in range(_partitions(shards.documents))]
    context.map("copies", find_copies, tasks)
    return tuple(f"{work}/copies/{task.key}.arrow" for task in tasks)


def _find_near(context: StageContext, shards: _Input, copies_uris: tuple[str, ...]) -> tuple[Removals, dict[str, Any]]:
    """The near-duplicates that go, and how many pairs were looked at on the way."""
    near, work = context.recipe.dedupe.near, context.folder.work_uri
    if near is None:
        return Removals(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)), {}
    key_uris = _work_files(context, "band_keys", shards)
    tasks = [
        Task(f"{p:05d}", PairsPartition(p, key_uris, copies_uris, shards.sketches, near))
        for p in range(_band_partitions(context, shards))
    ]
    records = context.map("pairs", find_pairs, tasks)
    found = [read_pairs(f"{work}/pairs/{task.key}.arrow") for task in tasks]
    pairs = unique_pairs(np.concatenate([np.zeros((0, 2), np.int64), *found]))
    sizes = np.concatenate(
        [np.zeros(0, np.int64), *(batch.column("bytes").to_numpy() for batch in shards.sketches.all("bytes"))]
    )
    runs = list(split_pairs(pairs, sizes, VERIFY_BYTES))
    pairs_uri = f"{work}/likely.arrow"
    write_batches(pairs_uri, PAIRS_SCHEMA, (pairs_batch(pairs[run]) for run in runs))
    tasks = [
        Task(
            f"{number:05d}",
            VerifyPairs(pairs_uri, number, shards.sketches, shards.uris, near),
            int(sizes[np.unique(pairs[run])].sum()),
        )
        for number, run in enumerate(runs)
    ]
    context.map("verify", verify_pairs, tasks)
    batches = [batch for task in tasks for batch in pick_batches(f"{work}/verified/{task.key}.arrow", [0])]
    verified = pa.Table.from_batches(batches, VERIFIED_SCHEMA)
    facts = {
        "candidate_pairs": sum(record.facts["candidates"] for record in records),
        "likely_pairs": len(pairs),
        "verified_pairs": verified.num_rows,
    }
    return decide(verified, shards.sketches), facts


def _by_shard(removed: pa.Table, first_documents: tuple[int, ...]) -> Iterator[pa.RecordBatch]:
    """What goes from each shard, as a batch of its own."""
    borders = np.searchsorted(removed.column("document").to_numpy(), first_documents).tolist()
    for start, end in pairwise(borders):
        batches = removed.slice(start, end - start).combine_chunks().to_batches()
        yield batches[0] if batches else pa.RecordBatch.from_pylist([], schema=removed.schema)


STAGE = Stage(name="dedupe", version=1, upstream=("filter",), config=_config, work=_work)
