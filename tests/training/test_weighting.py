"""A sequence weighs 1, wherever packing put it: the loss of packed dialogues is that of each alone, averaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lc_data.training import batch
from lc_data.training.loop import train
from lc_data.training.loss import IGNORED
from lc_data.training.metrics import read_metrics
from lc_data.training.weighting import sequence_weights
from tests.training.dialogues import make_dialogues, pack_dialogues, sft_job, unpacked_mean

DIALOGUES = make_dialogues()


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=9), min_size=1, max_size=6))
def test_weights_are_the_inverse_of_each_sequences_targets(sequences: list[list[bool]]) -> None:
    flags = [flag and i > 0 for sequence in sequences for i, flag in enumerate(sequence)]
    labels = torch.tensor([7 if flag else IGNORED for flag in flags])
    borders = torch.tensor([0, *map(len, sequences)], dtype=torch.int32).cumsum(0).int()
    weights, count = sequence_weights(labels, borders)
    expected = [
        1 / sum(sequence[1:]) if flag and i else 0.0
        for sequence in sequences
        for i, flag in enumerate(sequence)
    ]  # fmt: skip
    assert weights.tolist() == pytest.approx([*expected[1:], 0.0], rel=1e-6)
    assert count == sum(any(sequence[1:]) for sequence in sequences)
    assert float(weights.double().sum()) == pytest.approx(count, rel=1e-6)


@pytest.mark.parametrize(("rows", "seq_len"), [(1, 512), (4, 64), (6, 64), (12, 32)])
def test_packed_dialogues_have_the_loss_and_gradient_of_each_alone(tmp_path: Path, rows: int, seq_len: int) -> None:
    """Rows are accumulation steps here; tests.training.rank_scenarios has the same on two ranks."""
    for seed in (0, 1):
        job = sft_job(tmp_path / str(seed), pack_dialogues(DIALOGUES, rows, seq_len, seed), "sequence_mean", seq_len)
        train(job)
        [row] = read_metrics(job.folder / "metrics.jsonl")
        assert (row["loss"], row["grad_norm"]) == pytest.approx(unpacked_mean(DIALOGUES, job), rel=1e-5)


def test_a_mean_over_tokens_is_another_loss(tmp_path: Path) -> None:
    packs = pack_dialogues(DIALOGUES, 4, 64, 0)
    job = sft_job(tmp_path, packs, "token_mean")
    train(job)
    [row] = read_metrics(tmp_path / "metrics.jsonl")
    assert row["label_tokens"] == sum(sum(flags) for _, flags in DIALOGUES)
    assert row["grad_norm"] != pytest.approx(unpacked_mean(DIALOGUES, job)[1], rel=1e-2)


def test_weights_of_packs_instead_of_sequences_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted fault: the mean of each pack's mean, which depends on the packing."""

    def per_pack(labels: torch.Tensor, borders: torch.Tensor) -> tuple[torch.Tensor, int]:
        return sequence_weights(labels, borders[[0, -1]])

    monkeypatch.setattr(batch, "sequence_weights", per_pack)
    job = sft_job(tmp_path, pack_dialogues(DIALOGUES, 4, 64, 0), "sequence_mean")
    train(job)
    [row] = read_metrics(tmp_path / "metrics.jsonl")
    assert row["grad_norm"] != pytest.approx(unpacked_mean(DIALOGUES, job)[1], rel=1e-3)
