"""Filter, deduplicate and tokenise a corpus of files: our stages against the same chain in datatrove, wall to wall.

Both use every core, the same rules and the same tokenizer. The peer reads a small sample of the documents, so figures
are per megabyte; so that its starting of processes, which a large corpus would not notice, is not counted against it,
a quarter of the sample is run as well and only the difference counts. Ours is counted whole, the start of Ray and all
that the peer does not do included: shards of the input, a full check of every candidate pair, length buckets.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import fsspec

from lc_data.bench.peers import require_peers
from lc_data.bench.result import BenchResult, BenchRow
from lc_data.bench.text import environment_texts, size_of
from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.failure import Failure
from lc_data.lengths.train import train_bpe
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import parse_recipe
from lc_data.stages.chain import run_chain

_END = "<|endoftext|>"
_TRAINING_BYTES = 4_000_000


@dataclass(frozen=True)
class ChainSizes:
    """How much is measured, in bytes of text."""

    ours_bytes: int = 100_000_000
    peer_bytes: int = 10_000_000
    workers: int = os.cpu_count() or 1
    vocabulary: int = 8192
    backend: str = "ray"


def bench_chain(data: Sequence[str] = (), sizes: ChainSizes | None = None) -> BenchResult:
    """Seconds per megabyte of text, from files to tokens, on all cores.

    ``data`` names JSON Lines files, compressed or not, whose records have a ``text``; all of it is ours to read.
    Without it the corpus is this Python environment.
    """
    require_peers("chain", "datatrove", "spacy")
    sizes = sizes or ChainSizes()
    texts = _read_texts(data) if data else _environment(sizes.ours_bytes)
    random.Random(8).shuffle(texts)
    samples = {f"theirs-{share}": list(_head(texts, sizes.peer_bytes // share)) for share in (1, 4)}
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = Path(folder) / "tokenizer.json"
        tokenizer.write_text(train_bpe(_head(texts, _TRAINING_BYTES), sizes.vocabulary, (_END,)))
        for name, documents in {"ours": texts, **samples}.items():
            write_files(Path(folder) / name, documents, sizes.workers)
        ours = run_stages(Path(folder) / "ours", tokenizer, sizes) / size_of(texts) * 1e6
        seconds = [run_datatrove(Path(folder) / name, tokenizer, sizes.workers) for name in samples]
    whole, quarter = (size_of(sample) for sample in samples.values())
    theirs = (seconds[0] - seconds[1]) / (whole - quarter) * 1e6
    what, peer = f"filter, dedupe and tokenise {size_of(texts) / 1e6:.3g} MB", f"datatrove ({whole / 1e6:.3g} MB)"
    return BenchResult("chain", [BenchRow(what, "s per MB", ours, peer, theirs, theirs / ours)])


def run_stages(folder: Path, tokenizer: Path, sizes: ChainSizes) -> float:
    """Wall seconds of our stages, from the files to the tokens."""
    recipe = parse_recipe(
        json.dumps({
            "name": "chain",
            "sources": [{"name": "chain", "kind": "jsonl", "domain": "text", "paths": [str(folder)]}],
            "ingest": {"task_bytes": 16 << 20, "shard_bytes": 16 << 20},
            "filter": {"rules": [{"rule": "gopher_quality"}, {"rule": "gopher_repetition"}]},
            "dedupe": {"max_loss": 1.0},
            "tokenizer": {"path": str(tokenizer), "eos": _END},
            "engine": {"backend": sizes.backend, "workers": sizes.workers},
        })
    )  # fmt: skip
    started = time.perf_counter()
    for _ in run_chain(recipe, RunFolder(f"{folder}-run"), "bucket"):
        pass
    return time.perf_counter() - started


def run_datatrove(folder: Path, tokenizer: Path, workers: int) -> float:
    """Wall seconds of the peer's chain, in a process of its own because it logs a page for every task."""
    command = [sys.executable, "-m", "lc_data.bench.datatrove_chain", str(folder), str(tokenizer), str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"datatrove's chain failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.splitlines()[-1])


def write_files(folder: Path, texts: Sequence[str], files: int) -> None:
    """Write documents as JSON Lines, spread over so many files."""
    folder.mkdir()
    for number in range(files):
        lines = (json.dumps({"id": f"{number}-{row}", "text": text}) for row, text in enumerate(texts[number::files]))
        (folder / f"{number:05d}.jsonl").write_text("".join(f"{line}\n" for line in lines))


def _environment(size_bytes: int) -> list[str]:
    texts = [text for what in ("descriptions", "library_documentation", "licences") for text in environment_texts(what)]
    missing = size_bytes - size_of(texts)
    return [*texts, *(environment_texts("code", missing) if missing > 0 else ())]


def _read_texts(data: Sequence[str]) -> list[str]:
    for path in data:
        if not storage.exists(path):
            raise RecipeError(f"--data {path!r} does not exist; give a JSON Lines file")
    records = (json.loads(line) for path in data for line in fsspec.open(path, "rt", "infer", encoding="utf-8").open())
    texts = [record["text"] for record in records if record.get("text")]
    if not texts:
        raise RecipeError(f"--data {', '.join(data)}: no record has a `text`")
    return texts


def _head(texts: Sequence[str], size_bytes: int) -> Iterator[str]:
    """The first texts, up to the one with which they reach a size."""
    for text in texts:
        if size_bytes <= 0:
            return
        size_bytes -= len(text.encode())
        yield text
