"""Several ranks, and changes of their number: one program runs all scenarios, the tests look at what it left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from lc_data.training.checkpoint import load_tensors, newest_checkpoint, read_state
from lc_data.training.launch import _start
from lc_data.training.metrics import read_metrics
from lc_data.training.stopping import STOPPED_EXIT_CODE, TrainingStopped
from lc_data.training.weights import weights_fingerprint
from tests.training.dialogues import make_dialogues, sft_job, unpacked_mean
from tests.training.rank_scenarios import KILLS, READ_BY_FIRST
from tests.training.synthetic import SEQ_LEN, make_job, make_packs

pytestmark = pytest.mark.timeout(600)  # the scenarios run once, in the first test's name


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.training.rank_scenarios", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(folder / "metrics.jsonl")]


def test_every_rank_ends_as_it_should(root: Path) -> None:
    codes = json.loads((root / "codes.json").read_text())
    assert codes.pop("stopped") == [STOPPED_EXIT_CODE] * 2
    assert all(codes.pop(f"failed-{name}") == [1, 1] for name in READ_BY_FIRST)
    assert len(codes) == 11 + KILLS
    for name, seen in codes.items():
        assert set(seen) == {-signal.SIGKILL if name.startswith("killed") else 0}, name


@pytest.mark.parametrize("name", READ_BY_FIRST)
def test_an_error_of_the_first_rank_alone_is_one_of_all(root: Path, name: str) -> None:
    met = [(root / f"failed-{name}" / f"met-by-{rank}.txt").read_text() for rank in range(2)]
    assert met[0].startswith("IsADirectoryError")
    assert met[1] == "Failure: the first process has failed; its own message says why"


@pytest.mark.parametrize("name", ["straight-2", "straight-4", "context-2", "context-4"])
def test_the_loss_does_not_depend_on_ranks_nor_on_how_they_share_packs(root: Path, name: str) -> None:
    alone, together = losses(root / "straight-1"), losses(root / name)
    assert len(alone) == len(together) == 8
    assert together == pytest.approx(alone, rel=1e-6)
    assert together[0] == pytest.approx(alone[0], rel=1e-7)


@pytest.mark.parametrize("name", ["straight-2", "straight-4", "context-2", "context-4", "two-then-4"])
def test_losses_by_domain_and_position_do_not_depend_on_ranks(root: Path, name: str) -> None:
    """A resumed training has them as well: their sums are in the checkpoint."""
    [alone], [together] = (read_metrics(root / folder / "losses.jsonl") for folder in ("straight-1", name))
    assert alone["domains"].keys() == {"even", "odd"}
    assert together["from_step"] == 0
    for domain, table in alone["domains"].items():
        for mine, other in zip(table["buckets"], together["domains"][domain]["buckets"], strict=True):
            assert other == pytest.approx(mine, rel=1e-6)
    rows = read_metrics(root / "straight-1" / "metrics.jsonl")
    assert alone["all"]["tokens"] == sum(row["label_tokens"] for row in rows)
    mean = sum(row["loss"] * row["label_tokens"] for row in rows) / alone["all"]["tokens"]
    assert alone["all"]["nll"] == pytest.approx(mean, rel=1e-9)


def test_ranks_that_share_packs_take_the_same_ones(root: Path) -> None:
    logs = [json.loads((root / "context-4" / f"yielded-{r}-of-2.json").read_text()) for r in range(2)]
    assert logs == [list(range(rank, 32, 2)) for rank in range(2)]


@pytest.mark.parametrize("at", range(1, KILLS + 1))
def test_a_save_that_was_killed_leaves_a_whole_checkpoint(root: Path, at: int) -> None:
    path = newest_checkpoint(root / f"killed-{at}")
    assert path is not None
    step = read_state(path)["step"]
    assert step in (1, 2)
    tensors = {name: torch.zeros(64, 3) for name in ("weight", "moment")}
    load_tensors(path, tensors)
    assert all(bool((tensor == step).all()) for tensor in tensors.values())
    assert (path.parent / (path.parent / "latest").read_text().strip()).is_dir(), "what `latest` names is there"


def test_some_of_the_killed_saves_were_whole_and_some_were_not(root: Path) -> None:
    found = [newest_checkpoint(root / f"killed-{at}") for at in range(1, KILLS + 1)]
    assert {path.name for path in found if path} == {"step-000001", "step-000002"}


@pytest.mark.parametrize("name", ["straight-2", "straight-4", "context-2", "context-4", "two-then-1", "two-then-4"])
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


@pytest.mark.parametrize("how", ["1", "2", "4", "shared"])
def test_a_resumed_training_has_the_losses_of_an_undisturbed_one(root: Path, how: str) -> None:
    assert losses(root / f"two-then-{how}") == pytest.approx(losses(root / "straight-2"), rel=1e-6)


def test_resuming_on_as_many_ranks_gives_the_same_bits(root: Path) -> None:
    assert losses(root / "two-then-2") == losses(root / "straight-2")
    hashes = {weights_fingerprint(root / name / "export") for name in ("two-then-2", "straight-2")}
    assert len(hashes) == 1


def test_two_ranks_average_over_the_same_sequences(root: Path) -> None:
    [row] = read_metrics(root / "sequences" / "metrics.jsonl")
    job = sft_job(root, [], "sequence_mean")
    assert (row["loss"], row["grad_norm"]) == pytest.approx(unpacked_mean(make_dialogues(), job), rel=1e-5)


def test_a_batch_must_divide_over_the_ranks(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"x 3 processes = {3 * SEQ_LEN}: for example {3 * SEQ_LEN}"):
        make_job(tmp_path, make_packs(4)).check(3)


@pytest.mark.parametrize(
    ("settings", "world_size", "message"),
    [
        ({"context_parallel": 4}, 4, "does not divide the 2 key and value heads"),
        ({"context_parallel": 2}, 3, "does not divide 3 processes"),
    ],
)
def test_packs_are_shared_by_as_many_as_divide_heads_and_processes(
    tmp_path: Path, settings: dict, world_size: int, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        make_job(tmp_path, make_packs(4), **settings).check(world_size)


@pytest.mark.parametrize(("code", "error"), [(STOPPED_EXIT_CODE, TrainingStopped), (3, Failure)])
def test_the_launcher_tells_stopping_from_failing(tmp_path: Path, code: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        _start(["-c", f"raise SystemExit({code})"], make_job(tmp_path, [], processes=2))
