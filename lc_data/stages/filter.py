"""Filter: the rules of the recipe over every document, shard by shard.

Rules judge each document by itself, in one phase. A gzip band compares documents with one another and needs two: the
first leaves what the rules kept as work files together with the ratios, counted by stratum; the second drops.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus.document import DROPPED_SCHEMA
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_batches, write_rows
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task, TaskRecord, about
from lc_data.quality.chain import FilterChain, FilterResult
from lc_data.quality.language import open_identifier
from lc_data.recipe.errors import RecipeError, nearest
from lc_data.recipe.filtering import CoherenceRule, DatatroveRule, FilterSection, LanguageRule
from lc_data.recipe.recipe import Recipe
from lc_data.recipe.rule_sets import resolve_rules
from lc_data.stages.classifier import (
    ModelFile,
    check_classifiers,
    classifier_judges,
    open_models,
    train_classifiers,
    trained_rules,
    without_trained,
)
from lc_data.stages.contamination import (
    Decontamination,
    IndexFiles,
    check_evaluations,
    evaluation_checksums,
    index_evaluations,
    sum_documents,
)
from lc_data.stages.filter_band import BandRatios, drop_band, write_judged, write_shard


@dataclass(frozen=True)
class FilterShard:
    """The payload of a task: one shard of documents and the rules."""

    shard_uri: str
    section: FilterSection
    dialogue_domains: tuple[str, ...]
    evaluations: IndexFiles | None = None
    models: Mapping[str, ModelFile] = field(default_factory=dict)


def filter_shard(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the documents that stay and a row for each that goes.

    Under a gzip band, the documents that stay are a work file, with their ratios beside it.
    """
    payload: FilterShard = task.payload
    band = payload.section.gzip_band
    chain = FilterChain(payload.section, payload.dialogue_domains, open_models(payload.models))
    ledger, dropped, noted = Ledger(), [], Noted()
    ratios = BandRatios(band, payload.dialogue_domains) if band is not None else None
    evaluations = Decontamination(payload.evaluations, folder, task.key) if payload.evaluations else None

    def kept() -> Iterator[pa.Table]:
        for batch in read_batches(payload.shard_uri):
            with about(f"documents {batch['id'][0]} to {batch['id'][-1]} of {payload.shard_uri}"):
                result = chain.apply(batch)
                if evaluations is not None:
                    result = evaluations.apply(result)
            dropped.extend(_enter(ledger, batch, result))
            noted.count(batch, result)
            stays = result.documents if result.kept.all() else result.documents.filter(pa.array(result.kept))
            yield pa.Table.from_batches([ratios.measure(stays) if ratios is not None else stays])

    with evaluations or nullcontext():
        if ratios is None:
            shards = write_shard(folder, task.key, kept())
        else:
            write_judged(folder, task.key, kept(), ratios)
            shards = []
    rejected = write_rows(folder.uri, f"dropped/{task.key}.arrow", dropped, DROPPED_SCHEMA)
    facts: dict[str, Any] = {"noted": noted.domains}
    if ratios is not None:
        facts["gzip_band"] = ratios.histograms
    extra = []
    if evaluations is not None:
        extra, facts["decontaminate"] = evaluations.entries, evaluations.documents
    return TaskRecord(shards=shards, dropped=[rejected] if rejected else [], extra=extra, ledger=ledger, facts=facts)


class Noted:
    """How many documents that stay have what written into their metadata, by domain."""

    def __init__(self) -> None:
        self.domains: dict[str, dict[str, int]] = {}

    def count(self, batch: pa.RecordBatch, result: FilterResult) -> None:
        """Count the notes of a batch."""
        for row in sorted(set(result.notes) - set(result.dropped)):
            self.add(batch.column("domain")[row].as_py(), dict.fromkeys(result.notes[row], 1))

    def add(self, domain: str, counts: dict[str, int]) -> None:
        """Count so many more of each."""
        total = Counter(self.domains.get(domain, {})) + Counter(counts)
        self.domains[domain] = dict(sorted(total.items()))


