"""Pack: the plan of the rows, for every purpose, written block by block.

Each purpose is written by one task, because numbers and hashes run through a plan; the blocks of a large one are
planned side by side before (``pack_stretches``). Both read the index and the sampling plan, never a shard. Documents
that the recipe excludes are taken out of the finished plan, so that no other pack changes
(``lc_data.packing.take_down``).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from lc_data.corpus.fingerprint import child_seed, file_checksum
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.lineage import Lineage, write_lineage
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.corpus.shard import read_table, write_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.mixing.continued import ContinuedStream
from lc_data.mixing.stream import stratum_streams
from lc_data.packing.audit import PlanAudit
from lc_data.packing.lineage import pack_hashes
from lc_data.packing.plan import EXCLUDED_FILE, EXCLUDED_SCHEMA, PlanBlock, PlanDigest, plan_hash
from lc_data.packing.planner import PlannedBlock, Planning, Rest, plan_longest_first
from lc_data.packing.subject import Subject
from lc_data.packing.take_down import Mender, Spare, TakeDown
from lc_data.recipe.mixture import MixtureSection
from lc_data.recipe.packing import KeptPacks, PackSection
from lc_data.recipe.recipe import Recipe
from lc_data.stages.anchor import check_anchor, find_anchor
from lc_data.stages.augmented import read_augmented, with_derived
from lc_data.stages.balance import HELD_OUT_FILE, SAMPLING_FILE
from lc_data.stages.exclusion import check_exclusion, find_excluded
from lc_data.stages.kept import Kept, keep_packs, pieces_of
from lc_data.stages.pack_stretches import (
    StretchOrder,
    draws_of,
    is_parallel,
    plan_stretch,
    read_planning,
    read_stretch,
    write_streams,
)
from lc_data.stages.plan_facts import describe
from lc_data.stages.purposes import HELD_OUT, Supply, held_out_packing, purposes_of, supply_of
from lc_data.stages.sampled import mark_documents, planned_tokens


@dataclass(frozen=True)
class _Order:
    """A plan to be made."""

    run_uri: str
    purpose: str
    domains: tuple[str, ...]
    packing: PackSection
    mixture: MixtureSection
    """Says which documents are drawn, and which first."""
    stages: tuple[str, ...]
    """Names of the mixture stages."""
    seed: int
    anchor_id: int | None = None
    """What every row begins with, where the mask is ``anchor``."""
    kept: Kept | None = None
    """The packs of an earlier plan that this one begins with."""
    is_augmented: bool = False
    """Whether a part of what is drawn was transformed."""
    is_parallel: bool = False
    """Whether its stretches are planned by tasks of their own."""


@dataclass(frozen=True)
class _Plan:
    """A plan as it was asked for, before anything is taken out of it."""

    blocks: Iterator[PlannedBlock]
    planned: np.ndarray
    """Tokens drawn in each mixture stage of each stratum, int64 [n_stages, n_strata]; the first is what was kept."""
    documents: np.ndarray
    """Documents drawn of each stratum, repeats counted, int64 [n_strata]."""
    spares: dict[int, Spare]


def pack(context: StageContext) -> Outcome:
    """Plan every purpose of the recipe, and the held-out documents of pretraining.

    Raises RecipeError for an excluded document that the run never had, and for an anchor that the tokenizer has not.
    """
    seed, corpus = context.recipe.seed, TokenizedCorpus.open(context.run)
    excluded = find_excluded(context.run, corpus, context.recipe.exclude)
    if context.recipe.augment and len(excluded):
        excluded = with_derived(context.run, corpus, excluded)
    tokens = int(corpus.length[excluded].sum(dtype=np.int64))
    table = pa.table({"document": excluded}, EXCLUDED_SCHEMA)
    entry = write_table(context.folder.uri, EXCLUDED_FILE, table, tokens)
    kept = keep_packs(context.run, context.recipe.pack, find_anchor(context.run, corpus, context.recipe.pack))
    sampling = read_table(context.run.stage("balance").file(SAMPLING_FILE)).to_pylist()
    orders = [
        _Order(
            run_uri=context.run.uri,
            purpose=purpose.name,
            domains=purpose.domains,
            packing=purpose.packing,
            mixture=purpose.mixture,
            stages=tuple(purpose.mixture.stage_names),
            seed=child_seed(seed, "pack", purpose.name, *_names(purpose.packing.keep)),
            anchor_id=find_anchor(context.run, corpus, purpose.packing),
            kept=None if purpose.packing.keep is None else kept,
            is_augmented=bool(context.recipe.augment) and purpose.name == "pretrain",
            is_parallel=is_parallel(_tokens_of_stages(sampling, purpose.name), purpose.packing)
            and not (context.recipe.augment and purpose.name == "pretrain"),
        )
        for purpose in purposes_of(context.recipe, corpus)
    ]
    if orders and orders[0].purpose == "pretrain":
        held = replace(
            orders[0],
            purpose=HELD_OUT,
            stages=(HELD_OUT,),
            mixture=MixtureSection(),
            seed=0,
            anchor_id=None,
            kept=None,
            is_augmented=False,
            is_parallel=False,
        )
        orders.append(replace(held, packing=held_out_packing(context.recipe.pack)))
    _plan_stretches(context, orders)
    tasks = [Task(order.purpose, order, corpus.length.nbytes) for order in orders]
    records = context.map("plan", _plan, tasks)
    plans = {order.purpose: record.facts for order, record in zip(orders, records, strict=True)}
    outcome = Outcome.of(records, plans=plans, excluded={"documents": len(excluded), "tokens": tokens})
    outcome.extra.append(entry)
    return outcome


def _names(keep: KeptPacks | None) -> tuple[str | int, ...]:
    """Return what the random numbers of a plan depend on beside its purpose: what is planned anew has its own."""
    return () if keep is None else (keep.plan_hash, keep.packs)


def _config(recipe: Recipe) -> dict[str, Any]:
    config = {"pack": recipe.pack.model_dump(mode="json"), "seed": recipe.seed}
    if not recipe.exclude.is_empty:
        config["exclude"] = recipe.exclude.model_dump(mode="json")
        if recipe.exclude.ids_file is not None:
            config["excluded_ids"] = file_checksum(recipe.exclude.ids_file)
    return config


def _check(recipe: Recipe) -> None:
    check_exclusion(recipe.exclude)
    check_anchor(recipe)


def _plan(task: Task, folder: StageFolder) -> TaskRecord:
    """Write one plan and count it. What it holds is checked against what was drawn, to the token."""
    order: _Order = task.payload
    run = RunFolder(order.run_uri)
    corpus = TokenizedCorpus.open(run)
    supply = supply_of(corpus, order.domains, order.packing, order.mixture)
    held = mark_documents(run.stage("balance").file(HELD_OUT_FILE), corpus)
    excluded = mark_documents(folder.file(EXCLUDED_FILE), corpus)
    training = order.purpose != HELD_OUT
    plan = _plan_training(folder, order, supply, held) if training else _plan_held_out(supply, held, excluded)
    subject = Subject(supply.trainable, supply.stratum, excluded, len(supply.domains), supply.n_buckets)
    mender = Mender(subject, plan.spares, order.packing)
    audit = PlanAudit(subject, order.packing, plan.planned)
    entries: list[FileEntry] = []
    shape = (order.packing.seq_len, order.packing.positions, order.anchor_id)
    mended = _masked(mender.mend(plan.blocks), order.packing)
    hashes: list[np.ndarray] = []
    blocks = _told(_written(mended, folder, order.purpose, audit, entries), hashes)
    digest = plan_hash(blocks, *shape)
    audit.check(plan.planned.sum(axis=0) + mender.count.added_tokens)
    ledger = Ledger()
    if training:
        _enter(supply, plan, mender.count, ledger)
    facts = _describe(order, supply, audit, entries) | {"plan_hash": digest, "take_down": _taken(mender.count)}
    if order.anchor_id is not None:
        facts["anchor_id"] = order.anchor_id
    lineage = Lineage(PlanDigest(*shape).rules, np.concatenate([np.empty(0, np.uint64), *hashes]))
    entries.append(write_lineage(folder, order.purpose, digest, lineage))
    return TaskRecord(extra=entries, ledger=ledger, facts=facts)


def _describe(order: _Order, supply: Supply, audit: PlanAudit, entries: list[FileEntry]) -> dict[str, Any]:
    """Describe a plan; what was kept is no stage of the mixture, so it is told by itself."""
    if order.kept is None:
        return describe(supply, audit, order.stages, entries)
    facts = describe(supply, audit, ("kept", *order.stages), entries)
    facts["kept"] = facts["stages"].pop(0) | order.kept.facts()
    for stretch in facts["stretches"]:
        stretch["stage"] -= 1
    return facts


def _plan_training(folder: StageFolder, order: _Order, supply: Supply, held: np.ndarray) -> _Plan:
    run = RunFolder(order.run_uri)
    planned = planned_tokens(run, order.purpose, order.stages, supply)
    blocks = order.kept.blocks(run) if order.kept else []
    kept = pieces_of(blocks)
    streams = supply.streams_behind(held, kept)
    documents = np.bincount(supply.stratum[kept.document[kept.start == 0]], minlength=supply.n_strata)
    spares = {}
    for number, stream in streams.items():
        total = int(planned[:, number].sum())
        documents[number] += stream.documents_before(total)
        spares[number] = Spare(*(stream.spare(total) if isinstance(stream, ContinuedStream) else (stream, total)))
    draws = draws_of(streams, planned, supply.n_buckets)
    if order.is_augmented:
        augmented = read_augmented(run, supply, streams)
        draws, planned = augmented.redraw(draws), augmented.planned(planned)
        documents += augmented.documents()
    planning = Planning(draws, order.packing, order.seed)
    if order.kept is None:
        return _Plan(planning.join(_stretches(planning, order, folder)), planned, documents, spares)
    first = (PlannedBlock(0, cycle, block) for cycle, block in enumerate(blocks))
    then = planning.join(_stretches(planning, order, folder), order.kept.packs)
    behind = (replace(each, stage=each.stage + 1) for each in then)
    planned = np.vstack((supply.tokens_of(kept).reshape(1, -1), planned))
    return _Plan(chain(first, behind), planned, documents, spares)


def _stretches(planning: Planning, order: _Order, folder: StageFolder) -> Iterator[Generator[PlannedBlock, None, Rest]]:
    """Yield the stretches of a plan, as tasks have left them, or planned here."""
    for number in range(planning.stretches):
        if order.is_parallel:
            yield read_stretch(folder, StretchOrder(order.purpose, order.packing, order.seed, number))
        else:
            yield planning.plan_stretch(number)


def _draw(task: Task, folder: StageFolder) -> TaskRecord:
    """Write down what a large plan draws from, and find out in how many stretches it is planned."""
    order: _Order = task.payload
    run = RunFolder(order.run_uri)
    supply = supply_of(TokenizedCorpus.open(run), order.domains, order.packing, order.mixture)
    streams = supply.streams(mark_documents(run.stage("balance").file(HELD_OUT_FILE), supply.corpus))
    write_streams(
        folder, order.purpose, streams, planned_tokens(run, order.purpose, order.stages, supply), supply.n_buckets
    )
    planning = read_planning(folder, StretchOrder(order.purpose, order.packing, order.seed, 0))
    return TaskRecord(facts={"stretches": planning.stretches})


def _plan_stretches(context: StageContext, orders: list[_Order]) -> None:
    """Plan the stretches of large plans side by side, into the work folder."""
    large = [order for order in orders if order.is_parallel]
    drawn = context.map("draw", _draw, [Task(order.purpose, order) for order in large]) if large else []
    stretches = [
        StretchOrder(order.purpose, order.packing, order.seed, number)
        for order, record in zip(large, drawn, strict=True)
        for number in range(record.facts["stretches"])
    ]
    if stretches:
        tasks = [Task(f"{stretch.purpose}-{stretch.number:05d}", stretch) for stretch in stretches]
        context.map("stretches", plan_stretch, tasks)


def _plan_held_out(supply: Supply, held: np.ndarray, excluded: np.ndarray) -> _Plan:
    documents = np.flatnonzero(held & supply.mine)
    if excluded[documents].all():
        documents = documents[:0]
    length, stratum = supply.trainable[documents], supply.stratum[documents]
    planned = np.bincount(stratum, weights=length, minlength=supply.n_strata).astype(np.int64)
    streams = stratum_streams(supply.stratum, supply.trainable, ~held | ~supply.mine, supply.packing.row_tokens)
    return _Plan(
        blocks=plan_longest_first(documents, length, supply.packing),
        planned=planned[None],
        documents=np.bincount(stratum, minlength=supply.n_strata),
        spares={number: Spare(stream, stream.tokens) for number, stream in streams.items()},
    )


def _tokens_of_stages(sampling: list[dict[str, Any]], purpose: str) -> np.ndarray:
    """Return the tokens that each mixture stage of a purpose draws, int64 [n_stages]."""
    mine = [(row["stage"], row["planned_tokens"]) for row in sampling if row["purpose"] == purpose]
    stages, tokens = np.array(mine, np.int64).reshape(-1, 2).T
    return np.bincount(stages, weights=tokens).astype(np.int64)


def _enter(supply: Supply, plan: _Plan, taken: TakeDown, ledger: Ledger) -> None:
    """Enter what was drawn: every token is kept, but for what was taken down and what stands in for it."""
    drawn = plan.planned.sum(axis=0)
    for number in np.flatnonzero(drawn + taken.repeated_tokens + plan.documents).tolist():
        domain, _ = supply.place(number)
        documents, tokens = int(plan.documents[number]), int(drawn[number])
        ledger.come_in(domain, documents, 0, tokens)
        for name in ("replaced", "repeated"):
            new = int(getattr(taken, f"{name}_documents")[number]), int(getattr(taken, f"{name}_tokens")[number])
            if new[1]:
                ledger.transform(domain, name, new[0], 0, new[1])
                documents, tokens = documents + new[0], tokens + new[1]
        gone = int(taken.removed_documents[number]), int(taken.removed_tokens[number])
        if gone[1]:
            ledger.drop(domain, "excluded", gone[0], 0, gone[1])
        ledger.keep(domain, documents - gone[0], 0, tokens - gone[1])


def _masked(blocks: Iterable[PlannedBlock], packing: PackSection) -> Iterator[PlannedBlock]:
    """Pass blocks on with the attention spans that the recipe asks for; planned ones keep every piece apart."""
    for planned in blocks:
        yield planned if packing.mask != "none" else replace(planned, block=planned.block.without_masks())


def _written(
    blocks: Iterable[PlannedBlock], folder: StageFolder, purpose: str, audit: PlanAudit, entries: list[FileEntry]
) -> Iterator[PlanBlock]:
    """Pass blocks on, each counted and written first."""
    for number, planned in enumerate(blocks):
        audit.add(planned)
        block, file = planned.block, f"plan/{purpose}/block-{number:05d}.arrow"
        entry = write_table(folder.uri, file, block.to_table(), int(block.length.sum(dtype=np.int64)))
        about = {"purpose": purpose, "first_pack": block.first_pack, "packs": block.packs, "pieces": block.pieces}
        entries.append(entry.model_copy(update={"facts": about}))
        yield block


def _told(blocks: Iterable[PlanBlock], hashes: list[np.ndarray]) -> Iterator[PlanBlock]:
    """Pass blocks on, and note the hash of each of their packs."""
    for block in blocks:
        hashes.append(pack_hashes(block))
        yield block


def _taken(count: TakeDown) -> dict[str, int]:
    """Describe what taking documents down changed in a plan."""
    return {
        "packs_changed": len(count.changed),
        "packs_emptied": count.packs_emptied,
        "removed_pieces": count.removed_pieces,
        "removed_tokens": int(count.removed_tokens.sum()),
        "replaced_tokens": int(count.replaced_tokens.sum()),
        "repeated_tokens": int(count.repeated_tokens.sum()),
    }


STAGE = Stage("pack", 4, ("balance", "bucket"), _config, pack, _check)
AUGMENTED = replace(STAGE, upstream=("augment", "balance", "bucket"))
"""The same behind augment."""
