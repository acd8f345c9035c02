"""``lc-data plan`` of 24 million documents and 100 billion tokens, from an index: against a minute and 2 GB.

There is no peer: nobody else plans. The process that plans is one of its own, so that its peak is planning's.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np

from lc_data.bench.memory import peak_bytes
from lc_data.bench.pack import draw_lengths
from lc_data.bench.result import BenchResult, BenchRow
from lc_data.corpus.run import RunFolder
from lc_data.forecast.forecast import forecast
from lc_data.forecast.index import Index, publish_index
from lc_data.recipe.load import parse_recipe
from lc_data.recipe.recipe import Recipe
from lc_data.stages import bucket

DOCUMENTS = 24_000_000
TOKENS = 100_000_000_000
LIMIT_SECONDS, LIMIT_BYTES = 60.0, 2e9
_DOMAINS = tuple(f"domain{number}" for number in range(8))
_TOKENIZER = {"name": "none", "file": "tokenizer.json", "hash": "", "vocab_size": 50_000, "bos_id": None, "eos_id": 1,
              "pad_id": 1}  # fmt: skip


def bench_plan() -> BenchResult:
    """Plan once, compilation included."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = _recipe(DOCUMENTS * TOKENS // 24_000_000)
        _write_index(recipe, RunFolder(folder), DOCUMENTS)
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            seconds, peak = pool.apply(_measure, (recipe, folder))
    what = f"plan of {DOCUMENTS / 1e6:.0f} million documents"
    return BenchResult("plan", [
        BenchRow(what, "s", seconds, "a minute", LIMIT_SECONDS, LIMIT_SECONDS / seconds),
        BenchRow(f"{what}, peak memory", "GB", peak / 1e9, "2 GB", LIMIT_BYTES / 1e9, LIMIT_BYTES / peak),
    ])  # fmt: skip


def _measure(recipe: Recipe, run: str) -> tuple[float, int]:
    started = time.perf_counter()
    forecast(recipe, RunFolder(run))
    return time.perf_counter() - started, peak_bytes()


def _recipe(budget_tokens: int) -> Recipe:
    sources = ", ".join(f"{{name: {name}, kind: text, domain: {name}, paths: [none]}}" for name in _DOMAINS)
    mixture = f"{{budget_tokens: {budget_tokens}, lengths: {{mode: per_source, long_share: 0.8}}}}"
    return parse_recipe(
        f"{{name: plan, sources: [{sources}], tokenizer: {{train: {{}}}}, mixture: {mixture}, "
        "engine: {backend: serial}}"
    )


def _write_index(recipe: Recipe, run: RunFolder, documents: int) -> None:
    """Publish the index of a corpus of eight domains, as the bucket stage of a run that has nothing else."""
    length = draw_lengths(documents, seed=4).astype(np.uint32)
    domain = np.random.default_rng(5).integers(0, len(_DOMAINS), documents).astype(np.uint16)
    kind = np.searchsorted(recipe.bucket.edges_tokens, length, side="right").astype(np.uint8)
    order = np.lexsort((kind, domain))
    facts = {
        "domains": list(_DOMAINS),
        "purposes": dict.fromkeys(_DOMAINS, "pretrain"),
        "edges_tokens": list(recipe.bucket.edges_tokens),
        "tokenizer": _TOKENIZER,
    }
    publish_index(run, Index(length[order], domain[order], kind[order], {}), facts)
    manifest = Path(run.stage("bucket").manifest_uri)
    content = json.loads(manifest.read_text()) | {"config": bucket.STAGE.config(recipe)}
    manifest.write_text(json.dumps(content))
