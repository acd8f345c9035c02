"""What transforming costs: balance, augment and pack of a run, against balance and pack alone, in turn.

Packing alone reads an index and writes a plan, and transforming copies tokens, so beside the stages alone stands what
both end in: rows, written out; that is where within twice of plain packing is asked for. Of 40 million tokens, in
seconds of a core: interleave took 1.9 times as long, untie_knots 4.6 times (33 million tokens a second), which is below
the bar.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lc_data.bench.result import BenchResult, BenchRow, compare_in_turn
from lc_data.bench.synthetic import TOKENIZER, write_packed_run
from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import Stage, bring_up_to_date
from lc_data.recipe.load import parse_recipe
from lc_data.recipe.recipe import Recipe
from lc_data.stages import augment, balance, pack
from lc_data.streaming.reader import PackReader

TOKENS = 100_000_000
SEQ_LEN = 32768
_NAMES = {"head": "<|a|>", "tail": "<|b|>", "trace": "<|c|>", "end": "<|d|>"}
_PLAIN = (balance.STAGE, pack.STAGE)
_MADE = (balance.STAGE, augment.STAGE, pack.AUGMENTED)


def bench_augment(tokens: int = TOKENS, rounds: int = 3) -> BenchResult:
    """Transform 80% of a corpus, with each transform; ratios are of plain seconds by ours, so 0.5 is twice as long."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(str(Path(folder, "run")))
        write_packed_run(run, tokens, SEQ_LEN)
        storage.write_atomic(run.stage("bucket").file("tokenizer.json"), json.dumps(_tokenizer()).encode())
        for name, options in (("untie_knots", {"tokens": _NAMES}), ("interleave", {})):
            asked = _recipe([{"name": name, "share": 0.8, **options}])
            for what, ends in (("to the plan", _to_plan), ("to rows written out", _to_rows)):
                with_it, without = _passes(run, asked, ends)
                for warm in (with_it, without):
                    warm()
                ours, theirs = compare_in_turn(with_it, without, rounds, time.process_time)
                bar = 0.5 if ends is _to_rows else None
                about = (f"{name}, {what}", "Mtok/s per core", tokens / ours / 1e6, "plain packing")
                rows.append(BenchRow(*about, tokens / theirs / 1e6, theirs / ours, bar))
    return BenchResult("augment", rows)


def _passes(
    run: RunFolder, asked: Recipe, ends: Callable[[RunFolder], None]
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return the run with a transform, and the run without one."""

    def go(recipe: Recipe, stages: tuple[Stage, ...]) -> None:
        for name in ("balance", "augment", "pack"):
            storage.remove_tree(run.stage(name).uri)
        for stage in stages:
            bring_up_to_date(stage, recipe, run, SerialBackend())
        ends(run)

    return lambda: go(asked, _MADE), lambda: go(_recipe([]), _PLAIN)


def _to_plan(run: RunFolder) -> None:
    """A plan is where the stages end."""


def _to_rows(run: RunFolder) -> None:
    """Write every row of the plan as tokens, as a trainer that has no plan reads them."""
    reader = PackReader.open(run, "pretrain")
    with storage.create(run.stage("pack").file("rows.bin")) as sink:
        for number in range(reader.plan.packs):
            sink.write(reader.read(number).input_ids.astype(np.uint16).tobytes())


def _recipe(transforms: list[dict[str, Any]]) -> Recipe:
    special = json.dumps(["<|endoftext|>", *_NAMES.values()])
    return parse_recipe(
        "{name: synthetic, sources: [{name: a, kind: text, domain: synthetic, paths: [none]}], "
        f"tokenizer: {{train: {{special_tokens: {special}}}}}, pack: {{seq_len: {SEQ_LEN}}}, "
        f"mixture: {{held_out: {{share: 0}}}}, augment: {json.dumps(transforms)}}}"
    )


def _tokenizer() -> dict[str, Any]:
    """As much of a tokenizer.json as knots need; the ids are those of random tokens, which does not matter here."""
    first = TOKENIZER.vocab_size - 20
    added = [{"content": name, "id": first + place} for place, name in enumerate(_NAMES.values())]
    return {"added_tokens": added, "model": {"vocab": {str(digit): first + 4 + digit for digit in range(10)}}}
