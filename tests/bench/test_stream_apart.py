"""A call in a process of its own answers, or it is said why it did not; what it started ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lc_data.bench.stream_apart import ApartError, call_apart


def tell_places() -> list[str]:
    return [tempfile.gettempdir(), str(Path.home()), str(os.getpid())]


def fail() -> None:
    raise ValueError("what it said last")


def end_without_a_word() -> None:
    os._exit(3)


def hang_with_a_child(told: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(told).write_text(str(child.pid))
    time.sleep(600)


def is_running(process: int) -> bool:
    state = Path("/proc", str(process), "stat")
    return state.exists() and state.read_text().rsplit(") ", 1)[1][0] != "Z"


def test_a_call_has_a_process_whose_files_go_below_the_folder(tmp_path):
    temporary, home, process = call_apart(str(tmp_path), 60, tell_places)
    assert Path(temporary).is_relative_to(tmp_path)
    assert Path(home).is_relative_to(tmp_path)
    assert process != str(os.getpid())
    assert not list(Path(temporary).iterdir())


@pytest.mark.parametrize(
    ("call", "said"), [(fail, "ended with 1: .*what it said last"), (end_without_a_word, "with 3")]
)
def test_one_that_fails_says_how(call, said, tmp_path):
    with pytest.raises(ApartError, match=said):
        call_apart(str(tmp_path), 60, call)


def test_one_that_hangs_is_ended_with_what_it_started(tmp_path):
    told = tmp_path / "child"
    with pytest.raises(ApartError, match="no answer in 5 s"):
        call_apart(str(tmp_path), 5, hang_with_a_child, str(told))
    assert not is_running(int(told.read_text()))
