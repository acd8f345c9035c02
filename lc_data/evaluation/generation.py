"""Greedy generation: what evaluation asks of a model that writes.

Prompts of all lengths go through one variable-length pass, without padding; then every text grows by one token per
pass over a cache of its own. Texts that are finished leave the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from lc_data.training.cache import KeyValueCache

BATCH_TOKENS = 1 << 17
"""Tokens that a batch's cache has room for: 36 GiB for Index-1.9B in bfloat16."""


@dataclass(frozen=True)
class StopRules:
    """When a text is finished before ``max_new_tokens``."""

    ids: frozenset[int] = frozenset()
    """Tokens that end a text; such a token is not part of the text that is returned."""
    strings: tuple[str, ...] = ()
    """Strings that end a text as soon as the decoded new tokens hold one. The token that completed it stays in the
    result and may hold more than the string: cut the decoded text with :meth:`cut`."""
    decode: Callable[[Sequence[int]], str] | None = None
    """From new tokens to text; needed where there are strings."""

    def __post_init__(self) -> None:
        if "" in self.strings:
            raise ValueError("an empty stop string would end every text at once")
        if self.strings and self.decode is None:
            raise ValueError("stop strings need `decode`, which turns new tokens into text")

    def holds_a_string(self, tokens: Sequence[int]) -> bool:
        """Whether the text of new tokens holds a stop string."""
        if self.decode is None or not self.strings:
            return False
        text = self.decode(tokens)
        return any(string in text for string in self.strings)

    def cut(self, text: str) -> str:
        """The text before the first stop string in it."""
        ends = [place for string in self.strings if (place := text.find(string)) >= 0]
        return text[: min(ends)] if ends else text


class Generator(Protocol):
    """A model that continues prompts with its most likely tokens."""

    def generate(self, prompts: Sequence[Sequence[int]], max_new_tokens: int, stop: StopRules) -> list[list[int]]:
        """The new tokens of each prompt, in the prompts' order: at most ``max_new_tokens``, without the stop id.

        Prompts may differ in length and are not empty; what one prompt gives depends on no other beyond rounding.
        """
        ...


class Continuable(Protocol):
    """What generation needs of a model: :class:`lc_data.training.model.CausalLM` and its like."""

    def next_logits(
        self, input_ids: Tensor, position_ids: Tensor, cu_seqlens: Tensor, max_seqlen: int, cache: KeyValueCache
    ) -> Tensor:
        """Logits after the last token of each segment, [segments, vocab_size]; the cache remembers the pass."""
        ...

    def parameters(self) -> Iterator[Any]:
        """Where the device can be seen."""
        ...


class GreedyGenerator:
    """A :class:`Generator` over a model of this package or of transformers (:func:`lc_data.training.load.load_model`).

    The longest prompts come first, so that what does not fit the device's memory does not fit it at once.
    """

    def __init__(self, model: Continuable, batch_tokens: int = BATCH_TOKENS) -> None:
        """At most ``batch_tokens`` tokens of prompts and answers, padding included, are kept at a time."""
        self._model = model
        self._batch_tokens = batch_tokens
        self._device = next(iter(model.parameters())).device

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Sequence[int]], max_new_tokens: int, stop: StopRules) -> list[list[int]]:
        """See :class:`Generator`."""
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
        if not all(prompts):
            raise ValueError(f"prompt {[bool(prompt) for prompt in prompts].index(False)} is empty")
        texts: list[list[int]] = [[] for _ in prompts]
        for batch in self._batches([len(prompt) for prompt in prompts], max_new_tokens):
            made = self._continue([prompts[i] for i in batch], max_new_tokens, stop)
            for i, text in zip(batch, made, strict=True):
                texts[i] = text
        return texts

    def _batches(self, lengths: list[int], max_new_tokens: int) -> Iterator[list[int]]:
        """Indices of prompts that are continued together: of like lengths, the longest first."""
        batch: list[int] = []
        for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
            longest = lengths[batch[0]] if batch else 0
            if batch and (len(batch) + 1) * (longest + max_new_tokens) > self._batch_tokens:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _continue(self, prompts: list[Sequence[int]], max_new_tokens: int, stop: StopRules) -> list[list[int]]:
        """New tokens of the prompts of one batch."""
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        cache = KeyValueCache(lengths.to(self._device), int(lengths.max()) + max_new_tokens)
        tokens = torch.tensor([token for prompt in prompts for token in prompt])
        places = torch.cat([torch.arange(int(length)) for length in lengths])
        texts: list[list[int]] = [[] for _ in prompts]
        growing = list(range(len(prompts)))
        while True:
            chosen = self._next(tokens, places, lengths, cache).argmax(dim=-1).tolist()
            left = []
            for row, (i, token) in enumerate(zip(growing, chosen, strict=True)):
                if token in stop.ids:
                    continue
                texts[i].append(token)
                if len(texts[i]) < max_new_tokens and not stop.holds_a_string(texts[i]):
                    left.append(row)
            if not left:
                return texts
            if len(left) < len(growing):
                cache.keep(torch.tensor(left, device=self._device))
            growing = [growing[row] for row in left]
            tokens, places = torch.tensor([chosen[row] for row in left]), cache.lengths.cpu()
            lengths = torch.ones_like(places)

    def _next(self, tokens: Tensor, places: Tensor, lengths: Tensor, cache: KeyValueCache) -> Tensor:
        cu_seqlens = torch.cat((lengths.new_zeros(1), lengths.cumsum(0))).to(torch.int32)
        ids, places, borders = (x.to(self._device) for x in (tokens, places, cu_seqlens))
        return self._model.next_logits(ids, places, borders, int(lengths.max()), cache)
