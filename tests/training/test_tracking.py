"""Trackers get what the files hold; one that is not installed is said before any work."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lc_data.recipe.errors import RecipeError
from lc_data.training import tracking
from lc_data.training.loop import train
from lc_data.training.metrics import read_metrics
from tests.training.synthetic import make_job, make_packs

PACKS = make_packs(12)


def test_a_tracker_that_is_not_installed_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"names wandb, which is not installed: pip install \"lc_data\[tracking\]\""):
        train(make_job(tmp_path, PACKS, metrics={"tracking": ["wandb"]}))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="TensorBoard is not installed")
def test_tensorboard_has_every_figure_of_every_step(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(make_job(tmp_path, PACKS, metrics={"tracking": ["tensorboard"], "losses_every_steps": 2}))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [
        (row["step"], pytest.approx(row["loss"])) for row in rows
    ]
    tables = read_metrics(tmp_path / "losses.jsonl")
    found = [(e.step, e.value) for e in events.Scalars("loss_at/even/0")]
    assert found == [(table["step"], pytest.approx(table["domains"]["even"]["buckets"][0]["nll"])) for table in tables]
    assert len(tables) == 2


class _Run:
    def __init__(self) -> None:
        self.logged: list[dict[str, Any]] = []
        self.finished = False

    def log(self, values: dict[str, Any]) -> None:
        self.logged.append(values)

    def finish(self) -> None:
        self.finished = True


@pytest.mark.parametrize(("environment", "mode"), [({}, "offline"), ({"WANDB_MODE": "online"}, "online")])
def test_wandb_is_offline_unless_its_own_setting_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], mode: str
) -> None:
    """A module with wandb's two calls stands in for it: no test reaches for a network."""
    run, asked = _Run(), {}
    stand_in = ModuleType("wandb")

    def init(**options: Any) -> _Run:
        asked.update(options)
        return run

    stand_in.init = init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    monkeypatch.setattr(tracking, "find_spec", lambda name: object())
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for name, value in environment.items():
        monkeypatch.setitem(os.environ, name, value)
    job = make_job(tmp_path, PACKS, metrics={"tracking": ["wandb"]})
    train(job)
    assert (asked["mode"], asked["id"], asked["resume"]) == (mode, job.fingerprint(), "allow")
    assert [row["step"] for row in run.logged] == [0, 1, 2, 2]
    assert "loss" in run.logged[0]
    assert "loss_at/all/0" in run.logged[-1]
    assert run.finished
