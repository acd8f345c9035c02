from __future__ import annotations

import fcntl
import itertools
import json
import math
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from lc_data.training import checkpoint, loop, model
from lc_data.training.checkpoint import newest_checkpoint, read_state
from lc_data.training.guard import DivergedError
from lc_data.training.loop import train
from lc_data.training.metrics import MetricsLog, read_metrics
from lc_data.training.stopping import StopRequest, TrainingStopped
from lc_data.training.weights import weights_fingerprint
from tests.training.synthetic import SEQ_LEN, VOCAB, SyntheticStream, make_job, make_pack, make_packs, small_config

PACKS = make_packs(48)


class InterruptedStream(SyntheticStream):
    """Sends this process a signal when it yields a certain pack."""

    def __init__(self, packs: list[dict], rank: int, world_size: int, at: int, number: int = signal.SIGTERM) -> None:
        super().__init__(packs, rank, world_size)
        self.at, self.number = at, number

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for pack in super().__iter__():
            if pack["pack_index"] == self.at:
                os.kill(os.getpid(), self.number)
            yield pack


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(folder / "metrics.jsonl")]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of twelve steps that nothing disturbed."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("straight")
    train(make_job(folder, PACKS))
    return folder


def test_loss_falls_far_below_chance(straight: Path) -> None:
    seen = losses(straight)
    assert len(seen) == 12
    assert seen[0] > 4.0  # ln 61 = 4.1
    assert seen[-1] < seen[0] - 0.8