def sum_noted(records: list[TaskRecord]) -> dict[str, dict[str, int]]:
    """What was written into the metadata of documents, over all shards."""
    noted = Noted()
    for record in records:
        for domain, counts in record.facts["noted"].items():
            noted.add(domain, counts)
    return dict(sorted(noted.domains.items()))


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
    _check_domains(recipe)
    FilterChain(without_trained(recipe.filter), recipe.domains("sft"))
    check_classifiers(recipe.filter)
    if recipe.filter.decontaminate is not None:
        check_evaluations(recipe.filter.decontaminate)


def _check_domains(recipe: Recipe) -> None:
    """A set or a band for a domain that no source has would judge nothing, without a word."""
    if any(getattr(getattr(source, "fields", None), "domain", None) for source in recipe.sources):
        return  # records name their own domains
    known = {source.domain for source in recipe.sources}
    band = recipe.filter.gzip_band
    named = {f"sets.{name}": domains for name, domains in recipe.filter.sets.items()}
    named["gzip_band.domains"] = (band.domains if band is not None else None) or ()
    for name, (_, training) in trained_rules(recipe.filter).items():
        named[f"rules.{name}.train.positive.domains"] = training.positive.domains
        named[f"rules.{name}.train.negative.domains"] = training.negative.domains
    for key, domains in named.items():
        for domain in domains:
            if domain not in known:
                raise RecipeError(f"filter.{key}: no source has the domain {domain!r}{nearest(domain, known)}")


def _config(recipe: Recipe) -> dict[str, Any]:
    """The rules, whom they apply to, and what judges besides our own code."""
    judges = {}
    rules = resolve_rules(recipe.filter)
    if recipe.filter.gzip_band is not None or any(isinstance(rule, CoherenceRule) for rule in rules):
        judges["zlib"] = zlib.ZLIB_RUNTIME_VERSION
    for rule in rules:
        if isinstance(rule, DatatroveRule):
            judges["datatrove"] = version("datatrove")
        elif isinstance(rule, LanguageRule) and rule.model is None:
            judges["py3langid"] = version("py3langid")
        elif isinstance(rule, LanguageRule):
            open_identifier(rule.model)
            judges[str(rule.model)] = file_checksum(str(rule.model))
    judges |= classifier_judges(recipe.filter)
    if recipe.filter.decontaminate is not None:
        judges |= evaluation_checksums(recipe.filter.decontaminate)
    section = recipe.filter.model_dump(mode="json")
    sets = [rule.model_dump(mode="json") for rule in rules[: len(rules) - len(recipe.filter.rules)]]
    return {"filter": section, "sets": sets, "dialogue_domains": recipe.domains("sft"), "judges": judges}


def _work(context: StageContext) -> Outcome:
    upstream = context.run.stage("ingest")
    dialogue_domains = tuple(context.recipe.domains("sft"))
    decontaminate = context.recipe.filter.decontaminate
    evaluations, indexed = index_evaluations(context, decontaminate) if decontaminate is not None else (None, None)
    trained = train_classifiers(context)
    tasks = [
        Task(
            f"{number:05d}",
            FilterShard(
                upstream.file(entry.file), context.recipe.filter, dialogue_domains, evaluations, trained.models
            ),
            entry.text_bytes,
        )
        for number, entry in enumerate(context.upstream("ingest").shards)
    ]
    records = context.map("filter", filter_shard, tasks)
    facts = {"noted": noted} if (noted := sum_noted(records)) else {}
    if indexed is not None:
        facts["decontaminate"] = indexed | {"documents": sum_documents(records)}
    if trained.facts:
        facts["classifiers"] = trained.facts
    band = context.recipe.filter.gzip_band
    outcome = Outcome.of(records, **facts) if band is None else drop_band(context, band, tasks, records, facts)
    return replace(outcome, extra=[*(entry for record in trained.records for entry in record.extra), *outcome.extra])


STAGE = Stage(name="filter", version=3, upstream=("ingest",), config=_config, work=_work, check=check_rules)
