"""Keys and values of texts that are being continued."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from lc_data.training.attention import attend


class KeyValueCache:
    """What several texts have attended to so far, for every layer; each text has its own length.

    The first pass holds whole prompts, one segment each; every later one holds one token per text. Between them
    :meth:`advance` says that all layers have seen the pass.
    """

    def __init__(self, prompt_lengths: Tensor, capacity: int) -> None:
        """Room for ``capacity`` tokens of each text; ``prompt_lengths`` is int64 [texts]."""
        self.lengths = torch.zeros_like(prompt_lengths)
        self.capacity = capacity
        self._prompts = prompt_lengths
        self._longest = 0
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def attend(self, layer: int, qkv: tuple[Tensor, Tensor, Tensor], cu_seqlens: Tensor, max_seqlen: int) -> Tensor:
        """Remember the keys and values of a pass and attend to all there are; shapes as :func:`attend` has them."""
        q, k, v = qkv
        if layer not in self._layers:
            shape = (len(self.lengths), k.shape[1], self.capacity, k.shape[2])
            self._layers[layer] = (k.new_zeros(shape), v.new_zeros(shape))
        keys, values = self._layers[layer]
        texts = torch.arange(len(cu_seqlens) - 1, device=q.device)
        text = texts.repeat_interleave(cu_seqlens.diff(), output_size=len(q))  # a known size waits for no device
        place = self.lengths[text] + torch.arange(len(q), device=q.device) - cu_seqlens[:-1].long()[text]
        keys[text, :, place], values[text, :, place] = k, v
        if self._longest == 0:
            return attend(q, k, v, cu_seqlens, max_seqlen)
        used = self._longest + 1
        seen = torch.arange(used, device=q.device) <= self.lengths[:, None]
        # The query heads that share a key head stand where queries stand: no key is repeated.
        grouped = q.unflatten(1, (k.shape[1], -1))
        mixed = scaled_dot_product_attention(
            grouped, keys[:, :, :used], values[:, :, :used], attn_mask=seen[:, None, None]
        )
        return mixed.flatten(1, 2)

    def advance(self) -> None:
        """All layers have seen a pass: the prompts, or one more token of each text."""
        self.lengths = self.lengths + (self._prompts if self._longest == 0 else 1)
        self._longest = int(self.lengths.max())

    def keep(self, texts: Tensor) -> None:
        """Forget all texts but these, an int64 index."""
        self.lengths = self.lengths[texts]
        self._longest = int(self.lengths.max())
        for layer in self._layers:
            keys, values = self._layers[layer]
            self._layers[layer] = (keys[texts], values[texts])
