"""Ray against the serial reference: same bytes, dead workers, failing tasks."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.engine.task import Job, Task, TaskError, TaskRecord
from lc_data.recipe.engine import EngineSection
from lc_data.recipe.load import parse_recipe
from tests.engine.toy import RECIPE, toy_stage


@dataclass(frozen=True)
class DieOnce:
    marker: str


def die_once(task: Task, folder: StageFolder) -> TaskRecord:
    marker = Path(task.payload.marker)
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return TaskRecord(facts={"key": task.key})


@pytest.fixture(scope="module")
def backend():
    ray_backend = pytest.importorskip("lc_data.engine.ray_backend")
    with ray_backend.open_ray(EngineSection(workers=2)) as opened:
        yield opened


def test_ray_publishes_the_bytes_that_the_serial_backend_publishes(backend, tmp_path):
    manifests = []
    for name, used in (("ray", backend), ("serial", SerialBackend())):
        run = RunFolder(str(tmp_path / name))
        bring_up_to_date(toy_stage(tmp_path / "log", letters="abcdefgh"), parse_recipe(RECIPE), run, used)
        manifests.append(storage.read_bytes(run.stage("ingest").manifest_uri))
    assert manifests[0] == manifests[1]


def test_a_failing_task_fails_once_and_is_named(backend, tmp_path):
    with pytest.raises(TaskError, match="write task c: ValueError"):
        bring_up_to_date(
            toy_stage(tmp_path / "log", fails="c"), parse_recipe(RECIPE), RunFolder(str(tmp_path / "run")), backend
        )
    assert (tmp_path / "log").read_text().count("c") == 1


def test_a_dead_worker_is_replaced(backend, tmp_path):
    job = Job(die_once, Task("x", DieOnce(str(tmp_path / "died"))), StageFolder(str(tmp_path / "stage")), "p", "f")
    assert [record.facts for _, record in backend.run([job])] == [{"key": "x"}]
    assert (tmp_path / "died").exists()
