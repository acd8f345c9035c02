"""Measurements beside a reference, in one run, as ratios: speed is judged here and never in a test with a clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from lc_data.bench.result import BenchResult
from lc_data.recipe.errors import RecipeError, nearest

NAMES = ("filter", "sketch", "dedupe", "language", "tokenize", "chain", "plan", "augment", "pack", "stream", "train")


_OF_USERS_TEXT = ("tokenize", "chain")


def run_bench(name: str, data: Sequence[str] = (), tokenizer: str | None = None) -> BenchResult:
    """Run one bench by its name; ``data`` (files) and ``tokenizer`` (a tokenizer.json) are for those of users' text.

    Raises :class:`RecipeError` for a name that there is not, for data that a bench does not take, and where a peer that
    it compares with is not installed.
    """
    if name not in NAMES:
        raise RecipeError(f"there is no bench {name!r}{nearest(name, NAMES)}")
    bench: Callable[..., BenchResult] = getattr(import_module(f"lc_data.bench.{name}"), f"bench_{name}")
    if name in _OF_USERS_TEXT:
        return bench(data, tokenizer)
    if data or tokenizer:
        raise RecipeError(f"bench {name!r} makes its own text; --data and --tokenizer are for 'tokenize' and 'chain'")
    return bench()
