"""The training loop: FSDP2 over however many ranks there are, one pack per forward pass.

The loss of a step is the sum over all its target tokens divided by their number over all ranks and accumulation
steps, known before the first forward pass; or, where sequences are averaged, the weighted sum by the number of those.
So it does not depend on how packs fall on ranks, which a mean of means does. Every step takes the same number of packs
whatever the number of ranks, hence a training that is stopped and continued on more or fewer of them sees each pack
exactly once and in the same steps.
"""

from __future__ import annotations

import math
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from lc_data.corpus import storage
from lc_data.failure import Failure
from lc_data.progress import Progress
from lc_data.streaming.ledger import STEP_BITS
from lc_data.training.batch import Batch, PackError, next_batch, to_device
from lc_data.training.checkpoint import load_tensors, newest_checkpoint, read_state, save_checkpoint
from lc_data.training.job import TrainingJob
from lc_data.training.metrics import MetricsLog
from lc_data.training.model import CausalLM
from lc_data.training.ranks import Ranks, join_ranks
from lc_data.training.record import Outcome, finished, open_folder, write_result
from lc_data.training.schedule import learning_rate
from lc_data.training.stopping import StopRequest, TrainingStopped
from lc_data.training.weights import export, fill


def train(job: TrainingJob) -> Outcome:
    """Train to the end of the job, from its newest checkpoint if there is one, and export the weights.

    A training that is finished already is not repeated; what another recipe or another corpus left in the folder is
    moved to ``previous/``.

    Raises:
        RecipeError: when the batch does not divide over the ranks, before any work.
        TrainingStopped: after SIGTERM or SIGUSR1, with the state saved.
        DivergedError: when loss or gradient is not finite; it names the packs.

    """
    with join_ranks() as ranks:
        job.check(ranks.world_size)
        if (done := finished(job)) is not None:
            return done
        ranks.barrier()  # all have looked before the first moves anything
        if ranks.is_first:
            open_folder(job)
        ranks.barrier()
        return Trainer(job, ranks).run()


class DivergedError(Failure):
    """Loss or gradient is no finite number any more."""


