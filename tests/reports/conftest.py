"""A run of the whole chain on a small corpus, with the files that a training and an evaluation would have left."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest

from lc_data.corpus.run import RunFolder
from lc_data.reports.collect.report import collect_report
from lc_data.stages.chain import run_chain
from tests.small_corpus import small_recipe, write_small_corpus

STEPS = 900


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("reported")
    write_small_corpus(folder / "corpus")
    made = RunFolder(str(folder / "run"))
    list(run_chain(small_recipe(folder / "corpus"), made, "pack"))
    write_training(Path(made.uri))
    return made


@pytest.fixture(scope="session")
def report(run):
    return collect_report(run)


def write_training(run: Path) -> None:
    rows = [
        {
            "step": step, "loss": 3 + 5 * math.exp(-step / 90), "learning_rate": 1e-3, "grad_norm": 1.0, "tokens": 8192,
            "label_tokens": 8000 + step % 2, "packs_consumed": 8 * (step + 1), "seconds": 0.5,
            "tokens_per_second": 16384.0, "label_tokens_per_second": 16000.0, "loader_wait_seconds": 0.05,
            "mfu": None if step % 2 else 0.4, "padding_share": 0.01 * (step % 3), "checkpoint_stall_seconds": 0.01,
            "peak_memory_bytes": 1_000_000 + step, "rank_imbalance": 1.5, "skipped_updates": int(step > 7),
        }
        for step in range(STEPS)
    ]  # fmt: skip
    (run / "pretrain").mkdir()
    lines = "\n".join(map(json.dumps, rows))
    (run / "pretrain" / "metrics.jsonl").write_text(lines + '\n{"step": 900, "lo')
    gain = {"near": 4.0, "far": 3.5, "far_cut": 3.75, "gain": 0.5, "gain_cut": 0.25}
    tables = [
        {"from_step": step - 49, "step": step, "all": _losses(0.0), "domains": {"web": _losses(0.1)},
         "long_gain": gain if step > 100 else None}
        for step in range(49, STEPS, 50)
    ]  # fmt: skip
    (run / "pretrain" / "losses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tables))
    (run / "evaluate" / "pretrain").mkdir(parents=True)
    losses = {"all": _losses(0.0), "domains": {"web": _losses(0.1), "books": _losses(-0.5)}}
    whole = {"fingerprint": "e" * 32, "seq_len": 1024, "documents": 10, **losses}
    (run / "evaluate" / "pretrain" / "position_loss.json").write_text(json.dumps(whole))


def _losses(offset: float) -> dict:
    buckets = [
        {"from": low, "to": high, "tokens": 1000, "nll": 4.2 + offset - 0.2 * place, "perplexity": 1.0}
        for place, (low, high) in enumerate(pairwise([0, 256, 512, 1024]))
    ]
    return {"tokens": 3000, "nll": 4.0 + offset, "perplexity": 1.0, "buckets": buckets}
