"""Starting a training on this machine: in this process, or in several under torchrun's elastic agent."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

from lc_data.failure import Failure
from lc_data.recipe.load import dump_recipe
from lc_data.recipe.recipe import Recipe
from lc_data.training.job import TrainingJob
from lc_data.training.loop import train
from lc_data.training.pretrain import pretrain_job
from lc_data.training.ranks import under_torchrun
from lc_data.training.record import Outcome, finished
from lc_data.training.sft import sft_job
from lc_data.training.stopping import STOPPED_EXIT_CODE, TrainingStopped

Kind = Literal["pretrain", "sft"]
_SHUTDOWN_SECONDS = 600
"""How long ranks may take to save after SIGTERM; torchrun's own 30 s would kill a large model in mid-save."""


def launch(kind: Kind, run_uri: str, recipe: Recipe) -> Outcome:
    """Train on as many processes of this machine as the recipe's section says.

    With one process, or as one rank under torchrun, training happens in this process. A training that is finished
    already starts no process.

    Raises:
        RecipeError: when recipe, model, corpus and processes do not fit, before any work.
        TrainingStopped: when a signal stopped the training; its state is saved.
        Failure: when a process failed; its own message stands on standard error.

    """
    job = training_job(kind, run_uri, recipe)
    if under_torchrun() or job.section.processes == 1:
        return train(job)
    job.check(job.section.processes)
    if (done := finished(job)) is not None:
        return done
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(dump_recipe(recipe), encoding="utf-8")
        _start(["-m", "lc_data.training", kind, run_uri, "--recipe", str(path)], job)
    outcome = finished(job)
    if outcome is None:
        raise Failure(f"{kind}: its processes ended well but left no result in {job.folder}")
    return Outcome(True, outcome.result)


def training_job(kind: Kind, run_uri: str, recipe: Recipe) -> TrainingJob:
    """The job of one of the recipe's trainings."""
    return {"pretrain": pretrain_job, "sft": sft_job}[kind](run_uri, recipe)


def _start(arguments: list[str], job: TrainingJob) -> None:
    """Run a Python command once per process and wait."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    settings: dict[str, Any] = {
        "run_id": job.kind,
        "min_nodes": 1,
        "max_nodes": 1,
        "nproc_per_node": job.section.processes,
        "rdzv_backend": "c10d",
        "rdzv_endpoint": "localhost:0",
        "local_addr": "127.0.0.1",
        "max_restarts": 0,
    }
    if "shutdown_timeout" in {field.name for field in fields(LaunchConfig)}:  # newer than the oldest torch we run on
        settings["shutdown_timeout"] = _SHUTDOWN_SECONDS
    # Every process would otherwise start as many threads as there are cores.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // job.section.processes)))
    stopped = TrainingStopped(f"{job.kind} was stopped and has saved its state; the same command goes on")
    try:
        elastic_launch(LaunchConfig(**settings), sys.executable)(*arguments)
    except ChildFailedError as error:
        codes = {failure.exitcode for failure in error.failures.values()}
        if STOPPED_EXIT_CODE in codes:
            raise stopped from None
        raise Failure(f"{job.kind}: a process ended with exit code {min(codes)}") from error
    except SignalException:
        raise stopped from None
