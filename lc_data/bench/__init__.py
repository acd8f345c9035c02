"""Measurements beside a reference, in one run, as ratios: speed is judged here and never in a test with a clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from lc_data.bench.result import BenchResult
from lc_data.recipe.errors import RecipeError, nearest

NAMES = ("filter", "sketch", "dedupe", "language", "chain", "pack", "stream")


def run_bench(name: str, data: Sequence[str] = ()) -> BenchResult:
    """Run one bench by its name; ``data`` are files for ``chain``.

    Raises :class:`RecipeError` for a name that there is not, for data that a bench does not take, and where a peer that
    it compares with is not installed.
    """
    if name not in NAMES:
        raise RecipeError(f"there is no bench {name!r}{nearest(name, NAMES)}")
    bench: Callable[..., BenchResult] = getattr(import_module(f"lc_data.bench.{name}"), f"bench_{name}")
    if not data:
        return bench()
    if name != "chain":
        raise RecipeError(f"bench {name!r} makes its own text; --data is for bench 'chain'")
    return bench(data)
