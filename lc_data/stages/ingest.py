"""Ingest: every source read into document shards, whatever it is made of.

Two phases. ``read`` cuts the sources into tasks by bytes and reads them; ``unique`` takes out documents whose id stood
earlier in the plan. The listing of the inputs is part of the configuration, so a file that comes, goes or changes makes
the stage run again.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import fingerprint
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.readers import unique
from lc_data.corpus.readers.intake import take_in
from lc_data.corpus.readers.kinds import ReadPlan, identify_inputs, list_inputs, plan_source
from lc_data.corpus.readers.unique import Repetition, find_repeated, load_keys, remove_repeated
from lc_data.corpus.run import StageFolder
from lc_data.engine.stage import Outcome, Stage, StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.failure import Failure
from lc_data.recipe.recipe import Recipe
from lc_data.recipe.sources import IngestSection, Source

_TOP_REASONS = 5


class QuarantineLimitError(Failure):
    """More of the input was unreadable than the recipe allows."""


@dataclass(frozen=True)
class _Purposes:
    """Which domains hold documents, and which dialogues, found while reading."""

    of_domain: dict[str, str]

    @classmethod
    def of(cls, plans: Sequence[ReadPlan], records: Sequence[TaskRecord]) -> _Purposes:
        """The purpose of each domain; raises :class:`Failure` when records gave one domain both."""
        found: dict[str, str] = {}
        for plan, record in zip(plans, records, strict=True):
            for domain in record.ledger.domains:
                if found.setdefault(domain, plan.source.purpose) != plan.source.purpose:
                    raise Failure(
                        f"domain {domain!r} holds dialogues and plain documents, the latest from source "
                        f"{plan.source.name!r}; give its records another domain"
                    )
        return cls(dict(sorted(found.items())))


def configure(recipe: Recipe) -> dict[str, Any]:
    """What the output depends on: the sources, the limits, and what the sources consist of now."""
    return {
        "sources": [source.model_dump(mode="json") for source in recipe.sources],
        "ingest": recipe.ingest.model_dump(mode="json"),
        "inputs": {source.name: fingerprint(identify_inputs(source)) for source in recipe.sources},
        "software": _software(recipe.sources),
    }


def work(context: StageContext) -> Outcome:
    """Read all sources, then make ids unique."""
    recipe = context.recipe
    plans = [plan for source in recipe.sources for plan in plan_source(source, list_inputs(source), recipe.ingest)]
    return read_plans(context, plans)


def read_plans(context: StageContext, plans: Sequence[ReadPlan]) -> Outcome:
    """The work, for these plans: all that the sources hold, or a part that somebody chose."""
    recipe, folder = context.recipe, context.folder
    records = context.map("read", read_task, [Task(plan.key, plan, plan.weight_bytes) for plan in plans])
    purposes = _Purposes.of(plans, records)
    repetitions = _find_repetitions(plans, records, folder)
    removals = context.map("unique", unique_task, [Task(each.key, each, len(each.rows)) for each in repetitions])
    replaced = dict(zip((each.key for each in repetitions), removals, strict=True))
    ledger = Ledger.merge(record.ledger for record in [*records, *removals])
    _check_limits(ledger, [*records, *removals], recipe.ingest)
    _remove_stale_shards(repetitions, removals, folder)
    return Outcome(
        ledger=ledger,
        shards=_replace_shards(plans, records, replaced),
        dropped=[entry for record in records for entry in record.dropped],
        quarantine=[entry for record in [*records, *removals] for entry in record.quarantine],
        facts={"purposes": purposes.of_domain},
    )


def read_task(task: Task, folder: StageFolder) -> TaskRecord:
    """Read one plan into shards."""
    plan: ReadPlan = task.payload
    intake = take_in(plan, folder.uri, _keys_file(plan.key))
    return TaskRecord(
        shards=intake.shards,
        dropped=intake.dropped,
        quarantine=intake.quarantine,
        ledger=intake.ledger,
        facts={"stored_bytes": plan.weight_bytes, "lost_bytes": intake.lost_bytes, "examples": intake.examples},
    )


def unique_task(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the shards of one read task again without the documents whose ids are taken."""
    removal = remove_repeated(task.payload, folder.uri)
    facts = {"examples": {unique.REASON: removal.example} if removal.example else {}}
    return TaskRecord(shards=removal.shards, quarantine=removal.quarantine, ledger=removal.ledger, facts=facts)


