"""``impl: hf``: any causal language model of transformers, with our attention inside.

transformers guesses where documents end from positions, and some calls make it stop guessing without a word. Here the
boundaries go with the call into the attention function that its AttentionInterface lets us register, and a model is
refused whose documents see one another all the same: linear attention, convolutions, code that keeps its attention to
itself. What a model's own code computes stays its own: it rotates in the precision of its activations (up to 3% off in
bfloat16 at 100,000 positions), which is why Llama, Qwen and Index have a decoder here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lc_data.failure import Failure
from lc_data.training.attention import attend
from lc_data.training.cache import KeyValueCache
from lc_data.training.config import ModelConfig
from lc_data.training.loss import IGNORED, token_nll
from lc_data.training.model import Boundaries

ATTENTION = "lc_data"
"""The name under which transformers knows our attention."""
_NOTICED = 0.05
"""Share of the influence inside a document that no rounding explains. Documents share experts, so the sums of a mixture
of experts are not bitwise the same beside another neighbour; those of every other model are."""


class HubModelError(Failure):
    """A model of transformers that does not keep to boundaries, or whose attention is more than ours."""


class HubModel(nn.Module):
    """A model of transformers with the interface of :class:`lc_data.training.model.CausalLM`.

    Never made by itself: :func:`with_boundaries` puts it before a model's own class, so that parameters keep their
    names. Before the first pass it tries out whether documents see one another.
    """

    origin: ModelConfig
    """What the model was made from; its ``config`` is the one of transformers."""
    _checked = False
    _has_plain_head = False

    @property
    def blocks(self) -> list[nn.Module]:
        """The layers, as transformers names what may not be split over devices."""
        names = set(cast("Any", self)._no_split_modules or ())
        return [module for module in self.modules() if type(module).__name__ in names]

    def materialize(self, device: torch.device) -> HubModel:
        """Give parameters storage, values unset; buffers keep theirs, and what was shared is shared again."""
        buffers = {name: buffer.clone() for name, buffer in self.named_buffers()}
        owners: dict[int, list[tuple[nn.Module, str]]] = {}
        for module in self.modules():
            for name, parameter in module.named_parameters(recurse=False):
                owners.setdefault(id(parameter), []).append((module, name))
        self.to_empty(device=device)
        for (module, name), *others in owners.values():
            for other, alias in others:
                other._parameters[alias] = module._parameters[name]
        for name, buffer in self.named_buffers():
            buffer.copy_(buffers[name])
        return self

    def head(self) -> Tensor:
        """What hidden states are multiplied by, [vocab_size, hidden_size]."""
        weight: Tensor = cast("Any", self).get_output_embeddings().weight
        return weight

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        cu_seqlens: Tensor,
        max_seqlen: int,
        targets: Tensor | None = None,
        anchored: bool = False,
    ) -> Tensor:
        """See :meth:`lc_data.training.model.CausalLM.forward`."""
        self._check(input_ids, cu_seqlens)
        within = Boundaries(cu_seqlens, max_seqlen, anchored)
        if targets is not None and self._has_plain_head:
            return token_nll(self._hidden(input_ids, position_ids, within), self.head(), targets)
        logits = self._logits(input_ids, position_ids, within)
        if targets is None:
            return logits
        return cross_entropy(logits.float(), targets, reduction="none", ignore_index=IGNORED)

    def next_logits(
        self, input_ids: Tensor, position_ids: Tensor, cu_seqlens: Tensor, max_seqlen: int, cache: KeyValueCache
    ) -> Tensor:
        """See :meth:`lc_data.training.model.CausalLM.next_logits`."""
        self._check(input_ids, cu_seqlens)
        within, last = Boundaries(cu_seqlens, max_seqlen, cache=cache), cu_seqlens[1:].long() - 1
        if self._has_plain_head:
            logits = self._hidden(input_ids, position_ids, within)[last] @ self.head().T
        else:
            logits = self._logits(input_ids, position_ids, within)[last]
        cache.advance()
        return logits.float()

    def _hidden(self, input_ids: Tensor, position_ids: Tensor, within: Boundaries | None) -> Tensor:
        base = cast("Any", self).base_model
        hidden: Tensor = base(**_arguments(input_ids, position_ids, within)).last_hidden_state[0]
        return hidden

    def _logits(self, input_ids: Tensor, position_ids: Tensor, within: Boundaries | None) -> Tensor:
        logits: Tensor = super().forward(**_arguments(input_ids, position_ids, within)).logits[0]
        return logits

    @torch.no_grad()
    def _check(self, input_ids: Tensor, cu_seqlens: Tensor) -> None:
        """Try out on nine tokens, once, what this class promises; raises :class:`HubModelError`."""
        if self._checked:
            return
        kind, device = cast("Any", self).config.model_type, input_ids.device
        if len(input_ids) != int(cu_seqlens[-1]):
            raise HubModelError("impl: hf has no context parallelism: set context_parallel to 1")
        one, other = (torch.tensor([*first, 1, 3, 2, 1], device=device) for first in ([0, 1, 2, 3, 1], [3, 2, 0, 1, 2]))

        def logits(text: Tensor, *lengths: int) -> Tensor:
            return self._logits(text, *_segments(device, *lengths))

        apart = (logits(one, 5, 4) - logits(other, 5, 4))[5:].abs().max().item()
        together = (logits(one, 9) - logits(other, 9))[5:].abs().max().item()
        if together == 0:
            raise HubModelError(f"the logits of {kind} do not depend on earlier tokens: are its weights loaded?")
        if not apart <= _NOTICED * together:
            raise HubModelError(
                f"documents of one row see one another in a model of type {kind}: exchanging one moves the logits of "
                f"the next by {apart:.2g} (by {together:.2g} inside one document); it cannot be used on packed rows"
            )
        ours, (places, within) = logits(one, 9), _segments(device, 9)
        with _plain_attention(self):
            theirs = self._logits(one, places, None)
        if not (ours - theirs).abs().max().item() <= _NOTICED * together:
            raise HubModelError(f"the attention of a model of type {kind} is more than ours: it gives other logits")
        if self.get_output_embeddings() is not None:  # type: ignore[operator]
            product = self._hidden(one, places, within) @ self.head().T
            self._has_plain_head = bool((ours - product).abs().max() <= 1e-3 * together)
        self._checked = True


def with_boundaries(model: Any, config: ModelConfig) -> HubModel:
    """Put :class:`HubModel` before the class of a model that was made with our attention, from this configuration."""
    base = type(model)
    model.origin = config
    model.__class__ = type(f"Packed{base.__name__}", (HubModel, base), {})
    return cast("HubModel", model)


def attend_in_hub(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **settings: Any
) -> tuple[Tensor, None]:
    """The attention function that transformers calls: :func:`attend` between its layouts.

    ``query``, ``key`` and ``value`` are [1, heads, T, head_dim]; the result is [1, T, heads, head_dim]. Raises
    :class:`HubModelError` where the boundaries did not arrive, and for everything that ours does not do.
    """
    within = settings.get("boundaries")
    if within is None or attention_mask is not None:
        raise HubModelError(f"{type(module).__name__} keeps document boundaries from its attention, or adds a mask")
    longest = within.max_seqlen if within.cache is None else within.cache.capacity
    if (window := settings.get("sliding_window")) is not None and longest > window:
        raise HubModelError(f"{type(module).__name__} attends to {window} tokens only, a segment has {longest}")
    if more := [name for name in ("softcap", "s_aux", "position_bias") if settings.get(name) is not None]:
        raise HubModelError(f"{type(module).__name__} wants attention with {more[0]}, which ours does not have")
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    if (scaling := settings.get("scaling")) is not None and not math.isclose(scaling, q.shape[-1] ** -0.5):
        q = q * (scaling * math.sqrt(q.shape[-1]))
    if within.cache is not None:
        mixed = within.cache.attend(module.layer_idx, (q, k, v), within.cu_seqlens, within.max_seqlen)
    else:
        mixed = attend(q, k, v, within.cu_seqlens, within.max_seqlen, within.anchored)
    return mixed[None], None


def _arguments(input_ids: Tensor, position_ids: Tensor, within: Boundaries | None) -> dict[str, Any]:
    more = {} if within is None else {"boundaries": within}
    return {"input_ids": input_ids[None], "position_ids": position_ids[None], "use_cache": False, **more}


def _segments(device: torch.device, *lengths: int) -> tuple[Tensor, Boundaries]:
    """Positions and boundaries of segments of these lengths."""
    places = torch.cat([torch.arange(length, device=device) for length in lengths])
    borders = torch.tensor([0, *lengths], device=device).cumsum(0).to(torch.int32)
    return places, Boundaries(borders, max(lengths))


@contextmanager
def _plain_attention(model: Any) -> Iterator[None]:
    """Inside, a model computes its own attention, every matrix of scores written out."""
    model.config._attn_implementation = "eager"
    try:
        yield
    finally:
        model.config._attn_implementation = ATTENTION
