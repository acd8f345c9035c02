"""Measurements beside a reference, in one run, as ratios: speed is judged here and never in a test with a clock."""

from __future__ import annotations

from lc_data.bench.result import BenchResult
from lc_data.recipe.errors import RecipeError, nearest


def run_bench(name: str) -> BenchResult:
    """Run one bench by its name; ``RecipeError`` for a name that there is not."""
    if name == "pack":
        from lc_data.bench.pack import bench_pack

        return bench_pack()
    if name == "stream":
        from lc_data.bench.stream import bench_stream

        return bench_stream()
    raise RecipeError(f"there is no bench {name!r}{nearest(name, ('pack', 'stream'))}")
