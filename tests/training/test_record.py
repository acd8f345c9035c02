"""A training whose plan has given way to another one: it goes on where it has seen nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lc_data.streaming.state import StreamStateError
from lc_data.training.job import TrainingJob
from lc_data.training.loop import train
from lc_data.training.metrics import read_metrics
from tests.training.synthetic import SyntheticStream, make_job, make_packs

OLD = make_packs(16)
NEW = [*OLD[:8], *make_packs(32)[16:32]]
"""The first eight packs stay what they are, others follow."""


class PlannedStream(SyntheticStream):
    """A stream of one of two plans, which knows how far the two are the same."""

    def __init__(self, plan: str, packs: list[dict], rank: int, world_size: int) -> None:
        super().__init__(packs, rank, world_size)
        self.plan = plan

    def state_at(self, consumed: int) -> dict[str, Any]:
        return {"version": 1, "plan_hash": self.plan, "consumed": consumed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state["plan_hash"] != self.plan and state["consumed"] > 8:
            raise StreamStateError("packs have changed (8)")
        self.consumed = state["consumed"]


def job_of(folder: Path, plan: str, packs: list[dict], **settings: Any) -> TrainingJob:
    job = make_job(folder, packs, lambda rank, world: PlannedStream(plan, packs, rank, world), **settings)
    return replace(job, origin={"plan": plan})


def test_a_training_goes_on_where_its_packs_are_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(job_of(tmp_path, "old", OLD[:8]))
    seen = read_metrics(tmp_path / "metrics.jsonl")
    outcome = train(job_of(tmp_path, "new", NEW))
    assert outcome.ran
    assert "pretrain goes on with a new plan: its first 8 packs are the same" in capsys.readouterr().err
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(6))
    assert [row["loss"] for row in rows[:2]] == [row["loss"] for row in seen]
    assert not (tmp_path / "previous").exists()
    assert not train(job_of(tmp_path, "new", NEW)).ran


def test_a_training_that_saw_other_packs_starts_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(job_of(tmp_path, "old", OLD))
    train(job_of(tmp_path, "new", NEW))
    said = capsys.readouterr().err
    assert "pretrain cannot go on: packs have changed (8)" in said
    assert 'pretrain starts anew (origin.plan: "old" -> "new")' in said
    assert len(read_metrics(tmp_path / "previous" / "001" / "metrics.jsonl")) == 4
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")] == list(range(6))


def test_what_else_differs_starts_a_training_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(job_of(tmp_path, "old", OLD[:8]))
    train(job_of(tmp_path, "new", NEW, steps=1))
    assert "pretrain starts anew (origin.plan" in capsys.readouterr().err
    assert (tmp_path / "previous" / "001").exists()


def test_a_training_without_a_checkpoint_starts_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(job_of(tmp_path, "old", OLD[:8]))
    for path in (tmp_path / "checkpoints").glob("step-*"):
        path.rename(path.with_name(f"gone-{path.name}"))
    train(job_of(tmp_path, "new", NEW))
    assert "pretrain starts anew (origin.plan" in capsys.readouterr().err
