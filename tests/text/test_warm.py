"""What is loaded once before workers are forked: it must start no thread, whose locks a fork would copy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
import os, sys
from pathlib import Path
from lc_data.text.warm import warm_kernels

def threads():
    names = sorted(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))
    return [name for name in names if name != "jemalloc_bg_thd"]  # Arrow's allocator sees to its own at a fork

before = threads()
warm_kernels()
assert threads() == before, (before, threads())
child = os.fork()
if child == 0:
    import numpy as np
    from lc_data.text.characters import character_classes
    from lc_data.text.words import count_content_words
    found = count_content_words(np.frombuffer(b"two words", np.uint8), character_classes())
    os._exit(0 if tuple(found) == (2, 0) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_warming_starts_no_thread_and_its_kernels_work_after_a_fork():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", _CODE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
