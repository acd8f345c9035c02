"""The training loop: FSDP2 over however many ranks there are, one pack per forward pass.

The loss of a step is the sum over all its target tokens divided by their number over all ranks and accumulation
steps, known before the first forward pass; or, where sequences are averaged, the weighted sum by the number of those.
So it does not depend on how packs fall on ranks, which a mean of means does. Every step takes the same number of packs
whatever the number of ranks, hence a training that is stopped and continued on more or fewer of them sees each pack
exactly once and in the same steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from lc_data.training.batch import Batch, PackError, next_batch, to_device
from lc_data.training.checkpoint import CheckpointWriter, load_tensors, newest_checkpoint, read_state
from lc_data.training.guard import Guard
from lc_data.training.job import TrainingJob
from lc_data.training.losses import LossMeter
from lc_data.training.optimizer import clip_gradient, gradient_squares, make_optimizer, named_tensors, set_updates
from lc_data.training.ranks import Ranks, join_ranks
from lc_data.training.record import Outcome, finished, hold_folder, open_folder, publish_result
from lc_data.training.sharding import sharded_model
from lc_data.training.stopping import StopRequest, TrainingStopped
from lc_data.training.throughput import StepMeter
from lc_data.training.tracking import Journal, check_tracking
from lc_data.training.weights import fill


def train(job: TrainingJob) -> Outcome:
    """Train to the end of the job, from its newest checkpoint if there is one, and export the weights.

    A training that is finished already is not repeated; what another recipe or another corpus left in the folder is
    moved to ``previous/``.

    Raises:
        RecipeError: when the batch does not divide over the ranks, before any work.
        TrainingStopped: after SIGTERM or SIGUSR1, with the state saved.
        DivergedError: when loss or gradient is not finite; it names the packs.
        Failure: when another process trains in the folder, or a checkpoint cannot be written.

    """
    with join_ranks(job.section.context_parallel) as ranks:
        job.check(ranks.world_size)
        check_tracking(job.section.metrics, job.kind)
        if (done := finished(job)) is not None:
            return done
        with hold_folder(job, ranks):  # all have looked before the first moves anything
            ranks.on_first(lambda: open_folder(job))
            return Trainer(job, ranks).run()


class Trainer:
    """Model, optimizer and place in the stream of one running job."""

    def __init__(self, job: TrainingJob, ranks: Ranks) -> None:
        self.job = job
        self.ranks = ranks
        self.model = sharded_model(job, ranks)
        self.optimizer = make_optimizer(self.model, job.section.optimizer, ranks.device)
        self.stream = job.open_stream(ranks.stream_rank, ranks.streams)
        self.guard = Guard(job.section.guard)
        self.losses = LossMeter(job, ranks, self.model)
        self.meter = StepMeter(self.model, job, ranks)
        self.step = 0
        """Optimizer steps done."""
        self._schedule = job.schedule()
        self._checkpoints = CheckpointWriter(job.folder / "checkpoints", ranks, job.section.checkpoint.keep)
        self._last_save = time.monotonic()
        if (path := newest_checkpoint(job.folder / "checkpoints")) is not None:
            self._restore(path)
        else:
            fill(self.model, job.read_weights)
        self._saved = self.step if self.step else -1

    def run(self) -> Outcome:
        """Train the steps that are left, save, export, and write the result."""
        with ExitStack() as stack:
            stop = stack.enter_context(StopRequest())
            journal = Journal(self.job, self.step, self.ranks.is_first)
            self.ranks.on_first(lambda: stack.enter_context(journal))
            stack.enter_context(self._checkpoints)
            packs = iter(self.stream)
            while self.step < self.job.steps:
                row = self.train_step(packs, stop)
                if row is None:
                    self._save_last()
                    raise TrainingStopped(f"{self.job.kind} stopped after step {self.step}; the same command goes on")
                journal.step(row)
                if (table := self.losses.row_due(self.step)) is not None:
                    journal.losses(table)
                if self._is_save_due():
                    self.save()
            self._save_last()
        publish_result(self.job, self.model, self.ranks, self.step, self._consumed)
        outcome = finished(self.job)
        assert outcome is not None  # the first rank has just written it
        return Outcome(True, outcome.result)

    def save(self) -> None:
        """Begin to write a checkpoint as of the last trained step."""
        started = time.monotonic()
        state = {
            "step": self.step,
            "tokens": self.step * self.job.section.batch_tokens,
            "fingerprint": self.job.fingerprint(),
            "stream": self.stream.state_at(self._consumed),
            "guard": self.guard.state(),
            "losses": self.losses.state(),
        }
        self._checkpoints.save(named_tensors(self.model, self.optimizer), state)
        self._saved, self._last_save = self.step, time.monotonic()
        self.meter.save_seconds = self._last_save - started

    def _save_last(self) -> None:
        if self._saved != self.step:
            self.save()
        self._checkpoints.wait()

    def train_step(self, packs: Iterator[dict[str, Any]], stop: StopRequest) -> dict[str, Any] | None:
        """One optimizer step; None when any rank was asked to stop before it was whole (its packs are not consumed)."""
        job, ranks = self.job, self.ranks
        self.meter.begin()
        batch = next_batch(packs, job.batch_shape(ranks.streams))
        weight = self.meter.take(batch)
        if weight == 0:
            raise PackError(f"step {self.step}: no token of its packs is a target")
        nll = self._accumulate(batch, weight, stop)
        if nll is None:
            self.optimizer.zero_grad()
            return None
        failed = self._checkpoints.has_failed
        sums = ranks.gather(nll, gradient_squares(self.model), failed).sum(0)
        if sums[2]:
            self._checkpoints.wait()
        loss, grad_norm = sums[0].item() / weight, math.sqrt(sums[1].item())
        rate = job.section.optimizer.peak_learning_rate * self._schedule.peak_share(self.step)
        first = self._consumed
        accepted = self.guard.accepts(self.step, loss, grad_norm, range(first, first + job.packs_per_step))
        if accepted:
            clip_gradient(self.model, grad_norm, job.section.optimizer.clip_norm)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        row = {"step": self.step - 1, "loss": loss, "learning_rate": rate, "grad_norm": grad_norm}
        return row | {"packs_consumed": self._consumed, "skipped_updates": self.guard.skipped} | self.meter.end()

    def _accumulate(self, batch: Batch, weight: float, stop: StopRequest) -> float | None:
        """Add up the gradients of a batch; the weighted sum of this rank's losses, or None when asked to stop.

        ``weight`` is the sum of the weights over all ranks, losses are in nats.
        """
        device, part = self.ranks.device, self.ranks.part(self.job.seq_len)
        nll = torch.zeros((), dtype=torch.float64, device=device)
        measured = []
        for number, (pack, targets) in enumerate(zip(batch.packs, batch.targets, strict=True)):
            if self.ranks.any(stop.is_made):
                return None
            losses = self.model(**to_device(pack, device, part), targets=targets[part].to(device))
            measured.append((losses.detach(), pack, targets))
            if batch.weights is not None:
                losses = losses * batch.weights[number][part].to(device)
            # FSDP averages gradients over ranks, so the sum over ranks is divided by the weights once, not per rank.
            (losses.sum() * (self.ranks.world_size / weight)).backward()
            nll += losses.detach().double().sum()
        for losses, pack, targets in measured:  # only now: a step that is given up counts nowhere
            self.losses.add(losses, pack, targets, part)
        return nll.item()

    def _is_save_due(self) -> bool:
        policy = self.job.section.checkpoint
        if self.step >= self.job.steps:
            return False
        if policy.every_steps is not None and self.step % policy.every_steps == 0:
            return True
        late = policy.every_minutes is not None and time.monotonic() - self._last_save >= 60 * policy.every_minutes
        return self.ranks.any(late)

    @property
    def _consumed(self) -> int:
        """Packs that all ranks have trained on. The stream itself may have read ahead."""
        return self.step * self.job.packs_per_step

    def _restore(self, path: Path) -> None:
        state = read_state(path)
        load_tensors(path, named_tensors(self.model, self.optimizer))
        self.step = state["step"]
        self.guard.restore(state["guard"])
        self.losses.restore(state["losses"])
        set_updates(self.optimizer, self.step - self.guard.skipped)
        self.stream.load_state_dict(state["stream"])