def test_every_step_is_written_down(straight: Path) -> None:
    rows = read_metrics(straight / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(12))
    assert [row["packs_consumed"] for row in rows] == [4 * (step + 1) for step in range(12)]
    targets = sum(int((pack["labels"] != -100).sum()) for pack in PACKS[:4])
    assert rows[0]["label_tokens"] == targets
    assert all(row["tokens"] == 4 * SEQ_LEN and row["grad_norm"] > 0 for row in rows)
    assert rows[-1]["learning_rate"] == pytest.approx(1e-3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("at", [12, 22])
def test_a_stopped_training_goes_on_as_if_nothing_had_been(
    straight: Path, tmp_path: Path, at: int, number: int
) -> None:
    job = make_job(tmp_path, PACKS, lambda rank, world: InterruptedStream(PACKS, rank, world, at, number))
    handler = signal.getsignal(number)
    with pytest.raises(TrainingStopped):
        train(job)
    assert signal.getsignal(number) is handler
    path = newest_checkpoint(tmp_path / "checkpoints")
    assert path is not None
    assert read_state(path)["stream"]["consumed"] == at // 4 * 4, "packs of the step that was given up are not consumed"

    stream = SyntheticStream(PACKS, 0, 1)
    outcome = train(make_job(tmp_path, PACKS, lambda rank, world: stream))
    assert outcome.ran
    assert stream.yielded[0] == at // 4 * 4
    assert losses(tmp_path) == losses(straight)
    assert weights_fingerprint(tmp_path / "export") == weights_fingerprint(straight / "export")


def test_a_step_that_is_given_up_half_way_counts_nowhere(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked before every pack; the eleventh is the third of the third step."""

    class LateRequest(StopRequest):
        asked = itertools.count(1)
        is_made = property(lambda self: next(self.asked) == 11, lambda self, value: None)

    with monkeypatch.context() as once:
        once.setattr(loop, "StopRequest", LateRequest)
        with pytest.raises(TrainingStopped):
            train(make_job(tmp_path, PACKS))
    train(make_job(tmp_path, PACKS))
    assert losses(tmp_path) == losses(straight)
    [row], [undisturbed] = (read_metrics(folder / "losses.jsonl") for folder in (tmp_path, straight))
    assert row["all"]["tokens"] == undisturbed["all"]["tokens"]
    assert row["all"]["nll"] == pytest.approx(undisturbed["all"]["nll"], rel=1e-9)


def test_a_crash_goes_back_to_the_last_checkpoint(straight: Path, tmp_path: Path) -> None:
    class CrashError(Exception):
        pass

    class CrashingStream(SyntheticStream):
        def __iter__(self) -> Iterator[dict[str, Any]]:
            for pack in super().__iter__():
                if pack["pack_index"] == 30:
                    raise CrashError
                yield pack

    checkpoints = {"every_minutes": None, "every_steps": 3, "keep": 1}
    with pytest.raises(CrashError):
        train(make_job(tmp_path, PACKS, lambda r, w: CrashingStream(PACKS, r, w), checkpoint=checkpoints))
    assert len(losses(tmp_path)) == 7
    assert [path.name for path in (tmp_path / "checkpoints").glob("step-*")] == ["step-000006"]
    train(make_job(tmp_path, PACKS, checkpoint=checkpoints))
    assert losses(tmp_path) == losses(straight)
    assert weights_fingerprint(tmp_path / "export") == weights_fingerprint(straight / "export")


def test_checkpoints_come_by_time(tmp_path: Path) -> None:
    train(make_job(tmp_path, PACKS, steps=3, checkpoint={"every_minutes": 1e-9, "keep": 9}))
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("step-*")) == [
        "step-000001", "step-000002", "step-000003",
    ]  # fmt: skip


def test_a_finished_training_is_not_repeated_and_another_one_starts_anew(
    straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "done"
    shutil.copytree(straight, folder)
    again = train(make_job(folder, PACKS))
    assert not again.ran
    assert again.result["packs_consumed"] == 48
    assert not train(make_job(folder, PACKS, checkpoint={"keep": 5}, activation_checkpointing=True)).ran

    outcome = train(make_job(folder, PACKS, steps=2))
    assert outcome.ran
    assert outcome.result["packs_left"] == 40
    assert "section.steps: null -> 2" in capsys.readouterr().err
    assert losses(folder / "previous" / "001") == losses(straight)
    assert len(losses(folder)) == 2


def test_accumulation_and_recomputation_change_nothing_but_memory(tmp_path: Path) -> None:
    """One pack of four rows' length per step, or four packs: the same documents, hence the same losses."""
    joined = [make_pack([PACKS[4 * i + j]["input_ids"].tolist() for j in range(4)], 4 * SEQ_LEN, i) for i in range(3)]
    single = [make_pack([pack["input_ids"].tolist()], SEQ_LEN, i) for i, pack in enumerate(PACKS[:12])]
    train(make_job(tmp_path / "four", single, activation_checkpointing=True))
    long_rows = make_job(tmp_path / "one", joined)
    object.__setattr__(long_rows, "seq_len", 4 * SEQ_LEN)
    train(long_rows)
    assert losses(tmp_path / "four") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


def test_sft_counts_the_answers_only(tmp_path: Path) -> None:
    """The loss over all labels is the mean of that over the questions and that over the answers."""
    question, answer = [3, 1, 4, 1, 5], [9, 2, 6, 5]
    masked = [[False] * 5 + [True] * 4]

    def first_loss(name: str, targets: list[list[bool]] | None) -> tuple[float, int]:
        packs = [make_pack([question + answer], SEQ_LEN, i, targets) for i in range(4)]
        train(make_job(tmp_path / name, packs))
        row = read_metrics(tmp_path / name / "metrics.jsonl")[0]
        return row["loss"], row["label_tokens"]

    on_answers, count = first_loss("answers", masked)
    on_all, all_count = first_loss("all", None)
    on_questions, question_count = first_loss("questions", [[True] * 5 + [False] * 4])
    assert (count, question_count, all_count) == (16, 16, 32)
    assert on_all == pytest.approx((on_answers + on_questions) / 2, rel=1e-6)
    assert on_answers != pytest.approx(on_questions, rel=1e-3)


def test_bfloat16_keeps_float32_masters_and_angles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[torch.dtype, torch.dtype]] = []
    forward = model.Layer.forward

    def spy(self: Any, x: torch.Tensor, angles: Any, *rest: Any) -> torch.Tensor:
        seen.append((x.dtype, angles[0].dtype))
        return forward(self, x, angles, *rest)

    monkeypatch.setattr(model.Layer, "forward", spy)
    train(make_job(tmp_path, PACKS[:8], dtype="bfloat16"))
    assert set(seen) == {(torch.bfloat16, torch.float32)}
    assert losses(tmp_path)[0] == pytest.approx(4.1, abs=0.3)


def test_wrong_sizes_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"must be a multiple of pack.seq_len \(64\) x 1 processes"):
        train(make_job(tmp_path, PACKS, batch_tokens=100))
    with pytest.raises(RecipeError, match="less than one batch"):
        train(make_job(tmp_path, PACKS[:3]))
    assert not list(tmp_path.iterdir())


def test_losses_that_are_no_numbers_name_their_packs(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="packs are 4 to 7"):
        train(make_job(tmp_path, PACKS, optimizer={"peak_learning_rate": 1e30}, schedule={"warmup_share": 0}))


def diverge_at(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """Let the gradients of some steps be no numbers."""
    calls, squares = itertools.count(), loop.gradient_squares
    monkeypatch.setattr(loop, "gradient_squares", lambda model: math.nan if next(calls) in steps else squares(model))


def test_a_step_that_diverges_is_left_out_and_counted(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge_at(monkeypatch, 1)
    train(make_job(tmp_path, PACKS, guard={"on_divergence": "skip", "max_skipped": 1}))
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["skipped_updates"] for row in rows] == [0] + [1] * 11
    assert [row["grad_norm"] is None for row in rows] == [False, True] + [False] * 10
    undisturbed = losses(straight)
    assert losses(tmp_path)[:2] == undisturbed[:2]
    assert losses(tmp_path)[2] != undisturbed[2]
    assert losses(tmp_path)[2] == pytest.approx(undisturbed[2], rel=0.1)
    assert json.loads((tmp_path / "result.json").read_text())["skipped_updates"] == 1


def test_a_training_with_a_step_left_out_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"guard": {"on_divergence": "skip"}}
    with monkeypatch.context() as once:
        diverge_at(once, 1)
        train(make_job(tmp_path / "straight", PACKS, **settings))
    with monkeypatch.context() as once:
        diverge_at(once, 1)
        with pytest.raises(TrainingStopped):
            train(make_job(tmp_path / "stopped", PACKS, lambda r, w: InterruptedStream(PACKS, r, w, 22), **settings))
    train(make_job(tmp_path / "stopped", PACKS, **settings))
    assert losses(tmp_path / "stopped") == losses(tmp_path / "straight")


