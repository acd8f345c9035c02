"""Nothing is left of a plan: not after success, not after a failure, not after kill -9."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lc_data.forecast.scratch import scratch_folder

_WORK = """
import time
from lc_data.forecast.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    time.sleep(600)
"""


def test_the_folder_is_gone_after_success_and_after_an_error() -> None:
    with scratch_folder() as folder:
        (folder / "file").write_text("there")
    assert not folder.exists()
    with pytest.raises(KeyError), scratch_folder() as folder:
        raise KeyError
    assert not folder.exists()


def test_the_folder_is_gone_after_kill_9() -> None:
    process = subprocess.Popen([sys.executable, "-c", _WORK], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert (folder / "deep" / "file").exists()
    process.kill()
    process.wait()
    for _ in range(200):
        if not folder.exists():
            break
        time.sleep(0.05)
    assert not folder.exists()
