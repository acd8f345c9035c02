"""Packs as the batches that transformers calls padding-free, and a check that a model keeps to their boundaries.

Flash attention takes ``cu_seq_lens_q``. Every other implementation of transformers guesses the boundaries from
``position_ids``, and without a word stops to do so when it is given an attention mask, even one of all ones, or makes a
cache, as models do by default outside of ``Trainer``: documents then see one another, and the loss still falls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lc_data.failure import Failure
from lc_data.packing.layout import ANCHOR
from lc_data.streaming.collate import join_packs
from lc_data.streaming.wire import Row

_NOTICED = 0.05
"""Share of the influence inside a document that no rounding explains."""


class BoundaryError(Failure):
    """A batch or a model with which documents would see one another."""


def varlen_batch(packs: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> Row:
    """Join packs into the keyword arguments of a transformers causal language model; a DataLoader's ``collate_fn``.

    ``input_ids``, ``labels`` and ``position_ids``, int64 [1, packs * seq_len]; ``cu_seq_lens_q`` and ``cu_seq_lens_k``,
    int32 [segments + 1]; ``max_length_q`` and ``max_length_k``, int; ``use_cache``, False. Labels are unshifted, as
    these models want them, and -100 at each document's first token. There is no ``attention_mask``, and none may be
    added. Takes a list of packs, or one pack where a DataLoader has ``batch_size=None``.

    Raises :class:`BoundaryError` for rows with an anchor, when ``position_ids`` would have other boundaries guessed
    than the packs have, and when packs lack their boundaries: ``Trainer`` drops what a model has no parameter for,
    unless it is given ``remove_unused_columns=False``.
    """
    rows = [packs] if isinstance(packs, Mapping) else packs
    if any("cu_seqlens" not in row for row in rows):
        raise BoundaryError(
            "packs came here without cu_seqlens: Trainer takes away what the model's forward does not name, unless "
            "TrainingArguments has remove_unused_columns=False"
        )
    if any("document_ids" in row and int(row["document_ids"][0]) == ANCHOR for row in rows):
        raise BoundaryError(
            "these rows have an anchor, a first token that all their documents see, and no attention of transformers "
            "can do that: pack with mask: document, or train with lc_data's own model"
        )
    joined = join_packs([dict(row) for row in rows])
    _check_positions(joined["position_ids"], joined["cu_seqlens"])
    per_token = {name: joined[name] for name in ("input_ids", "labels", "position_ids")}
    return Row(_arguments(per_token, joined["cu_seqlens"], joined["max_seqlen"]))


def _arguments(per_token: dict[str, Tensor], cu_seqlens: Tensor, max_seqlen: int) -> dict[str, Any]:
    return {
        **{name: values.unsqueeze(0) for name, values in per_token.items()},
        "cu_seq_lens_q": cu_seqlens,
        "cu_seq_lens_k": cu_seqlens,
        "max_length_q": max_seqlen,
        "max_length_k": max_seqlen,
        "use_cache": False,
    }


def _check_positions(position_ids: Tensor, cu_seqlens: Tensor) -> None:
    """Compare the boundaries that position_ids suggest, wherever they do not go up by one, with the true ones."""
    guessed = (position_ids.diff() != 1).nonzero().flatten() + 1
    if not torch.equal(guessed, cu_seqlens[1:-1].to(guessed.dtype)):
        raise BoundaryError(
            f"position_ids suggest {len(guessed) + 1} documents, cu_seqlens has {len(cu_seqlens) - 1}: only flash "
            "attention would keep to the latter; pack with mask: document and positions: reset"
        )


@torch.no_grad()
def check_boundaries(model: torch.nn.Module) -> None:
    """Try out, with four forward passes of nine tokens, whether a model's documents see one another.

    The tokens of a first document are exchanged, and the logits of a second one must not notice; how much they notice
    when both are one document is the measure. Whatever the attention implementation is, also a state-space layer that
    carries its state over, this is what counts. Call it once the weights are loaded, on all ranks if the model is
    sharded, in the precision in which it will be trained (under ``torch.autocast``, say). ``model`` takes what
    :func:`varlen_batch` gives, and returns logits or something with ``logits``; its vocabulary has four tokens or more.

    Raises :class:`BoundaryError` when they do, and when nothing can be told because logits do not depend on context.
    """
    training = model.training
    model.eval()
    try:
        apart, together = (_influence(model, lengths) for lengths in ([5, 4], [9]))
    finally:
        model.train(training)
    if together == 0:
        raise BoundaryError("this model's logits do not depend on earlier tokens: load its weights first")
    if apart > _NOTICED * together:
        raise BoundaryError(
            f"documents of one row see one another: exchanging one moves the logits of the next by {apart:.2g} (by "
            f"{together:.2g} where both are one document). Pass no attention_mask and no cache, and take an attention "
            "implementation that keeps to document boundaries"
        )


def _influence(model: torch.nn.Module, lengths: list[int]) -> float:
    """By how much the last four logits move when the first five of nine tokens are others."""
    device = next(model.parameters()).device
    one, other = (
        _logits(model(**_probe(first, lengths, device)))[0, 5:].double() for first in ([0, 1, 2, 3, 1], [3, 2, 0, 1, 2])
    )
    return float((one - other).abs().max())


def _probe(first: list[int], lengths: list[int], device: torch.device) -> dict[str, Any]:
    # Without labels: fused losses return no logits where there are some.
    per_token = {
        "input_ids": torch.tensor([*first, 1, 3, 2, 1], device=device),
        "position_ids": torch.cat([torch.arange(length, device=device) for length in lengths]),
    }
    cu_seqlens = torch.tensor([0, *lengths], device=device).cumsum(0).to(torch.int32)
    return _arguments(per_token, cu_seqlens, max(lengths))


def _logits(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output.logits
