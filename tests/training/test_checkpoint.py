from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lc_data.failure import Failure
from lc_data.training import checkpoint
from lc_data.training.checkpoint import CheckpointWriter, load_tensors, newest_checkpoint, publish, read_state
from lc_data.training.ranks import Ranks, join_ranks


@pytest.fixture
def ranks() -> Iterator[Ranks]:
    with join_ranks() as alone:
        yield alone


def save(folder: Path, step: int, ranks: Ranks, keep: int = 9) -> Path:
    tensors = {"weight": torch.full((3, 2), float(step)), "moment": torch.full((5,), -float(step))}
    with CheckpointWriter(folder, ranks, keep) as writer:
        writer.save(tensors, {"step": step, "stream": {"consumed": 4 * step}})
        writer.wait()
    return folder / f"step-{step:06d}"


def load(path: Path) -> dict[str, torch.Tensor]:
    tensors = {"weight": torch.zeros(3, 2), "moment": torch.zeros(5)}
    load_tensors(path, tensors)
    return tensors


def test_what_was_saved_comes_back(tmp_path: Path, ranks: Ranks) -> None:
    path = save(tmp_path, 12, ranks)
    assert (path.name, (tmp_path / "latest").read_text()) == ("step-000012", "step-000012\n")
    assert newest_checkpoint(tmp_path) == path
    assert read_state(path)["stream"] == {"consumed": 48}
    assert torch.equal(load(path)["weight"], torch.full((3, 2), 12.0))


def test_the_newest_are_kept_by_number(tmp_path: Path, ranks: Ranks) -> None:
    for step in (8, 900_000, 1_000_000, 2_000_000):
        save(tmp_path, step, ranks, keep=2)
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-1000000", "step-2000000"]
    assert newest_checkpoint(tmp_path) == tmp_path / "step-2000000"


def test_a_checkpoint_in_the_making_does_not_exist(tmp_path: Path, ranks: Ranks) -> None:
    assert newest_checkpoint(tmp_path) is None
    whole = save(tmp_path, 1, ranks)
    save(tmp_path, 2, ranks).rename(tmp_path / "step-000002.tmp")
    assert newest_checkpoint(tmp_path) == whole
    assert torch.equal(load(save(tmp_path, 2, ranks))["moment"], torch.full((5,), -2.0))
    assert not list(tmp_path.glob("*.tmp"))


def test_a_save_takes_the_values_of_its_moment(tmp_path: Path, ranks: Ranks) -> None:
    tensors = {"weight": torch.ones(1 << 20), "moment": torch.ones(5)}
    with CheckpointWriter(tmp_path, ranks, keep=2) as writer:
        writer.save(tensors, {"step": 1})
        tensors["weight"].fill_(7)  # the training goes on while threads write
        writer.wait()
    load_tensors(tmp_path / "step-000001", tensors)
    assert torch.equal(tensors["weight"], torch.ones(1 << 20))


def test_a_save_that_fails_is_an_error_of_the_training(
    tmp_path: Path, ranks: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = save(tmp_path, 1, ranks)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_atomic", full)
    with CheckpointWriter(tmp_path, ranks, keep=2) as writer:
        writer.save({"weight": torch.ones(3)}, {"step": 2})
        with pytest.raises(Failure, match=r"could not be written to .*No space left on device"):
            writer.wait()
        assert writer.has_failed
    assert newest_checkpoint(tmp_path) == whole


def test_a_file_that_is_shorter_than_its_index_is_not_published(tmp_path: Path, ranks: Ranks) -> None:
    path = save(tmp_path, 1, ranks)
    (data,) = path.glob("*.distcp")
    data.write_bytes(data.read_bytes()[:-1])
    path.rename(path.with_suffix(".tmp"))
    with pytest.raises(Failure, match="shorter than the index"):
        publish(path.with_suffix(".tmp"), {"step": 1}, keep=1)
    assert newest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("damage", ["short", "missing", "no state"])
def test_a_damaged_checkpoint_is_passed_over_aloud(tmp_path: Path, ranks: Ranks, damage: str) -> None:
    whole, damaged = save(tmp_path, 1, ranks), save(tmp_path, 2, ranks)
    (data,) = damaged.glob("*.distcp")
    if damage == "short":
        data.write_bytes(data.read_bytes()[:-1])
    elif damage == "missing":
        data.unlink()
    else:
        (damaged / "state.json").unlink()
    with pytest.warns(UserWarning, match="step-000002 is damaged"):
        assert newest_checkpoint(tmp_path) == whole


class _Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.target),))


def test_an_index_that_would_run_code_is_refused(tmp_path: Path, ranks: Ranks) -> None:
    path = save(tmp_path, 1, ranks)
    trace = tmp_path / "code-ran"
    (path / ".metadata").write_bytes(pickle.dumps(_Payload(trace)))
    with pytest.raises(Failure, match="no part of one"):
        load(path)
    assert not trace.exists()
    pickle.loads((path / ".metadata").read_bytes())
    assert trace.exists(), "the payload is live: only the restricted unpickler stopped it"


def test_tensors_of_another_model_are_refused(tmp_path: Path, ranks: Ranks) -> None:
    path = save(tmp_path, 1, ranks)
    with pytest.raises(Failure, match="other"):
        load_tensors(path, {"other": torch.zeros(3)})
    with pytest.raises(Failure, match="weight"):
        load_tensors(path, {"weight": torch.zeros(4, 2)})
