"""Scores of suites that checkpoints of a run were put to, from the ``result.json`` that evaluation writes."""

from __future__ import annotations

import json
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.reports.content import NeedleGrid, SuiteScores

_TRAINED = ("pretrain", "sft")


def evaluated_checkpoints(run: RunFolder, file: str) -> list[str]:
    """Names of the checkpoints that evaluation wrote such a file for: foreign ones first, then the run's own."""
    fs, path = storage.file_system(run.stage("evaluate").uri)
    names = sorted(found.rstrip("/").split("/")[-2] for found in fs.glob(f"{path}/*/{file}"))
    return [name for name in names if name not in _TRAINED] + [name for name in _TRAINED if name in names]


def read_suites(run: RunFolder) -> list[SuiteScores]:
    """The scores of every suite and checkpoint."""
    found = []
    for checkpoint in evaluated_checkpoints(run, "result.json"):
        uri = run.stage("evaluate").file(f"{checkpoint}/result.json")
        content = json.loads(storage.read_bytes(uri))
        found += [_scores(checkpoint, scores) for scores in content["suites"].values()]
    return found


def _scores(checkpoint: str, scores: dict[str, Any]) -> SuiteScores:
    grids = {
        task: NeedleGrid(
            lengths=detail["grid"]["lengths"],
            depths=detail["grid"]["depths"],
            cells=detail["grid"]["cells"],
            columns=detail["grid"]["columns"],
        )
        for task, detail in scores["details"].items()
        if "grid" in detail
    }
    return SuiteScores(
        checkpoint=checkpoint,
        suite=scores["suite"],
        convention=scores["convention"],
        tasks=scores["tasks"],
        groups=scores["groups"],
        averages=scores["averages"],
        missing=scores["missing"],
        cut=sum(scores["cut"].values()),
        predictions=sum(scores["predictions"].values()),
        grids=grids,
    )
