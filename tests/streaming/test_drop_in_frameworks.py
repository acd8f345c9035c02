"""The stream in the trainers of other projects: on two processes, and then, from what was saved, on one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lc_data import PackedDataset
from lc_data.streaming.varlen import varlen_batch
from tests.streaming.packed_run import PackedRun

pytestmark = pytest.mark.peers

PACKS_PER_STEP = 4
"""of one process: batches of two packs, two of them a step"""


def train(framework: str, packed: PackedRun, out: Path, processes: int, steps: int) -> list[int]:
    """Run a job; return the packs that its model was trained on, in the order of the plan's steps."""
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    job = ["-m", f"tests.streaming.drop_ins.{framework}_job", str(packed.folder), str(out), str(steps)]
    ended = subprocess.run(
        [sys.executable, "-m", *launch, *job], capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    files = [out / f"seen-{processes}-{rank}.jsonl" for rank in range(processes)]
    batches = zip(*(map(json.loads, file.read_text().splitlines()) for file in files), strict=True)
    return [pack for step in batches for place in zip(*step, strict=True) for pack in place]


@pytest.mark.parametrize(
    ("framework", "first", "saved", "more"),
    [("accelerate", 2, 2, 2), ("lightning", 3, 2, 4), ("transformers", 3, 3, 5)],
    # Lightning keeps what it saved at step 2, Trainer saves when it ends; these two take steps in all, not more.
)
def test_two_ranks_and_then_one(
    packed: PackedRun, tmp_path: Path, framework: str, first: int, saved: int, more: int
) -> None:
    pytest.importorskip(framework)
    seen = train(framework, packed, tmp_path, processes=2, steps=first)
    assert seen == list(range(2 * PACKS_PER_STEP * first))
    begin = 2 * PACKS_PER_STEP * saved
    seen = train(framework, packed, tmp_path, processes=1, steps=more)
    assert seen == list(range(begin, begin + 2 * PACKS_PER_STEP))
    if framework == "transformers":
        check_loss(packed, json.loads((tmp_path / "log-2.json").read_text())[0]["loss"])


def check_loss(packed: PackedRun, loss: float) -> None:
    """The loss of Trainer's first step, over ranks and accumulated batches, is the mean over its targets."""
    from tests.streaming.drop_ins.tiny import tiny_llama

    dataset = PackedDataset(packed.folder)
    batch = varlen_batch([dataset.pack(index) for index in range(2 * PACKS_PER_STEP)])
    assert loss == pytest.approx(tiny_llama()(**batch).loss.item(), abs=2e-4)
