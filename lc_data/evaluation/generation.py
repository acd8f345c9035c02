"""Greedy generation: what evaluation asks of a model that writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


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
