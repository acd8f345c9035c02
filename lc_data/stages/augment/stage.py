"""How the stage goes: what is taken and grouped is decided from the index, what is made is made by tasks.

Planning here knows the length of every derived document before any token is read, so shards are cut, and documents
numbered, as bucket does it: by domain, length bucket and order. The same groups come out however many workers there
are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lc_data.augment.parts import KnotTokens
from lc_data.corpus import storage
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.shard import write_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.corpus.tokenized_writer import Stratum, write_index
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task
from lc_data.recipe.augment import UntieKnots
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.recipe import Recipe
from lc_data.stages.augment.derive import GROUPS_FILE, GROUPS_SCHEMA, MEMBERS_FILE, DeriveJob, derive
from lc_data.stages.augment.knots import check_knots, find_knots
from lc_data.stages.augment.taking import (
    Groups,
    Interval,
    documents_of,
    group_documents,
    key_of,
    take_intervals,
)
from lc_data.stages.balance import HELD_OUT_FILE
from lc_data.stages.bucket.group import file_name
from lc_data.stages.purposes import Supply, purposes_of, supply_of
from lc_data.stages.sampled import mark_documents, planned_tokens

INTERVALS_FILE, DRAWN_FILE = "intervals.arrow", "drawn.arrow"
PURPOSE = "pretrain"

INTERVALS_SCHEMA = pa.schema([
    pa.field("stage", pa.uint16(), nullable=False),
    pa.field("domain", pa.string(), nullable=False),
    pa.field("bucket", pa.uint8(), nullable=False),
    pa.field("low", pa.int64(), nullable=False),
    pa.field("high", pa.int64(), nullable=False),
])  # fmt: skip
"""What is taken out of the stream of a stratum in a stage of the mixture: tokens low to high."""

DRAWN_SCHEMA = pa.schema([
    pa.field("stage", pa.uint16(), nullable=False),
    pa.field("document", pa.int64(), nullable=False),
])  # fmt: skip
"""What is drawn in their place, in this order: derived documents, and those that were taken and stay as they are."""


@dataclass(frozen=True)
class _Made:
    """What one transform makes of one domain in one stage of the mixture."""

    transform: int
    stage: int
    domain: str
    key: int
    groups: Groups
    taken_documents: int
    taken_tokens: int


def _work(context: StageContext) -> Outcome:
    recipe, corpus = context.recipe, TokenizedCorpus.open_bucketed(context.run)
    knots = _knots(context, corpus)
    purpose = next((each for each in purposes_of(recipe, corpus) if each.name == PURPOSE), None)
    if purpose is None:
        raise RecipeError("augment transforms plain documents, and this run has dialogues alone: leave it out")
    supply = supply_of(corpus, purpose.domains, purpose.packing, purpose.mixture)
    stages = tuple(purpose.mixture.stage_names)
    intervals, made = _plan(context, supply, planned_tokens(context.run, PURPOSE, stages, supply))
    table, members = _tabulate(made)
    order, tasks = _shards(context, supply, table, made, knots)
    folder = context.folder
    write_table(folder.work_uri, GROUPS_FILE, table.take(pa.array(order)))
    write_table(folder.work_uri, MEMBERS_FILE, members)
    records = context.map("derive", derive, tasks)
    shards = _numbered([record.shards[0] for record in records], corpus.document_count)
    extra = [entry for record in records for entry in record.extra]
    extra.append(_index(context, corpus, table["tokens"].to_numpy()[order], shards))
    extra.append(write_table(folder.uri, INTERVALS_FILE, _intervals_table(supply, intervals)))
    drawn = _drawn_table(made, table["stage"].to_numpy()[order], corpus.document_count)
    extra.append(write_table(folder.uri, DRAWN_FILE, drawn))
    facts = {
        "transforms": [_describe(number, each.name, made) for number, each in enumerate(recipe.augment)],
        "knots": asdict(knots) if knots else None,
        "first_document": corpus.document_count,
        "documents": table.num_rows,
    }
    return Outcome(ledger=_ledger(context, made), shards=shards, extra=extra, facts=facts)


def _knots(context: StageContext, corpus: TokenizedCorpus) -> KnotTokens | None:
    options = next((each for each in context.recipe.augment if isinstance(each, UntieKnots)), None)
    if options is None:
        return None
    return find_knots(json.loads(storage.read_bytes(context.run.stage("bucket").file(corpus.tokenizer.file))), options)


def _plan(context: StageContext, supply: Supply, planned: np.ndarray) -> tuple[list[Interval], list[_Made]]:
    """Decide what is taken, and which documents come together; ``planned`` is int64 [n_stages, n_strata]."""
    transforms, room = context.recipe.augment, context.recipe.pack.row_tokens
    streams = supply.streams(mark_documents(context.run.stage("balance").file(HELD_OUT_FILE), supply.corpus))
    begins = np.cumsum(planned, axis=0) - planned
    intervals: list[Interval] = []
    made: list[_Made] = []
    for stage in range(len(planned)):
        taken: dict[tuple[int, str], list[tuple[np.ndarray, np.ndarray]]] = {}
        for number, stream in streams.items():
            shares = [each.share for each in transforms]
            parts = take_intervals(stream, int(begins[stage, number]), int(planned[stage, number]), shares)
            if parts[0][0] < parts[-1][1]:
                intervals.append(Interval(stage, number, parts[0][0], parts[-1][1]))
            for transform, (low, high) in enumerate(parts):
                found = taken.setdefault((transform, supply.place(number)[0]), [])
                found += [documents_of(stream, low, high)] if low < high else []
        for (transform, domain), strata in sorted(taken.items()):
            options = transforms[transform]
            key = key_of(context.recipe.seed, options.name, stage, domain)
            groups = group_documents(strata, options, room, key)
            documents, tokens = sum(len(one) for one, _ in strata), sum(int(two.sum()) for _, two in strata)
            made.append(_Made(transform, stage, domain, key, groups, documents, tokens))
    return intervals, made


def _tabulate(made: list[_Made]) -> tuple[pa.Table, pa.Table]:
    """Return a row per derived document (GROUPS_SCHEMA), and a row per document that becomes part of one."""
    none = np.empty(0, np.int64)
    sizes = np.concatenate([none, *(each.groups.size for each in made)])
    count = [len(each.groups.size) for each in made]
    columns = {
        "transform": np.repeat(np.array([each.transform for each in made], np.uint8), count),
        "stage": np.repeat(np.array([each.stage for each in made], np.uint16), count),
        "ordinal": np.concatenate([none, *(np.arange(number) for number in count)]),
        "key": np.repeat(np.array([each.key for each in made], np.uint64), count),
        "first": np.cumsum(sizes) - sizes,
        "members": sizes,
        "tokens": np.concatenate([none, *(each.groups.tokens for each in made)]),
    }
    names = ("document", "length", "chunks")
    members = {name: np.concatenate([none, *(getattr(each.groups, name) for each in made)]) for name in names}
    return pa.table(columns, GROUPS_SCHEMA), pa.table(members)


def _shards(
    context: StageContext, supply: Supply, table: pa.Table, made: list[_Made], knots: KnotTokens | None
) -> tuple[np.ndarray, list[Task]]:
    """Return the order of derived documents over all shards, and a task for each shard."""
    corpus = supply.corpus
    codes = np.array([corpus.domains.index(each.domain) for each in made], np.int64)
    domain = np.repeat(codes, [len(each.groups.size) for each in made])
    tokens = table["tokens"].to_numpy()
    bucket = np.searchsorted(corpus.edges_tokens, tokens, side="right")
    order = np.lexsort((np.arange(len(tokens)), bucket, domain))
    tasks: list[Task] = []
    for code, kind, first, stop in _cut(
        domain[order], bucket[order], tokens[order], context.recipe.bucket.shard_tokens
    ):
        stratum = Stratum(corpus.domains[code], kind)
        job = DeriveJob(context.run.uri, stratum, first, stop, context.recipe.augment, knots)
        name = f"{file_name(stratum.domain)}-b{kind:02d}-{len(tasks):04d}"
        tasks.append(Task(name, job, int(tokens[order[first:stop]].sum())))
    return order, tasks


def _cut(domain: np.ndarray, bucket: np.ndarray, tokens: np.ndarray, most: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (domain, bucket, first row, row behind the last) of shards of at most ``most`` tokens, or of one row."""
    ends = np.cumsum(tokens)
    begins = np.flatnonzero((np.diff(domain, prepend=-1) != 0) | (np.diff(bucket, prepend=-1) != 0))
    for first, stop in zip(begins.tolist(), [*begins[1:].tolist(), len(tokens)], strict=True):
        at = first
        while at < stop:
            room = (int(ends[at - 1]) if at else 0) + most
            behind = min(max(int(np.searchsorted(ends, room, side="right")), at + 1), stop)
            yield int(domain[at]), int(bucket[at]), at, behind
            at = behind


