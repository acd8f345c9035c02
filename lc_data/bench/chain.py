"""Filter, deduplicate and tokenise a corpus of files: our stages against the same chain in datatrove, wall to wall.

Both use every core, the same rules and the same tokenizer, and both have run once on a little text before anything is
measured. The peer reads a sample of the documents, with the bytes of every file in proportion, so figures are per
megabyte; so that its starting of processes, which a large corpus would not notice, is not counted against it, a quarter
of the sample is run as well and only the difference counts. Ours is counted whole over all the text, the start of
the workers and all that the peer does not do included: shards of the input, a full check of every candidate pair,
length buckets. Both have local processes (``engine.backend: processes``); Ray would add its start to ours.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lc_data.bench.data import environment_by_kind, head, read_kinds, sample_balanced
from lc_data.bench.peers import require_peers
from lc_data.bench.result import BenchResult, BenchRow
from lc_data.bench.text import size_of
from lc_data.bench.tokenize import read_definition
from lc_data.corpus.run import RunFolder
from lc_data.failure import Failure
from lc_data.lengths.train import train_bpe
from lc_data.recipe.load import parse_recipe
from lc_data.stages.chain import run_chain

_END = "<|endoftext|>"
_TRAINING_BYTES = 4_000_000


@dataclass(frozen=True)
class ChainSizes:
    """How much is measured, in bytes of text."""

    ours_bytes: int = 100_000_000
    peer_bytes: int = 10_000_000
    warm_bytes: int = 1_000_000
    workers: int = os.cpu_count() or 1
    vocabulary: int = 8192
    backend: str = "processes"


def bench_chain(data: Sequence[str] = (), tokenizer: str | None = None, sizes: ChainSizes | None = None) -> BenchResult:
    """Seconds per megabyte of text, from files to tokens, on all cores.

    ``data`` names JSON Lines files, compressed or not, or folders of them; all of it is ours to read. Without it the
    corpus is this Python environment. ``tokenizer`` is a tokenizer.json; without it a small BPE is trained.
    """
    require_peers("chain", "datatrove", "spacy")
    sizes = sizes or ChainSizes()
    kinds = read_kinds(data) if data else environment_by_kind(sizes.ours_bytes)
    definition = read_definition(tokenizer) if tokenizer else _train(kinds, sizes.vocabulary)
    texts = [text for kind in kinds.values() for text in kind]
    random.Random(8).shuffle(texts)
    corpora = {"ours": texts, "ours-warm": sample_balanced(kinds, sizes.warm_bytes, seed=1)}
    sample = sample_balanced(kinds, sizes.peer_bytes, seed=2)
    quarter = sample_balanced({"sample": sample}, sizes.peer_bytes // 4, seed=3)
    corpora |= {"theirs-warm": corpora["ours-warm"], "theirs": sample, "theirs-quarter": quarter}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tokenizer.json").write_text(definition)
        for corpus, documents in corpora.items():
            write_files(folder / corpus, documents, sizes.workers)
        _, ours = (run_stages(folder / each, folder / "tokenizer.json", sizes) for each in ("ours-warm", "ours"))
        _, whole, part = (
            run_datatrove(folder / each, folder / "tokenizer.json", sizes.workers)
            for each in ("theirs-warm", "theirs", "theirs-quarter")
        )
    ours_bytes, peer_bytes = size_of(texts), size_of(sample)
    mine, theirs = ours / ours_bytes * 1e6, (whole - part) / (peer_bytes - size_of(quarter)) * 1e6
    what = f"filter, dedupe and tokenise {ours_bytes / 1e6:.3g} MB"
    row = BenchRow(what, "s per MB", mine, f"datatrove ({peer_bytes / 1e6:.3g} MB)", theirs, theirs / mine)
    return BenchResult("chain", [row])


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


def _train(kinds: dict[str, list[str]], vocabulary: int) -> str:
    share = _TRAINING_BYTES // len(kinds)
    return train_bpe((text for texts in kinds.values() for text in head(texts, share)), vocabulary, (_END,))
