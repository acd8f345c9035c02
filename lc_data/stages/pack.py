"""Pack: the plan of the rows, for every purpose, written block by block.

Each purpose is one task: a plan is a chain, because what does not fill up in one block is carried into the next. It
reads the index and the sampling plan, never a shard: about a third of a second per million documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lc_data.corpus.fingerprint import child_seed
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.corpus.shard import read_table, write_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.packing.audit import PlanAudit
from lc_data.packing.plan import PlanBlock, plan_hash
from lc_data.packing.planner import Draw, plan_longest_first, plan_packs
from lc_data.recipe.packing import PackSection
from lc_data.recipe.recipe import Recipe
from lc_data.stages.balance import HELD_OUT_FILE, SAMPLING_FILE
from lc_data.stages.purposes import HELD_OUT, Supply, purposes_of, supply_of


@dataclass(frozen=True)
class _Order:
    """A plan to be made."""

    run_uri: str
    purpose: str
    domains: tuple[str, ...]
    packing: PackSection
    seed: int


def pack(context: StageContext) -> Outcome:
    """Plan every purpose of the recipe, and the held-out documents of pretraining."""
    seed, corpus = context.recipe.seed, TokenizedCorpus.open(context.run)
    orders = [
        _Order(context.run.uri, purpose.name, purpose.domains, purpose.packing, child_seed(seed, "pack", purpose.name))
        for purpose in purposes_of(context.recipe, corpus)
    ]
    if orders and orders[0].purpose == "pretrain":
        # Every held-out row is a batch of its own: nothing is carried, nothing is reordered.
        held = context.recipe.pack.model_copy(update={"overlong": "truncate", "global_batch_packs": 1})
        orders.append(_Order(context.run.uri, HELD_OUT, orders[0].domains, held, 0))
    tasks = [Task(order.purpose, order, corpus.length.nbytes) for order in orders]
    records = context.map("plan", _plan, tasks)
    plans = {order.purpose: record.facts for order, record in zip(orders, records, strict=True)}
    return Outcome.of(records, plans=plans)


def _config(recipe: Recipe) -> dict[str, Any]:
    return {"pack": recipe.pack.model_dump(mode="json"), "seed": recipe.seed}


def _plan(task: Task, folder: StageFolder) -> TaskRecord:
    """Write one plan and count it. What it holds is checked against what was drawn, to the token."""
    order: _Order = task.payload
    run = RunFolder(order.run_uri)
    corpus = TokenizedCorpus.open(run)
    supply = supply_of(corpus, order.domains, order.packing)
    held = np.zeros(corpus.document_count, bool)
    held[read_table(run.stage("balance").file(HELD_OUT_FILE))["document"].to_numpy()] = True
    ledger = Ledger()
    if order.purpose == HELD_OUT:
        documents = np.flatnonzero(held & supply.mine)
        length = supply.trainable[documents]
        planned = np.bincount(supply.stratum[documents], weights=length, minlength=supply.n_strata).astype(np.int64)
        blocks = plan_longest_first(documents, length, order.packing)
    else:
        planned = _planned_tokens(run, order.purpose, supply)
        draws = _draws(supply, held, planned, ledger)
        blocks = plan_packs(draws, order.packing, order.seed)
    audit = PlanAudit.of(order.packing.seq_len, supply.trainable, supply.stratum, supply.n_strata)
    entries: list[FileEntry] = []
    digest = plan_hash(_written(blocks, folder, order.purpose, audit, entries), order.packing.seq_len)
    audit.check(planned)
    return TaskRecord(extra=entries, ledger=ledger, facts=_facts(order, supply, audit, entries, digest))


def _planned_tokens(run: RunFolder, purpose: str, supply: Supply) -> np.ndarray:
    """Return the tokens that balance drew of each stratum, int64 [n_strata]."""
    planned = np.zeros(supply.n_strata, np.int64)
    for row in read_table(run.stage("balance").file(SAMPLING_FILE)).to_pylist():
        if row["purpose"] == purpose:
            planned[supply.domains.index(row["domain"]) * supply.n_buckets + row["bucket"]] = row["planned_tokens"]
    return planned


def _draws(supply: Supply, held: np.ndarray, planned: np.ndarray, ledger: Ledger) -> list[Draw]:
    """Return what to draw of each stratum, and enter it in the ledger: every token drawn is kept."""
    draws = []
    for number, stream in supply.streams(held).items():
        tokens = int(planned[number])
        domain, bucket = supply.place(number)
        documents = stream.documents_before(tokens)
        ledger.come_in(domain, documents, 0, tokens)
        ledger.keep(domain, documents, 0, tokens)
        if tokens:
            draws.append(Draw(stream, tokens, number // supply.n_buckets, bucket))
    return draws


def _written(
    blocks: Iterable[PlanBlock], folder: StageFolder, purpose: str, audit: PlanAudit, entries: list[FileEntry]
) -> Iterator[PlanBlock]:
    """Pass blocks on, each counted and written first."""
    for number, block in enumerate(blocks):
        audit.add(block)
        file = f"plan/{purpose}/block-{number:05d}.arrow"
        entry = write_table(folder.uri, file, block.to_table(), int(block.length.sum(dtype=np.int64)))
        about = {"purpose": purpose, "first_pack": block.first_pack, "packs": block.packs, "pieces": block.pieces}
        entries.append(entry.model_copy(update={"facts": about}))
        yield block


def _facts(order: _Order, supply: Supply, audit: PlanAudit, entries: list[FileEntry], digest: str) -> dict[str, Any]:
    """Describe a plan for its readers and for reports."""
    tokens = audit.tokens_by_stratum.reshape(len(supply.domains), supply.n_buckets)
    return {
        "seq_len": order.packing.seq_len,
        "packs": audit.packs,
        "plan_hash": digest,
        "global_batch_packs": order.packing.global_batch_packs,
        "blocks": [
            {
                "file": entry.file,
                "first_pack": entry.facts["first_pack"],
                "packs": entry.facts["packs"],
                "pieces": entry.facts["pieces"],
                "checksum": entry.checksum,
            }
            for entry in entries
        ],
        "pieces": audit.pieces,
        "tokens": audit.tokens,
        "padding_tokens": audit.padding_tokens,
        "fill": audit.fill,
        "documents_split": audit.documents_split,
        "tokens_by_domain": dict(zip(supply.domains, tokens.sum(axis=1).tolist(), strict=True)),
        "tokens_by_bucket": tokens.sum(axis=0).tolist(),
    }


STAGE = Stage("pack", 1, ("balance", "bucket"), _config, pack)
