"""The cells of a grid: lengths, depths and repeats, and the haystacks for them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from lc_data.corpus.fingerprint import child_seed
from lc_data.evaluation.haystack import Haystack, Language, build_haystack
from lc_data.evaluation.suite import Source
from lc_data.recipe.errors import RecipeError

_NEEDLEBENCH = (9_000, 13_000, 17_000, 21_000, 25_000, 29_000, 31_000, 32_000)
_STEPS = 8


@dataclass(frozen=True)
class Draw:
    """One draw of needle and text: a source of randomness, and a haystack for the greatest length."""

    repeat: int
    random: random.Random
    haystack: Haystack


def grid_lengths(source: Source) -> tuple[int, ...]:
    """The lengths of the grid, ascending; raises ``RecipeError`` for one that the model is not given."""
    asked = source.needle.lengths
    if asked is None:
        whole = source.max_seq_len
        return _NEEDLEBENCH if whole >= _NEEDLEBENCH[-1] else tuple(whole * n // _STEPS for n in range(1, _STEPS + 1))
    if (longest := max(asked)) > source.max_seq_len:
        raise RecipeError(f"needle.lengths asks for {longest} tokens, and max_seq_len is {source.max_seq_len}")
    return tuple(sorted(set(asked)))


def draws(task: str, language: Language, source: Source) -> Iterator[Draw]:
    """The draws of a task, the same for the same seed. Lengths and depths of one draw share needle and text."""
    longest = grid_lengths(source)[-1]
    for repeat in range(source.needle.repeats):
        seed = child_seed(source.seed, "needle", task, repeat)
        haystack = build_haystack(source.haystacks[language], source.tokens, longest, seed)
        yield Draw(repeat, random.Random(seed), haystack)