def test_too_many_updates_left_out_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diverge_at(monkeypatch, 1, 2, 3)
    with pytest.raises(DivergedError, match=r"step 3: .* after 2 updates were left out; its packs are 12 to 15"):
        train(make_job(tmp_path, PACKS, guard={"on_divergence": "skip", "max_skipped": 2}))


def test_a_write_that_failed_ends_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "publish", full)
    with pytest.raises(Failure, match="No space left on device"):
        train(make_job(tmp_path, PACKS, checkpoint={"every_minutes": None, "every_steps": 2}))
    assert len(losses(tmp_path)) < 12


def test_two_trainings_in_one_folder_are_refused(tmp_path: Path) -> None:
    job = make_job(tmp_path / "pretrain", PACKS)
    with (tmp_path / "pretrain.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Failure, match="another process trains in"):
            train(job)
    assert not job.folder.exists()
    assert train(job).ran, "a lock ends with the process that held it"


def test_every_step_says_what_it_cost(straight: Path) -> None:
    rows = read_metrics(straight / "metrics.jsonl")
    for step, row in enumerate(rows):
        packs = PACKS[4 * step : 4 * step + 4]
        padding = sum(int(pack["cu_seqlens"].diff()[-1]) for pack in packs if pack["document_ids"][-1] < 0)
        assert row["padding_share"] == pytest.approx(padding / (4 * SEQ_LEN), abs=1e-6)
        assert row["rank_imbalance"] == 1.0
        assert row["mfu"] is None, "nobody knows what a CPU could do"
        assert row["peak_memory_bytes"] > 1 << 20
        assert row["label_tokens_per_second"] < row["tokens_per_second"]
        assert 0 <= row["loader_wait_seconds"] < row["seconds"]


def test_the_gain_from_long_context_is_measured_along_the_way(tmp_path: Path) -> None:
    text = torch.arange(70) % VOCAB
    job = make_job(tmp_path, PACKS, metrics={"losses_every_steps": 5})
    object.__setattr__(job, "long_documents", lambda length, count: [text] * min(3, count) if length == 64 else [])
    train(job)
    rows = read_metrics(tmp_path / "losses.jsonl")
    assert [(row["from_step"], row["step"]) for row in rows] == [(0, 4), (5, 9), (10, 11)]
    assert all(row["long_gain"].keys() == {"near", "far", "far_cut", "gain", "gain_cut"} for row in rows)
    assert rows[-1]["long_gain"]["far"] < rows[0]["long_gain"]["far"]


def compiled_graphs(folder: Path, layers: int, recompute: bool) -> int:
    """Train three steps with compiled layers; how many programs were traced."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    job = make_job(folder, PACKS, steps=3, compile=True, activation_checkpointing=recompute)
    object.__setattr__(job, "config", small_config(num_hidden_layers=layers))
    train(job)
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.mark.parametrize("recompute", [False, True])
def test_compiled_layers_share_programs_and_compute_the_same(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recompute: bool
) -> None:
    """Traced, and run as it was traced: that needs no C++ compiler."""
    compile_layer = model.Layer.compile
    monkeypatch.setattr(model.Layer, "compile", lambda layer: compile_layer(layer, backend="eager"))
    graphs = [compiled_graphs(tmp_path / str(layers), layers, recompute) for layers in (2, 3)]
    assert graphs[0] == graphs[1] > 0, "as many for three layers as for two"
    assert losses(tmp_path / "2")[0] == pytest.approx(losses(straight)[0], rel=1e-6)


@pytest.mark.slow
def test_inductor_computes_the_same(straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("g++") is None:
        pytest.skip("needs a C++ compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch._dynamo.reset()
    train(make_job(tmp_path / "compiled", PACKS, compile=True))
    assert losses(tmp_path / "compiled") == pytest.approx(losses(straight), rel=1e-6)


def test_rows_of_lost_steps_and_half_lines_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0}\n{"step": 1}\n{"step": 2}\n{"ste')
    log = MetricsLog(path, first_step=2)
    log.write({"step": 2, "again": True})
    log.close()
    assert read_metrics(path) == [{"step": 0}, {"step": 1}, {"step": 2, "again": True}]
