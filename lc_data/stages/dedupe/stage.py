"""The stage: its phases in order.

**A plan on paper for 1e9 documents of 5 KB.** The rates are measured on one core of a shared two-core EPYC, over 64 MB
of books, manuals and laws in two languages; hours, gigabytes and tasks are those rates times the size.

- Sketch: measured 68 MB/s with reading and writing (signatures and samples alone 217, exact hashes 257): 20 core-hours.
  Leaves 16e9 band keys of 12 bytes (192 GB), at most 14e9 sampled n-grams of 12 bytes (168 GB), signatures of 512 bytes
  (512 GB), all of it written once, already partitioned, and no file read whole.
- Joins: measured 24 million keys a second from mapped files to pairs, of which a sixth repeat, and 25 bytes of memory a
  key, the mapped file included: half an hour of a core, in 4,096 tasks each of at most 4 million keys and 105 MB. What
  the pairs' signatures are looked up in comes on top.
- Verification: measured 19 to 35 MB/s of text that has a candidate, with its spans. Where a third of the documents have
  one, 24 core-hours at most, in tasks of 64 MB of text (measured: 475 MB for the process at two near-duplicate books of
  50 MB, of which 275 MB are Python, Arrow and the kernels); this is the step to buy cores for.
- Removal: measured 135 MB/s, 10 core-hours.

What is left to one process: a bit for every document (125 MB), 16 bytes for every exact copy, and the rows of verified
pairs with their spans, up to 1 KB each. The last is what ends first: at some ten million near-duplicates and excerpts,
of which 1e9 web documents may have more. Such a corpus is deduplicated in parts by recipes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from lc_data.corpus.scratch import write_batches
from lc_data.dedup.banding import choose_banding, find_probability
from lc_data.dedup.buckets import require_numbers
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.stages.dedupe.join import CopiesPartition, find_copies, read_copies
from lc_data.stages.dedupe.remove import RemoveFromShard, decide, raise_alarm, remove_from_shard, removed_table
from lc_data.stages.dedupe.search import (
    Corpus,
    band_partitions,
    partitions,
    sample_partitions,
    search_contained,
    search_near,
)
from lc_data.stages.dedupe.settled import Settled
from lc_data.stages.dedupe.sketch import Sketches, SketchShard, sketch_shard

_LEAST_RECALL = 0.8
_MISS_WEIGHT = 0.95


def _config(recipe: Recipe) -> dict[str, Any]:
    return {"dedupe": recipe.dedupe.model_dump(mode="json"), "dialogue_domains": recipe.domains("sft")}


def _check(recipe: Recipe) -> None:
    """Bands that do not find what the threshold asks for are an error, not a quiet loss of recall."""
    near = recipe.dedupe.near
    if near is None:
        return
    chance = find_probability(near.threshold, near.bands, near.rows)
    if chance < _LEAST_RECALL:
        bands, rows = choose_banding(near.threshold, near.bands * near.rows, _MISS_WEIGHT)
        better = find_probability(near.threshold, bands, rows)
        raise RecipeError(
            f"dedupe.near: {near.bands} bands of {near.rows} rows find a pair whose similarity is the threshold, "
            f"{near.threshold}, with probability {chance:.2f}, less than {_LEAST_RECALL}. Of {near.bands * near.rows} "
            f"permutations make {bands} bands of {rows} rows, which find it with {better:.2f}"
        )


def _work(context: StageContext) -> Outcome:
    corpus = _number_shards(context)
    _sketch(context, corpus)
    copies_uris = _find_copies(context, corpus)
    copies = read_copies(copies_uris)
    settled = Settled(corpus.documents)
    settled.settle(copies.column("document").to_numpy())
    near = search_near(context, corpus, settled)
    contained = search_contained(context, corpus, settled, near.verified)
    decided = decide(pa.concat_tables([near.verified, contained.verified]), corpus.sketches)
    removed = removed_table(copies, decided, corpus.sketches)
    raise_alarm(removed, corpus.sketches, context.recipe)
    removed_uri = f"{context.folder.work_uri}/removed.arrow"
    write_batches(removed_uri, removed.schema, _by_shard(removed, corpus.sketches.first_documents))
    tasks = [
        Task(f"{number:05d}", RemoveFromShard(uri, first, removed_uri, number), entry.text_bytes)
        for number, uri, first, entry in corpus
    ]
    return Outcome.of(context.map("remove", remove_from_shard, tasks), **near.facts, **contained.facts)


def _number_shards(context: StageContext) -> Corpus:
    entries = tuple(context.upstream("filter").shards)
    upstream, work = context.run.stage("filter"), context.folder.work_uri
    first = np.concatenate([[0], np.cumsum([entry.rows for entry in entries], dtype=np.int64)])
    require_numbers(int(first[-1]))
    sketches = Sketches(
        tuple(f"{work}/sketches/{number:05d}.arrow" for number in range(len(entries))), tuple(first.tolist())
    )
    return Corpus(entries, tuple(upstream.file(entry.file) for entry in entries), sketches)


def _sketch(context: StageContext, corpus: Corpus) -> None:
    recipe = context.recipe
    tasks = [
        Task(
            f"{number:05d}",
            SketchShard(
                shard_uri=uri,
                first_document=first,
                section=recipe.dedupe,
                dialogue_domains=frozenset(recipe.domains("sft")),
                exact_partitions=partitions(corpus.documents),
                band_partitions=band_partitions(context, corpus),
                sample_partitions=sample_partitions(context, corpus),
            ),
            entry.text_bytes,
        )
        for number, uri, first, entry in corpus
    ]
    context.map("sketch", sketch_shard, tasks)


def _find_copies(context: StageContext, corpus: Corpus) -> tuple[str, ...]:
    """The work files with exact copies."""
    if not context.recipe.dedupe.exact:
        return ()
    work = context.folder.work_uri
    key_uris = corpus.work_files(context, "exact_keys")
    tasks = [Task(f"{p:05d}", CopiesPartition(p, key_uris)) for p in range(partitions(corpus.documents))]
    context.map("copies", find_copies, tasks)
    return tuple(f"{work}/copies/{task.key}.arrow" for task in tasks)


def _by_shard(removed: pa.Table, first_documents: tuple[int, ...]) -> Iterator[pa.RecordBatch]:
    """What goes from each shard, as a batch of its own."""
    borders = np.searchsorted(removed.column("document").to_numpy(), first_documents).tolist()
    for start, end in pairwise(borders):
        batches = removed.slice(start, end - start).combine_chunks().to_batches()
        yield batches[0] if batches else pa.RecordBatch.from_pylist([], schema=removed.schema)


STAGE = Stage(name="dedupe", version=3, upstream=("filter",), config=_config, work=_work, check=_check)