class Trainer:
    """Model, optimizer and place in the stream of one running job."""

    def __init__(self, job: TrainingJob, ranks: Ranks) -> None:
        self.job = job
        self.ranks = ranks
        self.model = _sharded_model(job, ranks)
        self.optimizer = _optimizer(self.model, job, ranks.device)
        self.stream = job.open_stream(ranks.rank, ranks.world_size)
        self.step = 0
        """Optimizer steps done."""
        self._checkpoints = job.folder / "checkpoints"
        self._last_save = time.monotonic()
        if (path := newest_checkpoint(self._checkpoints)) is not None:
            self._restore(path)
        else:
            fill(self.model, job.read_weights)

    def run(self) -> Outcome:
        """Train the steps that are left, save, export, and write the result."""
        with ExitStack() as stack:
            stop = stack.enter_context(StopRequest())
            log = progress = None
            if self.ranks.is_first:
                log = MetricsLog(self.job.folder / "metrics.jsonl", self.step)
                stack.callback(log.close)
                left = (self.job.steps - self.step) * self.job.section.batch_tokens
                progress = stack.enter_context(Progress(self.job.kind, left, "tokens"))
            packs = iter(self.stream)
            saved = self.step if self.step else -1
            while self.step < self.job.steps:
                row = self._train_step(packs, stop)
                if row is None:
                    if saved != self.step:
                        self.save()
                    raise TrainingStopped(f"{self.job.kind} stopped after step {self.step}; the same command goes on")
                if log is not None and progress is not None:
                    log.write(row)
                    progress.advance(self.job.section.batch_tokens, note=f"loss {row['loss']:.4f}")
                if self._is_save_due():
                    self.save()
                    saved = self.step
            if saved != self.step:
                self.save()
        return self._finish()

    def save(self) -> Path:
        """Write a checkpoint as of the last trained step."""
        state = {
            "step": self.step,
            "tokens": self.step * self.job.section.batch_tokens,
            "fingerprint": self.job.fingerprint(),
            "stream": self.stream.state_at(self._consumed),
        }
        keep = self.job.section.checkpoint.keep
        path = save_checkpoint(self._checkpoints, self._tensors(), state, self.ranks, keep)
        self._last_save = time.monotonic()
        return path

    def _train_step(self, packs: Any, stop: StopRequest) -> dict[str, Any] | None:
        """One optimizer step; None when any rank was asked to stop before it was whole (its packs are not consumed)."""
        started = time.monotonic()
        job, ranks = self.job, self.ranks
        batch = next_batch(packs, job.batch_shape(ranks.world_size))
        label_tokens, weight, data_hash = ranks.sum(batch.label_tokens, batch.total_weight, batch.data_hash)
        if label_tokens == 0:
            raise PackError(f"step {self.step}: no token of its packs is a target")
        nll = self._accumulate(batch, weight, stop)
        if nll is None:
            self.optimizer.zero_grad()
            return None
        grad_norm = self._clip_gradient(job.section.optimizer.clip_norm)
        nll_sum, wait = ranks.sum(nll, batch.wait_seconds)
        loss = nll_sum / weight
        if not math.isfinite(loss + grad_norm):
            first = self._consumed
            raise DivergedError(
                f"step {self.step}: loss {loss}, gradient norm {grad_norm}; its packs are {first} to "
                f"{first + job.packs_per_step - 1} (lc-data trace shows what they hold)"
            )
        rate = learning_rate(job.section, self.step, job.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        seconds = time.monotonic() - started
        return {
            "step": self.step - 1,
            "loss": loss,
            "learning_rate": rate,
            "grad_norm": grad_norm,
            "tokens": job.section.batch_tokens,
            "label_tokens": int(label_tokens),
            "packs_consumed": self._consumed,
            "data_hash": f"{int(data_hash) % (1 << STEP_BITS):010x}",
            "seconds": round(seconds, 4),
            "tokens_per_second": round(job.section.batch_tokens / seconds, 1),
            "loader_wait_seconds": round(wait / ranks.world_size, 4),
        }

    def _accumulate(self, batch: Batch, weight: float, stop: StopRequest) -> float | None:
        """Add up the gradients of a batch; the weighted sum of this rank's losses, or None when asked to stop.

        ``weight`` is the sum of the weights over all ranks, losses are in nats.
        """
        nll = torch.zeros((), dtype=torch.float64, device=self.ranks.device)
        for number, (pack, targets) in enumerate(zip(batch.packs, batch.targets, strict=True)):
            if self.ranks.any(stop.is_made):
                return None
            losses = self.model(**to_device(pack, self.ranks.device), targets=targets.to(self.ranks.device))
            if batch.weights is not None:
                losses = losses * batch.weights[number].to(self.ranks.device)
            # FSDP averages gradients over ranks, so the sum over ranks is divided by the weights once, not per rank.
            (losses.sum() * (self.ranks.world_size / weight)).backward()
            nll += losses.detach().double().sum()
        return nll.item()

    def _clip_gradient(self, largest: float) -> float:
        """Scale the gradient down to this norm if it is larger; its norm before that.

        Squares are summed in float64: in float32 the norm, and with it every weight, would depend at the sixth digit
        on how parameters are cut into shards.
        """
        gradients = [p.grad.to_local() for p in self.model.parameters() if isinstance(p.grad, DTensor)]
        squares = torch.stack([torch.linalg.vector_norm(g, dtype=torch.float64).square() for g in gradients]).sum()
        (total,) = self.ranks.sum(squares.item())
        norm = math.sqrt(total)
        if norm > largest:
            torch._foreach_mul_(gradients, largest / norm)
        return norm

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

    def _tensors(self) -> dict[str, Tensor]:
        """Everything with a value per parameter, by name. All are tensors, so nothing has to be pickled."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self.model.named_parameters():
            tensors[f"weight.{name}"] = parameter.detach()
            moments = self.optimizer.state[parameter]
            tensors[f"adam.mean.{name}"] = moments["exp_avg"]
            tensors[f"adam.square.{name}"] = moments["exp_avg_sq"]
        return tensors

    def _restore(self, path: Path) -> None:
        state = read_state(path)
        load_tensors(path, self._tensors())
        self.step = state["step"]
        for moments in self.optimizer.state.values():
            moments["step"].fill_(self.step)
        self.stream.load_state_dict(state["stream"])

    def _finish(self) -> Outcome:
        job, writes = self.job, self.ranks.is_first
        temporary, final = job.folder / "export.tmp", job.folder / "export"
        if writes:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
        export(self.model, temporary, writes)
        if writes:
            if job.tokenizer_uri is not None:
                (temporary / "tokenizer.json").write_bytes(storage.read_bytes(job.tokenizer_uri))
            if final.exists():
                shutil.rmtree(final)
            temporary.rename(final)
            write_result(job, self.step, self._consumed)
        self.ranks.barrier()
        outcome = finished(job)
        assert outcome is not None  # the first rank has just written it
        return Outcome(True, outcome.result)


def _sharded_model(job: TrainingJob, ranks: Ranks) -> CausalLM:
    """The model with storage on this rank for its part of every parameter, values unset."""
    with torch.device("meta"):
        model = CausalLM(job.config, recompute=job.section.activation_checkpointing)
    half = job.section.dtype == "bfloat16" or (job.section.dtype == "auto" and ranks.device.type == "cuda")
    # Without cast_forward_inputs=False FSDP would round the rotary angles to bfloat16 on their way into each layer.
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if half else None, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    mesh = ranks.mesh()
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    return model.to_empty(device=ranks.device)


def _optimizer(model: CausalLM, job: TrainingJob, device: torch.device) -> torch.optim.AdamW:
    """AdamW with its state in place from the start, so that a checkpoint can be loaded into it."""
    settings = job.section.optimizer
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    fused = device.type == "cuda"
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=settings.peak_learning_rate,
        betas=settings.betas,
        eps=settings.eps,
        fused=fused,
    )
    for parameter in model.parameters():
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=device if fused else "cpu"),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer
