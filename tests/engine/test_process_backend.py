"""Worker processes against the serial reference: same bytes, dead workers, failing tasks, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.engine.backend import DeferredBackend, SerialBackend
from lc_data.engine.process_backend import available_cores
from lc_data.engine.stage import bring_up_to_date
from lc_data.engine.task import Job, Task, TaskError, TaskRecord
from lc_data.recipe.engine import EngineSection
from lc_data.recipe.load import parse_recipe
from tests.engine.toy import RECIPE, toy_stage

SECTION = EngineSection(backend="processes", workers=2, max_retries=2)


@dataclass(frozen=True)
class Deaths:
    log: str
    count: int


def die(task: Task, folder: StageFolder) -> TaskRecord:
    """Die so many times, then answer."""
    with Path(task.payload.log).open("a") as log:
        log.write("+")
    if len(Path(task.payload.log).read_text()) <= task.payload.count:
        os.kill(os.getpid(), signal.SIGKILL)
    return TaskRecord(facts={"pid": os.getpid()})


def sleep(task: Task, folder: StageFolder) -> TaskRecord:
    storage.write_atomic(task.payload, f"{os.getpid()} {os.getppid()}".encode())
    time.sleep(600)
    return TaskRecord()


def be_slow() -> None:
    """A step of a zygote."""
    time.sleep(0.5)


def job_of(folder: Path, payload, work=die, key: str = "x") -> Job:
    return Job(work, Task(key, payload), StageFolder(str(folder / "stage")), "p", "f")


@pytest.fixture(scope="module")
def backend():
    with DeferredBackend(SECTION, ["tests.engine.toy"]) as opened:
        yield opened


def test_processes_publish_the_bytes_that_the_serial_backend_publishes(backend, tmp_path):
    manifests = []
    for name, used in (("processes", backend), ("serial", SerialBackend())):
        run = RunFolder(str(tmp_path / name))
        bring_up_to_date(toy_stage(tmp_path / "log", letters="abcdefgh"), parse_recipe(RECIPE), run, used)
        manifests.append(storage.read_bytes(run.stage("ingest").manifest_uri))
    assert manifests[0] == manifests[1]


def test_a_failing_task_fails_once_and_is_named(backend, tmp_path):
    with pytest.raises(TaskError, match="write task c: ValueError: cannot be\n  while working on document c-1"):
        bring_up_to_date(
            toy_stage(tmp_path / "log", fails="c"), parse_recipe(RECIPE), RunFolder(str(tmp_path / "run")), backend
        )
    assert (tmp_path / "log").read_text().count("c") == 1


def test_workers_stay_for_later_phases_and_dead_ones_are_replaced(backend, tmp_path):
    def pids(*payloads: Deaths) -> set[int]:
        jobs = [job_of(tmp_path, payload, key=str(number)) for number, payload in enumerate(payloads)]
        return {record.facts["pid"] for _, record in backend.run(jobs)}

    none = Deaths(str(tmp_path / "none"), 0)
    first = pids(*[none] * 6)
    assert first == pids(*[none] * 6), "the same two"
    assert os.getpid() not in first
    assert pids(Deaths(str(tmp_path / "two"), 2))
    idle = pids(*[none] * 6)
    killed = idle.pop()
    os.kill(killed, signal.SIGKILL)
    _assert_gone(killed)
    assert killed not in pids(*[none] * 6), "another takes its place"


def test_a_task_whose_worker_always_dies_fails(backend, tmp_path):
    with pytest.raises(TaskError, match="p task x: its worker died 3 times; fewer"):
        list(backend.run([job_of(tmp_path, Deaths(str(tmp_path / "always"), 99))]))
    assert (tmp_path / "always").read_text() == "+++"


def test_a_failure_ends_what_is_in_flight(backend, tmp_path):
    jobs = [
        job_of(tmp_path, str(tmp_path / "pid"), sleep, "long"),
        job_of(tmp_path, Deaths(str(tmp_path / "always"), 99), key="dies"),
    ]
    started = time.monotonic()
    with pytest.raises(TaskError, match="task dies"):
        list(backend.run(jobs))
    assert time.monotonic() - started < 60
    _assert_gone(int((tmp_path / "pid").read_text().split()[0]))


def test_a_module_that_cannot_be_imported_is_an_error(tmp_path, capfd):
    with (
        DeferredBackend(SECTION, ["lc_data.no_such_room"]) as broken,
        pytest.raises(TaskError, match="no worker process could be started"),
    ):
        list(broken.run([job_of(tmp_path, Deaths(str(tmp_path / "log"), 0))]))
    assert "No module named 'lc_data.no_such_room'" in capfd.readouterr().err


def test_early_workers_work_while_the_zygote_goes_on_and_are_then_replaced(tmp_path):
    def pids(backend: DeferredBackend) -> set[int]:
        jobs = [job_of(tmp_path, Deaths(str(tmp_path / "log"), 0), key=str(number)) for number in range(4)]
        return {record.facts["pid"] for _, record in backend.run(jobs)}

    steps = ["tests.engine.test_process_backend", "tests.engine.test_process_backend:be_slow"]
    with DeferredBackend(SECTION, steps) as opened:
        early, later = pids(opened), pids(opened)
        assert not early & later
        assert later == pids(opened), "these stay"
        for pid in early:
            _assert_gone(pid)
    for pid in later:
        _assert_gone(pid)


def test_a_step_that_fails_after_the_first_workers_is_an_error(tmp_path, capfd):
    none = Deaths(str(tmp_path / "log"), 0)
    with DeferredBackend(SECTION, ["tests.engine.test_process_backend", "lc_data.no_such_room"]) as broken:
        assert len(list(broken.run([job_of(tmp_path, none)]))) == 1
        with pytest.raises(TaskError, match="no worker process could be started"):
            list(broken.run([job_of(tmp_path, none)]))
    assert "No module named 'lc_data.no_such_room'" in capfd.readouterr().err


_DRIVER = """
import os, signal, sys
from pathlib import Path
from lc_data.engine.backend import DeferredBackend
from tests.engine.test_process_backend import SECTION, Deaths, job_of, sleep
folder, ending = Path(sys.argv[1]), sys.argv[2]
jobs = [job_of(folder, str(folder / "pid"), sleep, "long")]
with DeferredBackend(SECTION, ["tests.engine.test_process_backend"]) as backend:
    if ending == "error":
        jobs.append(job_of(folder, Deaths(str(folder / "always"), 99), key="dies"))
    for _ in backend.run(jobs):
        pass
"""


@pytest.mark.parametrize("ending", ["error", "interrupt", "terminate", "kill"])
def test_no_process_is_left_behind(tmp_path, ending):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _DRIVER, str(tmp_path), ending]
    driver = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    pid = tmp_path / "pid"
    numbers = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM, "kill": signal.SIGKILL}
    try:
        while not pid.exists():
            assert driver.poll() is None
            time.sleep(0.05)
        if ending in numbers:
            driver.send_signal(numbers[ending])
        assert driver.wait(60) != 0
    finally:
        driver.kill()
        driver.wait()
    worker, zygote = map(int, pid.read_text().split())
    _assert_gone(worker)
    _assert_gone(zygote)


def test_the_cores_of_this_process_are_the_workers(tmp_path):
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def _assert_gone(pid: int) -> None:
    """The process ends soon."""
    for _ in range(600):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")
