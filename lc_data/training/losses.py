"""Where a training learns: its losses by domain and position, and the gain from long context, every few steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from lc_data.training.batch import target_places, to_device
from lc_data.training.job import TrainingJob
from lc_data.training.long_gain import GainSpan, gain_figures, long_gain
from lc_data.training.loss import IGNORED
from lc_data.training.position_loss import PositionLoss, first_bucket
from lc_data.training.ranks import Ranks


class LossMeter:
    """The sums over the steps since the last row of ``losses.jsonl``; all ranks add to their own."""

    def __init__(self, job: TrainingJob, ranks: Ranks, model: nn.Module) -> None:
        self._job, self._ranks, self._model = job, ranks, model
        self._table = PositionLoss(job.domains, first_bucket(job.seq_len), job.seq_len, ranks.device)
        self._span = GainSpan.of(job.seq_len)
        wanted = job.section.metrics.long_gain_documents
        self._documents = job.long_documents(self._span.length, wanted) if self._span and wanted else []
        self._from_step = 0

    def add(self, nll: Tensor, pack: dict[str, Any], targets: Tensor, part: slice) -> None:
        """Count the losses, in nats, of this rank's part of a pack."""
        places, domains = target_places(pack)
        self._table.add(nll, places[part], domains[part], (targets != IGNORED)[part])

    def row_due(self, step: int) -> dict[str, Any] | None:
        """The row of the steps before ``step`` if one is due now, on all ranks; sums begin anew."""
        if step % self._job.section.metrics.losses_every_steps and step != self._job.steps:
            return None
        table = PositionLoss(self._job.domains, self._table.edges[1], self._job.seq_len)
        table.set(self._ranks.total(self._table.sums()))
        row = {"step": step - 1, "from_step": self._from_step, **table.as_json(), "long_gain": self._measure_gain()}
        self._table.set(torch.zeros_like(table.sums()))
        self._from_step = step
        return row

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, as JSON."""
        return {"from_step": self._from_step, "sums": self._ranks.total(self._table.sums()).tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`: the first rank holds what all had."""
        self._from_step = state["from_step"]
        if self._ranks.is_first:
            self._table.set(torch.tensor(state["sums"], dtype=torch.float64))

    @torch.no_grad()
    def _measure_gain(self) -> dict[str, float] | None:
        """The gain from long context over all ranks' documents; None where there is none that is long enough."""
        if self._span is None or not self._documents:
            return None
        ranks = self._ranks
        part = ranks.part(self._span.length)

        def forward(pack: dict[str, Any], targets: Tensor) -> tuple[Tensor, slice]:
            nll = self._model(**to_device(pack, ranks.device, part), targets=targets[part].to(ranks.device))
            return nll.cpu(), part

        # Every rank takes as many: the ranks compute each layer together. What is taken twice counts once.
        rounds = -(-len(self._documents) // ranks.streams)
        sums = torch.zeros(3, 2, dtype=torch.float64)
        for number in range(ranks.stream_rank, rounds * ranks.streams, ranks.streams):
            document = self._documents[min(number, len(self._documents) - 1)]
            found = long_gain(forward, [document], self._span)
            if number < len(self._documents):
                sums += found
        assert isinstance(self._model, FSDPModule)
        self._model.reshard()  # without a backward pass the outermost parameters would stay whole
        return gain_figures(ranks.total(sums))