def _numbered(shards: list[FileEntry], first: int) -> list[FileEntry]:
    """Return shards with the number of their first document: they follow those of bucket."""
    numbered = []
    for shard in shards:
        numbered.append(shard.model_copy(update={"facts": shard.facts | {"first_document": first}}))
        first += shard.rows
    return numbered


def _index(context: StageContext, corpus: TokenizedCorpus, tokens: np.ndarray, shards: list[FileEntry]) -> FileEntry:
    rows = [shard.rows for shard in shards]
    codes = np.repeat(np.array([corpus.domains.index(shard.facts["domain"]) for shard in shards], np.uint16), rows)
    buckets = np.repeat(np.array([shard.facts["bucket"] for shard in shards], np.uint8), rows)
    return write_index(context.folder.uri, tokens.astype(np.uint32), codes, buckets)


def _intervals_table(supply: Supply, intervals: list[Interval]) -> pa.Table:
    rows = []
    for each in intervals:
        domain, bucket = supply.place(each.stratum)
        rows.append({"stage": each.stage, "domain": domain, "bucket": bucket, "low": each.low, "high": each.high})
    return pa.Table.from_pylist(rows, INTERVALS_SCHEMA)


def _drawn_table(made: list[_Made], stage_of: np.ndarray, first: int) -> pa.Table:
    """Return what packing draws instead, by stage and then by document: reading goes forward."""
    left = [each.groups.left for each in made]
    stage = np.concatenate([stage_of, *(np.full(len(each.groups.left), each.stage, np.uint16) for each in made)])
    document = np.concatenate([first + np.arange(len(stage_of)), *left])
    order = np.lexsort((document, stage))
    return pa.table({"stage": stage[order], "document": document[order]}, DRAWN_SCHEMA)


def _describe(number: int, name: str, made: list[_Made]) -> dict[str, Any]:
    """Sum up one transform, for reports."""
    mine = [each for each in made if each.transform == number]
    facts: dict[str, Any] = {"name": name, "domains": {}}
    for each in mine:
        entry = facts["domains"].setdefault(each.domain, dict.fromkeys(_COUNTS, 0))
        for key, value in _count(each).items():
            entry[key] += value
    return facts | {key: sum(entry[key] for entry in facts["domains"].values()) for key in _COUNTS}


_COUNTS = ("taken_documents", "taken_tokens", "source_documents", "source_tokens", "made_tokens", "rows")


def _count(each: _Made) -> dict[str, int]:
    source, tokens = int(each.groups.length.sum()), int(each.groups.tokens.sum())
    values = (each.taken_documents, each.taken_tokens, len(each.groups.document), source, tokens - source)
    return dict(zip(_COUNTS, (*values, len(each.groups.size)), strict=True))


def _ledger(context: StageContext, made: list[_Made]) -> Ledger:
    """Everything that balance passed on is kept, as it was or as a part of what a named transform made."""
    ledger = Ledger()
    for domain, account in context.upstream("balance").ledger.domains.items():
        documents, tokens = account.kept.documents, account.kept.tokens
        ledger.come_in(domain, documents, 0, tokens)
        for each in (each for each in made if each.domain == domain and len(each.groups.size)):
            counted = _count(each)
            joined, added = counted["rows"] - counted["source_documents"], counted["made_tokens"]
            ledger.transform(domain, context.recipe.augment[each.transform].name, joined, 0, added)
            documents, tokens = documents + joined, tokens + added
        ledger.keep(domain, documents, 0, tokens)
    return ledger


def _config(recipe: Recipe) -> dict[str, Any]:
    return {
        "augment": [each.model_dump(mode="json") for each in recipe.augment],
        "row_tokens": recipe.pack.row_tokens,
        "overlong": recipe.pack.overlong,
        "shard_tokens": recipe.bucket.shard_tokens,
        "seed": recipe.seed,
    }


def _check(recipe: Recipe) -> None:
    for each in recipe.augment:
        if isinstance(each, UntieKnots):
            check_knots(recipe, each)


STAGE = Stage("augment", 1, ("balance", "bucket"), _config, _work, _check)
