"""Kill -9 at random moments and resume: every published byte equals that of an undisturbed run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.small_corpus import published_bytes, small_recipe_text, write_small_corpus


def _command(recipe: Path, run: Path, backend: str) -> list[str]:
    engine = f"engine={{backend: {backend}, workers: 2}}" if backend == "ray" else "engine={backend: serial}"
    return [sys.executable, "-m", "lc_data.cli", "run", str(recipe), "--out", str(run), "--to", "pack", "-o", engine]


def _run_with_kills(recipe: Path, run: Path, backend: str, delays: list[float]) -> int:
    """Start, kill after each delay, finally let it finish; how many were really killed at work."""
    killed = 0
    for delay in delays:
        process = subprocess.Popen(_command(recipe, run, backend), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
    subprocess.run(_command(recipe, run, backend), check=True, capture_output=True)
    return killed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    write_small_corpus(folder / "corpus")
    recipe = folder / "recipe.yaml"
    recipe.write_text(small_recipe_text(folder / "corpus"))
    started = time.monotonic()
    subprocess.run(_command(recipe, folder / "whole", "serial"), check=True, capture_output=True)
    return recipe, published_bytes(folder / "whole"), time.monotonic() - started


def test_three_kills_of_a_serial_run(undisturbed, tmp_path):
    recipe, expected, seconds = undisturbed
    rng = random.Random(1)
    delays = [rng.uniform(0.3, 0.9) * seconds for _ in range(3)]
    assert _run_with_kills(recipe, tmp_path / "run", "serial", delays) >= 1
    assert published_bytes(tmp_path / "run") == expected
    assert not list((tmp_path / "run").rglob("*.tmp-*"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("backend", ["serial", "ray"])
def test_twenty_kills(undisturbed, tmp_path, backend):
    recipe, expected, seconds = undisturbed
    rng = random.Random(2)
    ceiling = seconds + (8 if backend == "ray" else 0)
    for attempt in range(20):
        run = tmp_path / f"run-{attempt}"
        _run_with_kills(recipe, run, backend, [rng.uniform(0.05, 1.0) * ceiling])
        assert published_bytes(run) == expected, attempt
