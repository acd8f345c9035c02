"""What a stage takes, counted up from the part that a plan ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lc_data.corpus.manifest import FileEntry, Manifest
from lc_data.corpus.run import StageFolder
from lc_data.engine.stage import StageReport
from lc_data.engine.task import Job, Task, TaskRecord
from lc_data.forecast.meter import MeteredBackend


class Clockwork:
    """A backend whose tasks take as many seconds and bytes of memory as their weight, and leave a file of it."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, TaskRecord]]:
        for job in jobs:
            Path(job.folder.uri, job.task.key).write_bytes(b"x" * job.task.weight_bytes)
            yield job, TaskRecord(seconds=job.task.weight_bytes, peak_rss_bytes=1000 * job.task.weight_bytes)


def work(task: Task, folder: StageFolder) -> TaskRecord:
    raise NotImplementedError


def run_phase(backend: MeteredBackend, folder: Path, phase: str, *weights: int) -> None:
    jobs = [Job(work, Task(f"{phase}-{n}", None, weight), StageFolder(str(folder)), phase, "f") for n, weight in
            enumerate(weights)]  # fmt: skip
    assert len(list(backend.run(jobs))) == len(weights)


def report(seconds: float) -> StageReport:
    shard = FileEntry(file="shards/0.arrow", rows=10, bytes=500, checksum="")
    tokenizer = FileEntry(file="tokenizer.json", rows=0, bytes=70, checksum="")
    manifest = Manifest(stage="bucket", fingerprint="f", shards=[shard], extra=[tokenizer], seed=0)
    return StageReport("bucket", True, [], seconds, manifest)


def test_work_is_shared_out_and_grows_with_the_corpus(tmp_path: Path) -> None:
    backend = MeteredBackend(Clockwork())
    run_phase(backend, tmp_path, "tokenize", 10, 20, 30, 60)
    run_phase(backend, tmp_path, "group", 7)
    cost = backend.cost(report(0.0), str(tmp_path), 1, 4)
    assert cost.hours * 3600 == pytest.approx(60 + 7)  # four cores, and no phase is shorter than its longest task
    ten = backend.cost(report(0.0), str(tmp_path), 10, 4)
    assert ten.hours * 3600 == pytest.approx(1200 / 4 + 70 / 4)
    assert (cost.memory_bytes, ten.memory_bytes) == (4 * 60_000, 4 * 60_000)
    assert (cost.disk_bytes, ten.disk_bytes) == (500 + 70, 5000 + 70)
    assert ten.working_disk_bytes == 5000 + 70


def test_what_the_driver_does_between_phases_is_added(tmp_path: Path) -> None:
    backend = MeteredBackend(Clockwork())
    run_phase(backend, tmp_path, "tokenize", 1)
    alone = backend.cost(report(0.0), str(tmp_path), 1, 1)
    longer = backend.cost(report(50.0), str(tmp_path), 1, 1)
    assert longer.hours * 3600 == pytest.approx(alone.hours * 3600 + 50, abs=1)


def test_work_files_count_while_the_stage_runs(tmp_path: Path) -> None:
    backend = MeteredBackend(Clockwork())
    run_phase(backend, tmp_path, "tokenize", 3000, 2000)
    cost = backend.cost(report(0.0), str(tmp_path), 2, 1)
    assert cost.working_disk_bytes == 2 * (5000 - 70) + 70
