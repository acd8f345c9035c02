"""Filter: the rules of the recipe over every document, shard by shard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus import storage
from lc_data.corpus.document import DROPPED_SCHEMA
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_batches, write_documents, write_rows
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task, TaskRecord, about
from lc_data.quality.chain import FilterChain, FilterResult
from lc_data.quality.language import open_identifier
from lc_data.recipe.filtering import DatatroveRule, FilterSection, LanguageRule
from lc_data.recipe.recipe import Recipe


@dataclass(frozen=True)
class FilterShard:
    """The payload of a task: one shard of documents and the rules."""

    shard_uri: str
    section: FilterSection
    dialogue_domains: tuple[str, ...]


def filter_shard(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the documents that stay and a row for each that goes."""
    payload: FilterShard = task.payload
    chain = FilterChain(payload.section, payload.dialogue_domains)
    ledger, dropped = Ledger(), []

    def kept() -> Iterator[pa.Table]:
        for batch in read_batches(payload.shard_uri):
            with about(f"documents {batch['id'][0]} to {batch['id'][-1]} of {payload.shard_uri}"):
                result = chain.apply(batch)
            dropped.extend(_enter(ledger, batch, result))
            yield pa.Table.from_batches([result.documents]).filter(pa.array(result.kept))

    entry = write_documents(folder.uri, f"shards/{task.key}.arrow", kept())
    if not entry.rows:
        storage.remove_file(folder.file(entry.file))
    rejected = write_rows(folder.uri, f"dropped/{task.key}.arrow", dropped, DROPPED_SCHEMA)
    return TaskRecord(shards=[entry] if entry.rows else [], dropped=[rejected] if rejected else [], ledger=ledger)


def _enter(ledger: Ledger, batch: pa.RecordBatch, result: FilterResult) -> list[dict[str, Any]]:
    """Book a batch; returns the rows of its dropped documents."""
    domains = batch.column("domain").to_pylist()
    before = pc.binary_length(batch.column("text")).to_pylist()
    after = pc.binary_length(result.documents.column("text")).to_pylist()
    for domain, size in zip(domains, before, strict=True):
        ledger.come_in(domain, 1, size)
    for rewrite in result.rewrites:
        ledger.transform(domains[rewrite.row], rewrite.transform, 0, rewrite.added_bytes)
    rows = []
    for row, domain in enumerate(domains):
        if row not in result.dropped:
            ledger.keep(domain, 1, after[row])
            continue
        reason, detail = result.dropped[row]
        ledger.drop(domain, reason, 1, after[row])
        document_id = batch.column("id")[row].as_py()
        rows.append({"id": document_id, "reason": reason, "domain": domain, "bytes": after[row], "detail": detail})
    return rows


def check_rules(recipe: Recipe) -> None:
    """Open every rule once, so that what a rule lacks is said before any work. Raises :class:`RecipeError`."""
    FilterChain(recipe.filter, recipe.domains("sft"))


def _config(recipe: Recipe) -> dict[str, Any]:
    """The rules, whom they apply to, and what judges besides our own code."""
    judges = {}
    for rule in recipe.filter.rules:
        if isinstance(rule, DatatroveRule):
            judges["datatrove"] = version("datatrove")
        elif isinstance(rule, LanguageRule) and rule.model is None:
            judges["py3langid"] = version("py3langid")
        elif isinstance(rule, LanguageRule):
            open_identifier(rule.model)
            judges[str(rule.model)] = file_checksum(str(rule.model))
    section = recipe.filter.model_dump(mode="json")
    return {"filter": section, "dialogue_domains": recipe.domains("sft"), "judges": judges}


def _work(context: StageContext) -> Outcome:
    upstream = context.run.stage("ingest")
    dialogue_domains = tuple(context.recipe.domains("sft"))
    tasks = [
        Task(
            f"{number:05d}",
            FilterShard(upstream.file(entry.file), context.recipe.filter, dialogue_domains),
            entry.text_bytes,
        )
        for number, entry in enumerate(context.upstream("ingest").shards)
    ]
    return Outcome.of(context.map("filter", filter_shard, tasks))


STAGE = Stage(name="filter", version=1, upstream=("ingest",), config=_config, work=_work, check=check_rules)
