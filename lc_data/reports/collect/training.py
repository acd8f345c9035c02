"""The course of trainings and what evaluation measured, from the files that they write."""

from __future__ import annotations

import json
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.reports.collect.suites import evaluated_checkpoints
from lc_data.reports.content import Evaluation, LongGain, PositionBucket, Training, TrainingCost, TrainingStep

CURVE_POINTS = 400
"""A curve of more steps is shown by means over neighbouring ones: a page must stay small."""

KINDS = ("pretrain", "sft")


def read_trainings(run: RunFolder) -> list[Training]:
    """Every training that has written its metrics."""
    found = []
    for kind in KINDS:
        rows = _read_lines(run.stage(kind).file("metrics.jsonl"))
        if any(row["loss"] is not None for row in rows):
            found.append(_training(kind, rows, _read_lines(run.stage(kind).file("losses.jsonl"))))
    return found


def read_evaluations(run: RunFolder) -> list[Evaluation]:
    """Every checkpoint of which loss by position was measured."""
    found = []
    for checkpoint in evaluated_checkpoints(run, "position_loss.json"):
        uri = run.stage("evaluate").file(f"{checkpoint}/position_loss.json")
        found.append(_evaluation(checkpoint, json.loads(storage.read_bytes(uri))))
    return found


def _training(kind: str, every: list[dict[str, Any]], losses: list[dict[str, Any]]) -> Training:
    rows = [row for row in every if row["loss"] is not None]  # null: a step whose update was left out
    width = -(-len(rows) // CURVE_POINTS)
    last: dict[str, Any] = losses[-1] if losses else {"from_step": 0, "step": -1, "all": {"buckets": []}, "domains": {}}
    return Training(
        kind=kind,
        steps=len(every),
        tokens=sum(row["tokens"] for row in every),
        first_loss=rows[0]["loss"],
        last_loss=rows[-1]["loss"],
        seconds=sum(row["seconds"] for row in every),
        curve=[_mean_step(rows[at : at + width]) for at in range(0, len(rows), width)],
        cost=_cost(every),
        last_steps=last["step"] + 1 - last["from_step"],
        buckets=_buckets(last["all"]),
        domains={name: _buckets(row) for name, row in last["domains"].items()},
        gains=[LongGain(step=row["step"], **row["long_gain"]) for row in losses if row["long_gain"]],
    )


def _cost(rows: list[dict[str, Any]]) -> TrainingCost:
    """Rates are over all steps; each step weighs by its time."""
    seconds = sum(row["seconds"] for row in rows)
    used = [row["mfu"] * row["seconds"] for row in rows if row["mfu"] is not None]
    return TrainingCost(
        label_tokens_per_second=sum(row["label_tokens"] for row in rows) / seconds,
        mfu=sum(used) / seconds if used else None,
        padding_share=sum(row["padding_share"] * row["tokens"] for row in rows) / sum(row["tokens"] for row in rows),
        loader_wait_share=sum(row["loader_wait_seconds"] for row in rows) / seconds,
        checkpoint_stall_seconds=sum(row["checkpoint_stall_seconds"] for row in rows),
        peak_memory_bytes=max(row["peak_memory_bytes"] for row in rows),
        rank_imbalance=sum(row["rank_imbalance"] for row in rows) / len(rows),
        skipped_updates=rows[-1]["skipped_updates"],
    )


def _mean_step(rows: list[dict[str, Any]]) -> TrainingStep:
    labels = sum(row["label_tokens"] for row in rows)
    return TrainingStep(
        step=rows[len(rows) // 2]["step"],
        loss=sum(row["loss"] * row["label_tokens"] for row in rows) / labels,
        learning_rate=sum(row["learning_rate"] for row in rows) / len(rows),
        tokens_per_second=sum(row["tokens"] for row in rows) / sum(row["seconds"] for row in rows),
    )


def _read_lines(uri: str) -> list[dict[str, Any]]:
    """The whole lines of a metrics file: a killed process may have left half a line at the end."""
    if not storage.exists(uri):
        return []
    return [json.loads(line) for line in storage.read_bytes(uri).decode().split("\n")[:-1]]


def _evaluation(checkpoint: str, result: dict[str, Any]) -> Evaluation:
    gain = result.get("long_gain") or {}
    return Evaluation(
        checkpoint=checkpoint,
        documents=result["documents"],
        tokens=result["all"]["tokens"],
        nll=result["all"]["nll"],
        buckets=_buckets(result["all"]),
        domains={name: _buckets(row) for name, row in result["domains"].items()},
        gain=gain.get("gain"),
        gain_cut=gain.get("gain_cut"),
        cloze=(result.get("cloze") or {}).get("accuracy"),
    )


def _buckets(row: dict[str, Any]) -> list[PositionBucket]:
    return [
        PositionBucket(first=bucket["from"], last=bucket["to"] - 1, tokens=bucket["tokens"], nll=bucket["nll"])
        for bucket in row["buckets"]
    ]
