"""The stage: its phases in order.

**A plan on paper for 1e9 documents of 5 KB.** The rates are measured on one core of a shared two-core EPYC, over 64 MB
of books, manuals and laws in two languages; hours, gigabytes and tasks are those rates times the size.

- Sketch: measured 68 MB/s with reading and writing (signatures and samples alone 217, exact hashes 257): 20 core-hours.
  Leaves 16e9 band keys of 12 bytes (192 GB), some 14e9 sampled n-grams of 12 bytes (168 GB; 8 for each document where
  all are short), signatures of 512 bytes (512 GB), all of it written once, already partitioned, and no file read whole.
- Joins: measured 24 million keys a second from mapped files to pairs, of which a sixth repeat, and 25 bytes of memory a
  key, the mapped file included: half an hour of a core, in 4,096 tasks each of at most 4 million keys and 105 MB. What
  the pairs' signatures are looked up in comes on top.
- Verification: measured 19 to 35 MB/s of text that has a candidate, with its spans. Where a third of the documents have
  one, 24 core-hours at most, in tasks of 64 MB of text (measured: 475 MB for the process at two near-duplicate books of
  50 MB, of which 275 MB are Python, Arrow and the kernels); this is the step to buy cores for. Of a corpus of books
  and manuals half of the text had one: a book is read for a page that shares few sampled n-grams with it.
- Removal: measured 135 MB/s, 10 core-hours.
- Decision: 1,000 ranges of a million documents, each with 24 bytes for every verified pair of its documents and the
  rows of those that go (300 MB where a third does); nobody holds more. Rounds until what is open fits one task of 4
  million pairs: the first decides what its own range can tell, the second nearly all, since most documents have a
  keeper that nobody stands for. A cluster whose order runs through a hundred ranges takes a hundred rounds at most, and
  only where more than 4 million pairs are like that.

What is left to one process: the records of tasks, that is counts. Every step is a map over shards, partitions of keys,
ranges of pairs or ranges of documents; a reader maps the files of those before it and touches its part of each. The
largest of them are read by most tasks: 20,000 sketches by each join, 26,000 files of verified pairs by each range.
"""

from __future__ import annotations

from typing import Any

from lc_data.dedup.banding import choose_banding, find_probability
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.stages.dedupe.decide import decide
from lc_data.stages.dedupe.join import CopiesPartition, find_copies
from lc_data.stages.dedupe.keepers import RangeOfKeepers, list_removals, settle_near
from lc_data.stages.dedupe.losses import raise_alarm
from lc_data.stages.dedupe.numbering import Corpus, band_partitions, number_corpus, partitions, sample_partitions
from lc_data.stages.dedupe.remove import RemoveFromShard, remove_from_shard
from lc_data.stages.dedupe.search import Found, search_contained, search_near
from lc_data.stages.dedupe.settled import CopiesOfRange, Settled, settle_copies
from lc_data.stages.dedupe.sketch import SketchShard, sketch_shard

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
    corpus = number_corpus(context)
    _sketch(context, corpus)
    copies = _find_copies(context, corpus)
    near = search_near(context, corpus, _settle_copies(context, corpus, copies))
    settled, follower_uris = _settle_near(context, corpus, copies, near)
    contained = search_contained(context, corpus, settled, follower_uris)
    removed_uris = _list_removals(context, corpus, copies, (*near.verified_uris, *contained.verified_uris))
    raise_alarm(context, corpus, removed_uris)
    tasks = [
        Task(f"{number:05d}", RemoveFromShard(uri, documents, removed_uris), entry.text_bytes)
        for number, uri, documents, entry in corpus
    ]
    return Outcome.of(context.map("remove", remove_from_shard, tasks), **near.facts, **contained.facts)


def _sketch(context: StageContext, corpus: Corpus) -> None:
    recipe = context.recipe
    tasks = [
        Task(
            f"{number:05d}",
            SketchShard(
                shard_uri=uri,
                first_document=documents.first,
                section=recipe.dedupe,
                dialogue_domains=frozenset(recipe.domains("sft")),
                exact_partitions=partitions(corpus.documents),
                band_partitions=band_partitions(context, corpus),
                sample_partitions=sample_partitions(context, corpus),
            ),
            entry.text_bytes,
        )
        for number, uri, documents, entry in corpus
    ]
    context.map("sketch", sketch_shard, tasks)


def _find_copies(context: StageContext, corpus: Corpus) -> tuple[str, ...]:
    """The names of the tasks that have found exact copies, and of their files."""
    if not context.recipe.dedupe.exact:
        return ()
    key_uris = corpus.work_files(context, "exact_keys")
    tasks = [Task(f"{p:05d}", CopiesPartition(p, key_uris)) for p in range(partitions(corpus.documents))]
    context.map("copies", find_copies, tasks)
    return tuple(task.key for task in tasks)


def _settle_copies(context: StageContext, corpus: Corpus, copies: tuple[str, ...]) -> Settled:
    work = context.folder.work_uri
    copies_uris = tuple(f"{work}/copies/{key}.arrow" for key in copies)
    tasks = [
        Task(f"{number:05d}", CopiesOfRange(documents, copies_uris)) for number, documents in enumerate(corpus.ranges)
    ]
    context.map("copied", settle_copies, tasks)
    return Settled(tuple(f"{work}/copied/{task.key}.arrow" for task in tasks), corpus.borders)


def _settle_near(
    context: StageContext, corpus: Corpus, copies: tuple[str, ...], near: Found
) -> tuple[Settled, tuple[str, ...]]:
    """What is settled before excerpts are searched for, and the files that say who goes for whom."""
    work = context.folder.work_uri
    copies_uris = tuple(f"{work}/copies/{key}.arrow" for key in copies)
    tasks = _range_tasks(context, corpus, "near", near.verified_uris, copies_uris)
    context.map("settled", settle_near, tasks)
    settled = Settled(tuple(f"{work}/settled/{task.key}.arrow" for task in tasks), corpus.borders)
    return settled, tuple(f"{work}/followers/{task.key}.arrow" for task in tasks)


def _list_removals(
    context: StageContext, corpus: Corpus, copies: tuple[str, ...], verified_uris: tuple[str, ...]
) -> tuple[str, ...]:
    """The files that say what goes for whom."""
    work = context.folder.work_uri
    copies_uris = tuple(f"{work}/originals/{key}.arrow" for key in copies)
    tasks = _range_tasks(context, corpus, "all", verified_uris, copies_uris)
    context.map("removed", list_removals, tasks)
    return tuple(f"{work}/removed/{task.key}.arrow" for task in tasks)


def _range_tasks(
    context: StageContext, corpus: Corpus, name: str, verified_uris: tuple[str, ...], copies_uris: tuple[str, ...]
) -> list[Task]:
    """Decide who goes of what was verified, and give each range of documents to a task that says for whom."""
    states = decide(context, corpus, f"decide_{name}", verified_uris)
    return [
        Task(f"{number:05d}", RangeOfKeepers(documents, verified_uris, states, copies_uris, corpus.sketches))
        for number, documents in enumerate(corpus.ranges)
    ]


STAGE = Stage(name="dedupe", version=6, upstream=("filter",), config=_config, work=_work, check=_check)
