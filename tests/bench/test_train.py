from __future__ import annotations

import pytest

from lc_data.bench import train
from lc_data.failure import Failure
from lc_data.recipe.model import ModelShape

TINY = train.TrainSizes(ModelShape(hidden_size=16, layers=1, heads=2, intermediate_size=32), 64, 64, (64, 16), 1)


def test_both_sides_train_the_same_model_on_the_same_rows() -> None:
    result = train.bench_train(TINY)
    assert [row.what.rsplit(" ", 1)[1] for row in result.rows] == ["64", "16"]
    assert all(row.ratio == pytest.approx(row.ours / row.theirs) for row in result.rows)


def test_a_side_that_does_other_work_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = train._their_step
    monkeypatch.setattr(train, "_their_step", lambda *arguments: lambda: 2 * theirs(*arguments)())
    with pytest.raises(Failure, match="the first loss is"):
        train.bench_train(TINY)


def test_without_transformers_there_is_nothing_to_compare_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.importlib.util, "find_spec", lambda name: None)
    assert all("not installed" in row.peer for row in train.bench_train(TINY).rows)
