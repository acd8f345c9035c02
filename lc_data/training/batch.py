"""One rank's packs of one optimizer step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from lc_data.failure import Failure
from lc_data.recipe.packing import Positions
from lc_data.streaming.ledger import pack_hash, step_hash
from lc_data.training.loss import IGNORED, next_token_targets
from lc_data.training.weighting import sequence_weights

_ANCHOR = -2
"""The document id of a row's anchor, as ``lc_data.streaming.dataset.PackedDataset`` has it."""


class PackError(Failure):
    """What the stream delivers is not what it promises."""


@dataclass(frozen=True)
class Batch:
    """The packs that one rank takes to one step, and how long it waited for them."""

    packs: list[dict[str, Any]]
    targets: list[Tensor]
    """For each pack int64 [T]: what each position predicts."""
    wait_seconds: float
    weights: list[Tensor] | None = None
    """For each pack float32 [T]: what the loss of each position counts; None where all targets count 1."""
    sequences: int = 0
    """Sequences that have targets, where weights are given: the sum of the weights."""

    @property
    def tokens(self) -> int:
        """Tokens that are no padding, over all packs."""
        return sum(int(real_lengths(pack).sum()) for pack in self.packs)

    @property
    def data_hash(self) -> int:
        """The part of the step's hash that this rank adds, see ``lc_data.streaming.ledger.step_hash``."""
        return step_hash(map(pack_hash, self.packs))

    @property
    def label_tokens(self) -> int:
        """Tokens that are predicted, over all packs."""
        return sum(int((targets != IGNORED).sum()) for targets in self.targets)

    @property
    def total_weight(self) -> int:
        """What the loss is divided by, once it is summed over all ranks."""
        return self.label_tokens if self.weights is None else self.sequences


@dataclass(frozen=True)
class BatchShape:
    """What the packs of a batch are expected to be, and what its loss is the mean of."""

    packs: int
    """Packs that one rank takes."""
    seq_len: int
    positions: Positions = "reset"
    loss: Literal["token_mean", "sequence_mean"] = "token_mean"


def next_batch(stream: Iterator[dict[str, Any]], shape: BatchShape) -> Batch:
    """Take packs from a stream, each checked by :func:`check_pack`; :class:`PackError` when there are too few.

    With ``sequence_mean`` every target is weighed, a document's piece in a pack being a sequence.
    """
    started = time.monotonic()
    taken = []
    for _ in range(shape.packs):
        pack = next(stream, None)
        if pack is None:
            raise PackError("the stream ended before the number of packs that its plan promises")
        check_pack(pack, shape.seq_len, shape.positions)
        taken.append(pack)
    targets, wait = [next_token_targets(pack["labels"]) for pack in taken], time.monotonic() - started
    if shape.loss == "token_mean":
        return Batch(taken, targets, wait)
    weighed = [sequence_weights(pack["labels"], _documents(pack)) for pack in taken]
    return Batch(taken, targets, wait, [weights for weights, _ in weighed], sum(count for _, count in weighed))


def check_pack(pack: dict[str, Any], seq_len: int, positions: Positions = "reset") -> None:
    """Raise :class:`PackError` when a pack's boundaries, positions and labels contradict each other.

    A pack that passes cannot leak over a boundary unseen: segments cover the row, positions start again with each
    document, or run on to the padding where the plan says so, and the first token of a segment is no target, so nothing
    predicts it from the segment before.
    """
    cu_seqlens, tokens = pack["cu_seqlens"], pack["input_ids"]
    lengths = cu_seqlens.diff()
    starts = cu_seqlens[:-1].long()
    where = f"pack {pack['pack_index']}"
    if tokens.shape != (seq_len,):
        raise PackError(f"{where} has shape {list(tokens.shape)}, not [{seq_len}]")
    if cu_seqlens[0] != 0 or cu_seqlens[-1] != seq_len or (lengths <= 0).any():
        raise PackError(f"{where}: cu_seqlens must rise from 0 to {seq_len}, got {cu_seqlens.tolist()}")
    if int(lengths.max()) > pack["max_seqlen"]:
        raise PackError(f"{where}: max_seqlen is {pack['max_seqlen']}, its longest segment {int(lengths.max())}")
    anchored = int(pack["document_ids"][0]) == _ANCHOR
    if anchored and int(lengths[0]) != 1:
        raise PackError(f"{where}: its anchor has {int(lengths[0])} tokens, not one")
    if positions == "reset" and not torch.equal(pack["position_ids"][_documents(pack)[:-1].long()], _firsts(pack)):
        raise PackError(f"{where}: positions do not restart at every segment")
    if positions == "continuous" and not torch.equal(pack["position_ids"], _run_on(pack)):
        raise PackError(f"{where}: positions do not run on over the row, as its plan says")
    if (pack["labels"][starts] != IGNORED).any():
        raise PackError(f"{where}: the first token of a segment is a target, so the segment before would predict it")


def _firsts(pack: dict[str, Any]) -> Tensor:
    """Positions at which segments, or documents where segments are not theirs, begin: 0, or 1 behind an anchor."""
    ids = pack.get("piece_document_ids", pack["document_ids"])
    return ((ids >= 0) & (ids[0] == _ANCHOR)).long()


def _documents(pack: dict[str, Any]) -> Tensor:
    """Where documents begin and end: at the segments' borders, but for packs whose attention ignores documents."""
    borders: Tensor = pack.get("piece_cu_seqlens", pack["cu_seqlens"])
    return borders


def _run_on(pack: dict[str, Any]) -> Tensor:
    """Positions that count through the documents of a pack, and through its padding from 0."""
    counted = torch.arange(len(pack["input_ids"]))
    if pack["document_ids"][-1] < 0:
        counted[int(pack["cu_seqlens"][-2]) :] -= int(pack["cu_seqlens"][-2])
    return counted


def real_lengths(pack: dict[str, Any]) -> Tensor:
    """Lengths of the segments of a pack, int64, without that of its padding."""
    lengths: Tensor = pack["cu_seqlens"].diff().long()
    return lengths[:-1] if pack["document_ids"][-1] < 0 else lengths


def target_places(pack: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Where what each position predicts stands: how many tokens of its document's piece are before it, and its domain.

    Both int64 [T]; domain codes are -1 for padding.
    """
    borders = _documents(pack).long()
    lengths = borders.diff()
    domains = pack.get("piece_domain_ids", pack["domain_ids"]).long()
    places = torch.arange(int(borders[-1])) - borders[:-1].repeat_interleave(lengths)
    return places + 1, domains.repeat_interleave(lengths)


def to_device(pack: dict[str, Any], device: torch.device, part: slice = slice(None)) -> dict[str, Any]:
    """The arguments of the model's forward pass, for a part of the tokens; boundaries are those of the whole pack."""
    tokens = {name: pack[name][part].to(device, non_blocking=True) for name in ("input_ids", "position_ids")}
    arguments = tokens | {"cu_seqlens": pack["cu_seqlens"].to(device), "max_seqlen": int(pack["max_seqlen"])}
    return arguments | {"anchored": True} if int(pack["document_ids"][0]) == _ANCHOR else arguments