STAGE = Stage(name="ingest", version=1, upstream=(), config=configure, work=work)


def _software(sources: Sequence[Source]) -> dict[str, str]:
    """Versions of what decides on the text besides this package, where a source needs it."""
    kinds = {source.kind for source in sources}
    used = {"trafilatura": version("trafilatura")} if kinds & {"html", "warc"} else {}
    return used | ({"python": platform.python_version()} if "environment" in kinds else {})


def _keys_file(key: str) -> str:
    return f"work/read/{key}.arrow"


def _find_repetitions(
    plans: Sequence[ReadPlan], records: Sequence[TaskRecord], folder: StageFolder
) -> list[Repetition]:
    repeated = find_repeated([load_keys(folder.file(_keys_file(plan.key))) for plan in plans])
    return [
        Repetition(plan.key, plan.source.name, tuple(record.shards), _keys_file(plan.key), tuple(rows.tolist()))
        for plan, record, rows in zip(plans, records, repeated, strict=True)
        if len(rows)
    ]


def _replace_shards(
    plans: Sequence[ReadPlan], records: Sequence[TaskRecord], replaced: dict[str, TaskRecord]
) -> list[FileEntry]:
    return [
        entry for plan, record in zip(plans, records, strict=True) for entry in replaced.get(plan.key, record).shards
    ]


def _remove_stale_shards(
    repetitions: Sequence[Repetition], removals: Sequence[TaskRecord], folder: StageFolder
) -> None:
    """Remove the shards that were written again: nothing names them, and they cost disk."""
    for repetition, removal in zip(repetitions, removals, strict=True):
        kept = {entry.file for entry in removal.shards}
        for entry in repetition.shards:
            if entry.file not in kept:
                storage.remove_file(folder.file(entry.file))


def _check_limits(ledger: Ledger, records: Sequence[TaskRecord], limits: IngestSection) -> None:
    """Raise when too much was unreadable, by records or by stored bytes, or when no document is left."""
    received, rejected, kept = ledger.received().documents, ledger.quarantined().documents, ledger.kept().documents
    stored = sum(record.facts.get("stored_bytes", 0) for record in records)
    lost = sum(record.facts.get("lost_bytes", 0) for record in records)
    reasons = _top_reasons(ledger, (record.facts["examples"] for record in records))
    for unit, part, whole in (("records", rejected, received), ("stored bytes", lost, stored)):
        if part > limits.max_quarantined_share * whole:
            raise QuarantineLimitError(
                f"{part:,} of {whole:,} {unit} ({part / max(whole, 1):.1%}) could not be read; "
                f"ingest.max_quarantined_share is {limits.max_quarantined_share}.{reasons}"
            )
    if not kept:
        raise Failure(f"no document was read from any source: {received:,} records came in.{reasons}")


def _top_reasons(ledger: Ledger, examples: Iterable[dict[str, str]]) -> str:
    """The most frequent reasons, each with its first example, as lines of a message."""
    counts: dict[str, int] = {}
    for account in ledger.domains.values():
        for reason, count in account.quarantined.items():
            counts[reason] = counts.get(reason, 0) + count.documents
    first: dict[str, str] = {}
    for task_examples in examples:
        first = task_examples | first
    ranked = sorted(counts, key=lambda reason: (-counts[reason], reason))[:_TOP_REASONS]
    return "".join(f"\n  {counts[reason]:,} x {reason}, e.g. {first.get(reason, '')}" for reason in ranked)
