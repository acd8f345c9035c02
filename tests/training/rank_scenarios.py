"""Trainings on several ranks, run as a program: every rank is a fork of one process that has torch imported already.

Starting ranks under torchrun costs 10 to 30 s of imports each time; a fork costs none. Argument: a folder, in which
every scenario leaves its training.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from lc_data.training.checkpoint import CheckpointWriter
from lc_data.training.loop import train
from lc_data.training.ranks import join_ranks
from lc_data.training.stopping import STOPPED_EXIT_CODE, TrainingStopped
from tests.training.dialogues import make_dialogues, pack_dialogues, sft_job
from tests.training.synthetic import SEQ_LEN, SyntheticStream, make_job, make_packs

PACKS = make_packs(32)
KILLS = 20
READ_BY_FIRST = ("job.json", "metrics.jsonl")
"""Files of a training that only the first rank reads."""
FILE_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir", "shutil.rmtree"}
"""What Python reports before it is done (PEP 578)."""


class WatchedStream(SyntheticStream):
    """Writes down every pack it yields; sends its process SIGTERM at a certain pack."""

    def __init__(self, folder: Path, rank: int, world_size: int, stop_at: int | None = None) -> None:
        super().__init__(PACKS, rank, world_size)
        self.log = folder / f"yielded-{rank}-of-{world_size}.json"
        self.stop_at = stop_at

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for pack in super().__iter__():
            self.log.write_text(json.dumps(self.yielded))
            if pack["pack_index"] == self.stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            yield pack


def run_ranks(world_size: int, work: Callable[[], None]) -> list[int]:
    """Run ``work`` on so many forked ranks; their exit codes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for rank in range(world_size):
        child = os.fork()
        if child == 0:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world_size)}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            code = 1
            try:
                work()
                code = 0
            except TrainingStopped:
                code = STOPPED_EXIT_CODE
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def train_in(folder: Path, stop_at: int | None = None, **settings: Any) -> Callable[[], None]:
    folder.mkdir(exist_ok=True)
    job = make_job(folder, PACKS, lambda r, w: WatchedStream(folder, r, w, stop_at), **settings)
    return lambda: train(job) and None


def fail_in(folder: Path, name: str) -> Callable[[], None]:
    """Train where a folder stands for a file that the first rank alone reads; every rank notes what it met."""
    (folder / name).mkdir(parents=True)
    job = make_job(folder, PACKS)

    def work() -> None:
        try:
            train(job)
        except Exception as error:
            (folder / f"met-by-{os.environ['RANK']}.txt").write_text(f"{type(error).__name__}: {error}")
            raise

    return work


def fine_tune_in(folder: Path) -> Callable[[], None]:
    packs = pack_dialogues(make_dialogues(), 4, SEQ_LEN, seed=3)
    return lambda: train(sft_job(folder, packs, "sequence_mean")) and None


def save(folder: Path, step: int, die_at: int | None = None) -> Callable[[], None]:
    """Save; or be killed at the ``die_at``-th operation on files of the save, in whatever thread."""

    def work() -> None:
        seen = itertools.count(1)

        def kill(event: str, arguments: tuple) -> None:
            if event in FILE_EVENTS and str(folder) in str(arguments) and next(seen) == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

        with join_ranks() as ranks, CheckpointWriter(folder, ranks, keep=1) as writer:
            sys.addaudithook(kill)
            writer.save(*state_of(step))
            writer.wait()

    return work


def state_of(step: int) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """A checkpoint of which every value says which step it is of."""
    return {name: torch.full((64, 3), float(step)) for name in ("weight", "moment")}, {"step": step}


def main(root: Path) -> None:
    codes = {}
    for world_size in (1, 2, 4):
        codes[f"straight-{world_size}"] = run_ranks(world_size, train_in(root / f"straight-{world_size}"))
    # Pack 23 is rank 1's alone: both ranks have to stop, in the sixth step, which is given up.
    codes["stopped"] = run_ranks(2, train_in(root / "stopped", stop_at=23))
    for world_size in (1, 2, 4):
        folder = root / f"two-then-{world_size}"
        shutil.copytree(root / "stopped", folder)
        codes[f"resumed-{world_size}"] = run_ranks(world_size, train_in(folder))
    for world_size in (2, 4):
        folder = root / f"context-{world_size}"
        codes[folder.name] = run_ranks(world_size, train_in(folder, context_parallel=2))
    shutil.copytree(root / "stopped", root / "two-then-shared")
    codes["resumed-shared"] = run_ranks(2, train_in(root / "two-then-shared", context_parallel=2))
    codes["saved"] = run_ranks(1, save(root / "saved", 1))
    for at in range(1, KILLS + 1):
        shutil.copytree(root / "saved", root / f"killed-{at}")
        codes[f"killed-{at}"] = run_ranks(1, save(root / f"killed-{at}", 2, die_at=at))
    codes["sequences"] = run_ranks(2, fine_tune_in(root / "sequences"))
    for name in READ_BY_FIRST:
        codes[f"failed-{name}"] = run_ranks(2, fail_in(root / f"failed-{name}", name))
    (root / "codes.json").write_text(json.dumps(codes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
