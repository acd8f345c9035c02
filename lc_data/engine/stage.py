"""The one way every stage runs: fingerprint, plan, tasks, ledger, manifest.

A stage whose manifest carries the fingerprint of the present recipe is up to date. Otherwise its tasks run, those that
already have a record under this fingerprint are skipped, the books are balanced against the shards and against the
upstream stage, and the manifest is published last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import difference, fingerprint
from lc_data.corpus.ledger import Count, Ledger, LedgerError
from lc_data.corpus.manifest import FileEntry, Manifest, ManifestError, write_manifest
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.engine.backend import Backend
from lc_data.engine.task import Job, Task, TaskRecord, Work
from lc_data.progress import Progress
from lc_data.recipe.load import dump_recipe
from lc_data.recipe.recipe import Recipe


@dataclass(frozen=True)
class Outcome:
    """What a stage publishes: the fields of its manifest that the engine cannot know."""

    ledger: Ledger
    shards: list[FileEntry] = field(default_factory=list)
    dropped: list[FileEntry] = field(default_factory=list)
    quarantine: list[FileEntry] = field(default_factory=list)
    extra: list[FileEntry] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Sequence[TaskRecord], **facts: Any) -> Outcome:
        """The sum of the records of a stage's last phase, in task order."""
        return cls(
            ledger=Ledger.merge(record.ledger for record in records),
            shards=[entry for record in records for entry in record.shards],
            dropped=[entry for record in records for entry in record.dropped],
            quarantine=[entry for record in records for entry in record.quarantine],
            extra=[entry for record in records for entry in record.extra],
            facts=facts,
        )


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline."""

    name: str
    version: int
    """Raised when the same configuration gives other bytes, so that old outputs are made again."""
    upstream: tuple[str, ...]
    """Stages whose manifests it reads; what the first of them kept is what comes in here."""
    config: Callable[[Recipe], dict[str, Any]]
    """The part of the resolved recipe that its output depends on, as JSON."""
    work: Callable[[StageContext], Outcome]
    check: Callable[[Recipe], None] = lambda recipe: None
    """Raises ``RecipeError`` for what the recipe names and cannot be had: asked of every stage before any works."""


@dataclass
class StageContext:
    """What a stage's work sees: the recipe, its folder, its upstream, and a way to map tasks."""

    recipe: Recipe
    run: RunFolder
    stage: Stage
    fingerprint: str
    backend: Backend
    seconds: dict[str, float] = field(default_factory=dict)
    peak_rss_bytes: dict[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> StageFolder:
        """The stage's own folder."""
        return self.run.stage(self.stage.name)

    def upstream(self, name: str) -> Manifest:
        """The manifest of a stage named in ``Stage.upstream``."""
        if name not in self.stage.upstream:
            raise ValueError(f"stage {self.stage.name!r} does not declare {name!r} as upstream")
        return self.run.stage(name).manifest()

    def map(self, phase: str, work: Work, tasks: Sequence[Task]) -> list[TaskRecord]:
        """Run a phase: the record of every task, in the order of ``tasks``, however they were run."""
        jobs = [Job(work, task, self.folder, phase, self.fingerprint) for task in tasks]
        if len({task.key for task in tasks}) != len(tasks):
            raise ValueError(f"{self.stage.name}/{phase}: task keys are not unique")
        records = _finished(jobs)
        missing = [job for job in jobs if job.task.key not in records]
        # Heavy tasks first: the last one to finish is then a light one.
        missing.sort(key=lambda job: -job.task.weight_bytes)
        started = time.perf_counter()
        total = sum(task.weight_bytes for task in tasks)
        with Progress(f"{self.stage.name}/{phase}", total, "B") as progress:
            progress.advance(total - sum(job.task.weight_bytes for job in missing))
            for job, record in self.backend.run(missing):
                records[job.task.key] = record
                progress.advance(job.task.weight_bytes)
        self.seconds[phase] = round(time.perf_counter() - started, 3)
        self.peak_rss_bytes[phase] = max((record.peak_rss_bytes for record in records.values()), default=0)
        return [records[task.key] for task in tasks]


@dataclass(frozen=True)
class StageReport:
    """How a stage came to be up to date."""

    stage: str
    ran: bool
    changes: list[str]
    """What made an existing output stale; empty on a first run."""
    seconds: float
    manifest: Manifest


def bring_up_to_date(stage: Stage, recipe: Recipe, run: RunFolder, backend: Backend) -> StageReport:
    """Run a stage unless its published output is already that of this recipe, which is saved with the run."""
    folder = run.stage(stage.name)
    config = stage.config(recipe)
    upstream = {name: run.stage(name).manifest().fingerprint for name in stage.upstream}
    mark = fingerprint([stage.name, stage.version, config, upstream])
    # Not earlier: finding the fingerprint looks at what the recipe names, and may find that it is wrong.
    _save_recipe(recipe, run)
    existing, changes = _existing(folder)
    if existing is not None:
        if existing.fingerprint == mark:
            return StageReport(stage.name, ran=False, changes=[], seconds=0.0, manifest=existing)
        changes = _changes(existing, config, upstream)
    _retract(folder, mark)
    context = StageContext(recipe, run, stage, mark, backend)
    started = time.perf_counter()
    outcome = stage.work(context)
    manifest = Manifest(
        stage=stage.name,
        fingerprint=mark,
        upstream=upstream,
        shards=outcome.shards,
        dropped=outcome.dropped,
        quarantine=outcome.quarantine,
        extra=outcome.extra,
        ledger=outcome.ledger,
        seed=recipe.seed,
        config=config,
        facts=outcome.facts,
    )
    _check_books(manifest, run)
    _publish(folder, manifest, context, time.perf_counter() - started)
    return StageReport(stage.name, True, changes, time.perf_counter() - started, manifest)


def _finished(jobs: Sequence[Job]) -> dict[str, TaskRecord]:
    records = {}
    for folder_uri in {job.record_uri.rsplit("/", 1)[0] for job in jobs}:
        there = set(storage.list_files(folder_uri))
        for job in jobs:
            if f"{job.task.key}.json" in there:
                records[job.task.key] = TaskRecord.model_validate_json(storage.read_bytes(job.record_uri))
    return records


def _existing(folder: StageFolder) -> tuple[Manifest | None, list[str]]:
    """The published manifest, or why there is one that cannot be used: the stage is then made again."""
    if not folder.is_published():
        return None, []
    try:
        return folder.manifest(), []
    except ManifestError as error:
        return None, [f"its manifest could not be used: {error}"]


def _changes(existing: Manifest, config: dict[str, Any], upstream: dict[str, str]) -> list[str]:
    stale = [f"{name}: made again" for name, mark in upstream.items() if existing.upstream.get(name) != mark]
    return difference(existing.config, json.loads(json.dumps(config))) + stale or ["lc_data's own version of the stage"]


def _save_recipe(recipe: Recipe, run: RunFolder) -> None:
    resolved = dump_recipe(recipe).encode()
    if not storage.exists(run.recipe_uri) or storage.read_bytes(run.recipe_uri) != resolved:
        storage.write_atomic(run.recipe_uri, resolved)


def _retract(folder: StageFolder, mark: str) -> None:
    """Unpublish a stale output, and clear it away unless it is this very run's half."""
    storage.remove_file(folder.manifest_uri)
    if storage.exists(storage.join(folder.tasks_uri, mark)):
        return
    for name in ("shards", "parts", "dropped", "quarantine", "contamination", "classifiers", "plan", "work", "tasks"):
        storage.remove_tree(folder.file(name))


def _check_books(manifest: Manifest, run: RunFolder) -> None:
    """The ledger balances, agrees with the shards, and starts where the upstream stage ended."""
    where = f"stage {manifest.stage!r}"
    try:
        manifest.ledger.balance()
    except LedgerError as error:
        raise LedgerError(f"{where}: {error}") from None
    if manifest.shards and all(entry.text_bytes for entry in manifest.shards):
        kept = manifest.ledger.kept()
        shards = Count(
            documents=sum(entry.rows for entry in manifest.shards),
            bytes=sum(entry.text_bytes for entry in manifest.shards),
        )
        if (shards.documents, shards.bytes) != (kept.documents, kept.bytes):
            raise LedgerError(f"{where}: the ledger kept {kept}, the shards hold {shards}")
    for name in list(manifest.upstream)[:1]:
        before, now = run.stage(name).manifest().ledger.kept(), manifest.ledger.received()
        if before.documents != now.documents or (before.bytes and now.bytes and before.bytes != now.bytes):
            raise LedgerError(f"{where}: {name} passed on {before}, and {now} came in")


def _publish(folder: StageFolder, manifest: Manifest, context: StageContext, seconds: float) -> None:
    timing = {"seconds": round(seconds, 3), "phases": context.seconds, "peak_rss_bytes": context.peak_rss_bytes}
    storage.write_atomic(folder.file("timing.json"), json.dumps(timing, indent=1).encode())
    write_manifest(folder.manifest_uri, manifest)
    storage.remove_tree(folder.tasks_uri)
    storage.remove_tree(folder.work_uri)
