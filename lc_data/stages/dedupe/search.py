"""The phases in which pairs are searched for and verified: near-duplicates, then what is contained among the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lc_data.engine.stage import StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.recipe.dedupe import Containment, NearDuplicates
from lc_data.stages.dedupe import bounds
from lc_data.stages.dedupe.join import (
    KeyPartition,
    OverlapRange,
    PairsPartition,
    SamplePartition,
    find_contained,
    find_overlaps,
    find_pairs,
)
from lc_data.stages.dedupe.likely import LONGER_END, LikelyRange, order_pairs
from lc_data.stages.dedupe.numbering import Corpus, band_partitions, sample_partitions
from lc_data.stages.dedupe.settled import Settled
from lc_data.stages.dedupe.slices import even_ranges
from lc_data.stages.dedupe.verify import VerifyPairs, verify_pairs


@dataclass(frozen=True)
class Found:
    """What a search has verified, and how many pairs were looked at on the way."""

    verified_uris: tuple[str, ...] = ()
    facts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """What is asked of likely pairs, and in what phases."""

    order: str
    verify: str
    near: NearDuplicates | None
    containment: Containment | None
    follower_uris: tuple[str, ...] = ()
    """Who has gone for whom: those are asked about too where the one that they went for is."""


def search_near(context: StageContext, corpus: Corpus, settled: Settled) -> Found:
    """The near-duplicates among the documents that are no copies."""
    near = context.recipe.dedupe.near
    if near is None:
        return Found()
    partitions = _key_partitions(context, corpus, ("band_keys", band_partitions(context, corpus)), settled)
    tasks = [Task(f"{keys.partition:05d}", PairsPartition(keys, near)) for keys in partitions]
    records = context.map("pairs", find_pairs, tasks)
    found = _verify(context, corpus, _files(context, "pairs", tasks), records, Question("queue", "verify", near, None))
    facts = {"candidate_pairs": total(records, "candidates"), "likely_pairs": found.facts["pairs"]}
    return Found(found.verified_uris, facts | {"verified_pairs": found.facts["near"]})


def search_contained(context: StageContext, corpus: Corpus, settled: Settled, follower_uris: tuple[str, ...]) -> Found:
    """The excerpts and editions among the documents that neither are copies nor have a near-duplicate that stays.

    The near-duplicates of a document that is found to stand in another one are compared with that one too: else they
    would be left when the document that they go for goes itself.
    """
    near, containment = context.recipe.dedupe.near, context.recipe.dedupe.containment
    if containment is None:
        return Found()
    signed = near is not None and near.ngram_words == containment.ngram_words
    partitions = _key_partitions(context, corpus, ("samples", sample_partitions(context, corpus)), settled)
    tasks = [Task(f"{keys.partition:05d}", SamplePartition(keys, containment)) for keys in partitions]
    records = context.map("overlaps", find_overlaps, tasks)
    overlap_uris = _files(context, "overlaps", tasks)
    pieces = tuple(record.facts["pieces"] for record in records)
    tasks = [
        Task(f"{number:05d}", OverlapRange(pairs, overlap_uris, pieces, corpus.sketches, containment, signed))
        for number, pairs in enumerate(even_ranges(total(records, "pairs"), bounds.MAX_PAIRS, 1 << 64))
    ]
    records = context.map("contained", find_contained, tasks)
    # What is near enough and shares no band is a near-duplicate all the same: of a Jaccard similarity of 0.8 one in 20.
    question = Question("queue_contained", "cover", near, containment, follower_uris)
    found = _verify(context, corpus, _files(context, "contained", tasks), records, question)
    facts = {"overlapping_pairs": total(records, "overlapping"), "likely_contained_pairs": found.facts["pairs"]}
    facts |= {"contained_pairs": found.facts["contained"], "near_pairs_without_a_band": found.facts["near"]}
    return Found(found.verified_uris, facts)


def total(records: Sequence[TaskRecord], fact: str) -> int:
    """The sum of what tasks have counted."""
    return sum(record.facts[fact] for record in records)


def _key_partitions(
    context: StageContext, corpus: Corpus, keys: tuple[str, int], settled: Settled
) -> list[KeyPartition]:
    kind, count = keys
    key_uris = corpus.work_files(context, kind)
    return [KeyPartition(number, key_uris, corpus.sketches, settled) for number in range(count)]


def _verify(
    context: StageContext,
    corpus: Corpus,
    pair_uris: tuple[str, ...],
    records: Sequence[TaskRecord],
    question: Question,
) -> Found:
    """Compare likely pairs by their texts, a bounded amount of text at a time."""
    tasks = [
        Task(f"{number:05d}", LikelyRange(longer, pair_uris, question.follower_uris, corpus.sketches, question.order))
        for number, longer in enumerate(even_ranges(total(records, "likely"), bounds.MAX_PAIRS, LONGER_END))
    ]
    ordered = context.map(question.order, order_pairs, tasks)
    verifying = [
        Task(
            f"{task.key}-{run:05d}",
            VerifyPairs(
                pairs_uri=f"{context.folder.work_uri}/{question.order}/{task.key}.arrow",
                number=run,
                sketches=corpus.sketches,
                shard_uris=corpus.uris,
                span_words=context.recipe.dedupe.span_words,
                near=question.near,
                containment=question.containment,
                output=question.verify,
            ),
            size,
        )
        for task, record in zip(tasks, ordered, strict=True)
        for run, size in enumerate(record.facts["run_bytes"])
    ]
    verified = context.map(question.verify, verify_pairs, verifying)
    facts = {"pairs": total(ordered, "pairs")} | {name: total(verified, name) for name in ("near", "contained")}
    return Found(_files(context, question.verify, verifying), facts)


def _files(context: StageContext, kind: str, tasks: Sequence[Task]) -> tuple[str, ...]:
    return tuple(f"{context.folder.work_uri}/{kind}/{task.key}.arrow" for task in tasks)
