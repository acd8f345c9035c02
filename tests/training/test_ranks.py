"""Several ranks, and changes of their number: one program runs all scenarios, the tests look at what it left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from lc_data.training.checkpoint import newest_checkpoint
from lc_data.training.launch import _start
from lc_data.training.metrics import read_metrics
from lc_data.training.stopping import STOPPED_EXIT_CODE, TrainingStopped
from lc_data.training.weights import weights_fingerprint
from tests.training.dialogues import make_dialogues, sft_job, unpacked_mean
from tests.training.synthetic import SEQ_LEN, make_job, make_packs


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.training.rank_scenarios", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(folder / "metrics.jsonl")]


def test_every_rank_ends_as_it_should(root: Path) -> None:
    codes = json.loads((root / "codes.json").read_text())
    assert codes.pop("stopped") == [STOPPED_EXIT_CODE] * 2
    assert len(codes) == 7
    for name, seen in codes.items():
        assert set(seen) == {0}, name


@pytest.mark.parametrize("world_size", [2, 4])
def test_the_loss_does_not_depend_on_the_number_of_ranks(root: Path, world_size: int) -> None:
    alone, together = losses(root / "straight-1"), losses(root / f"straight-{world_size}")
    assert len(alone) == len(together) == 8
    assert together == pytest.approx(alone, rel=1e-5)
    assert together[0] == pytest.approx(alone[0], rel=1e-7)


@pytest.mark.parametrize("name", ["straight-2", "straight-4", "two-then-1", "two-then-4"])
def test_the_hashes_of_the_data_prove_that_all_saw_the_same(root: Path, name: str) -> None:
    alone, other = (
        [row["data_hash"] for row in read_metrics(root / folder / "metrics.jsonl")] for folder in ("straight-1", name)
    )
    assert len(set(alone)) == 8
    assert other == alone


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_ranks_share_out_exactly_the_packs_that_are_left(root: Path, world_size: int) -> None:
    folder = root / f"two-then-{world_size}"
    logs = [json.loads((folder / f"yielded-{r}-of-{world_size}.json").read_text()) for r in range(world_size)]
    assert sorted(index for log in logs for index in log) == list(range(20, 32))
    assert all(log == list(range(20 + rank, 32, world_size)) for rank, log in enumerate(logs))


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_a_resumed_training_has_the_losses_of_an_undisturbed_one(root: Path, world_size: int) -> None:
    assert losses(root / f"two-then-{world_size}") == pytest.approx(losses(root / "straight-2"), rel=1e-5)


def test_resuming_on_as_many_ranks_gives_the_same_bits(root: Path) -> None:
    assert losses(root / "two-then-2") == losses(root / "straight-2")
    hashes = {weights_fingerprint(root / name / "export") for name in ("two-then-2", "straight-2")}
    assert len(hashes) == 1
    assert newest_checkpoint(root / "two-then-2" / "checkpoints") is not None


def test_two_ranks_average_over_the_same_sequences(root: Path) -> None:
    [row] = read_metrics(root / "sequences" / "metrics.jsonl")
    job = sft_job(root, [], "sequence_mean")
    assert (row["loss"], row["grad_norm"]) == pytest.approx(unpacked_mean(make_dialogues(), job), rel=1e-5)


def test_a_batch_must_divide_over_the_ranks(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"x 3 processes = {3 * SEQ_LEN}: for example {3 * SEQ_LEN}"):
        make_job(tmp_path, make_packs(4)).check(3)


@pytest.mark.parametrize(("code", "error"), [(STOPPED_EXIT_CODE, TrainingStopped), (3, Failure)])
def test_the_launcher_tells_stopping_from_failing(tmp_path: Path, code: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        _start(["-c", f"raise SystemExit({code})"], make_job(tmp_path, [], processes=2))
