"""Where the figures of a training go: lines of JSON always, TensorBoard and wandb where they are asked for.

The files are the record: the report reads nothing else, and no service has to be there. wandb stays offline unless
``WANDB_MODE`` says otherwise, so that a training never sends anything that nobody asked it to.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Protocol

from lc_data.progress import Progress
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.training import MetricsSection
from lc_data.training.job import TrainingJob
from lc_data.training.metrics import MetricsLog

_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}


def check_tracking(section: MetricsSection, kind: str) -> None:
    """Raise :class:`RecipeError` when a tracker is asked for that is not installed."""
    for name in section.tracking:
        if find_spec(_PACKAGES[name]) is None:
            raise RecipeError(
                f'{kind}.metrics.tracking names {name}, which is not installed: pip install "lc_data[tracking]"'
            )


class Sink(Protocol):
    """What takes figures by name."""

    def write(self, step: int, values: dict[str, float]) -> None:
        """Take the figures of a step."""

    def close(self) -> None:
        """Bring everything to the disk."""


class Journal:
    """The files, trackers and progress bar of a training.

    Only the first rank enters it; on all others, where ``writes`` is false, it does nothing.
    """

    def __init__(self, job: TrainingJob, first_step: int, writes: bool) -> None:
        self._job, self._first_step, self._writes = job, first_step, writes
        self._stack = ExitStack()
        self._sinks: list[Sink] = []

    def __enter__(self) -> Journal:
        job, first = self._job, self._first_step
        self._steps = MetricsLog(job.folder / "metrics.jsonl", first)
        self._losses = MetricsLog(job.folder / "losses.jsonl", first)
        self._sinks = [_open_sink(name, job, first) for name in job.section.metrics.tracking]
        self._stack.callback(self._steps.close)
        self._stack.callback(self._losses.close)
        for sink in self._sinks:
            self._stack.callback(sink.close)
        left = (job.steps - first) * job.section.batch_tokens
        self._progress = self._stack.enter_context(Progress(job.kind, left, "tokens"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def step(self, row: dict[str, Any]) -> None:
        """Write the row of a step."""
        if self._writes:
            self._steps.write(row)
            self._progress.advance(row["tokens"], note=f"loss {row['loss']:.4f}")
            self._track(row["step"], row)

    def losses(self, row: dict[str, Any]) -> None:
        """Write a row of losses by domain and position."""
        if self._writes:
            self._losses.write(row)
            self._track(row["step"], loss_curves(row))

    def _track(self, step: int, row: dict[str, Any]) -> None:
        values = {name: value for name, value in row.items() if isinstance(value, int | float) and name != "step"}
        for sink in self._sinks:
            sink.write(step, values)


def loss_curves(row: dict[str, Any]) -> dict[str, float]:
    """A row of ``losses.jsonl`` as flat figures: ``loss_at/books/1024`` and, where measured, ``long_gain/far``."""
    tables = {"all": row["all"], **row["domains"]}
    cells = ((name, bucket) for name, table in tables.items() for bucket in table["buckets"])
    values = {f"loss_at/{name}/{bucket['from']}": bucket["nll"] for name, bucket in cells}
    return values | {f"long_gain/{name}": value for name, value in (row["long_gain"] or {}).items()}


class _TensorBoard:
    def __init__(self, job: TrainingJob, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(job.folder / "tensorboard"), purge_step=first_step or None)

    def write(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    def __init__(self, job: TrainingJob, first_step: int) -> None:
        import wandb

        self._run = wandb.init(
            project="lc_data",
            name=f"{job.folder.parent.name}-{job.kind}",
            id=job.fingerprint(),
            resume="allow",
            config=job.identity(),
            dir=str(job.folder),
            mode=os.environ.get("WANDB_MODE", "offline"),
        )

    def write(self, step: int, values: dict[str, float]) -> None:
        # wandb's own step must rise, and losses come in the same step as the step's row or after a resume again.
        self._run.log({"step": step, **values})

    def close(self) -> None:
        self._run.finish()


def _open_sink(name: str, job: TrainingJob, first_step: int) -> Sink:
    return _TensorBoard(job, first_step) if name == "tensorboard" else _Wandb(job, first_step)
