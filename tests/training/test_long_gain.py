from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lc_data.training.long_gain import GainSpan, gain_figures, long_gain
from lc_data.training.loss import IGNORED

LENGTH = 128


def documents(count: int = 2) -> list[Tensor]:
    """Tokens are their own positions, so that a loss can be read off them."""
    return [torch.arange(LENGTH + 5) for _ in range(count)]


def loss_by_target(pack: dict[str, Any], targets: Tensor) -> tuple[Tensor, slice]:
    """Every token costs its position in its document."""
    return targets.clamp(min=0).double(), slice(None)


def loss_by_context(pack: dict[str, Any], targets: Tensor) -> tuple[Tensor, slice]:
    """Every token costs what its model does not see of 1,000."""
    seen = pack["position_ids"] + 1
    return (1000.0 - seen).where(targets != IGNORED, 0.0), slice(None)


def test_at_32k_the_spans_are_those_of_the_definition() -> None:
    span = GainSpan.of(131_072)
    assert span == GainSpan.of(40_000) == GainSpan(32_768)
    assert span is not None
    assert (span.near, span.far, span.cut) == ((1024, 2048), (16_384, 32_768), 4096)
    assert GainSpan.of(100) == GainSpan(64)
    assert GainSpan.of(63) is None


def test_near_far_and_windows_are_the_right_tokens() -> None:
    sums = long_gain(loss_by_target, documents(), GainSpan(LENGTH))
    near, far = list(range(4, 8)), list(range(64, 128))
    expected = [[2 * sum(near), 2 * len(near)], *[[2 * sum(far), 2 * len(far)]] * 2]
    assert sums.tolist() == expected, "the control has each far token exactly once"


def test_the_control_sees_half_a_window_to_a_whole_one() -> None:
    sums = long_gain(loss_by_context, documents(1), GainSpan(LENGTH))
    figures = gain_figures(sums)
    assert figures is not None
    assert figures["near"] == 1000 - 5.5
    assert figures["far"] == 1000 - 95.5
    assert figures["far_cut"] == 1000 - 11.5, "8 to 15 tokens of a window of 16"
    assert figures["gain"] == 90
    assert figures["gain_cut"] == 6


def test_parts_of_ranks_add_up() -> None:
    def half(number: int) -> Tensor:
        part = slice(number * LENGTH // 2, (number + 1) * LENGTH // 2)

        def forward(pack: dict[str, Any], targets: Tensor) -> tuple[Tensor, slice]:
            return loss_by_target(pack, targets)[0][part], part

        return long_gain(forward, documents(), GainSpan(LENGTH))

    assert torch.equal(half(0) + half(1), long_gain(loss_by_target, documents(), GainSpan(LENGTH)))


def test_no_document_gives_no_figure() -> None:
    assert gain_figures(long_gain(loss_by_target, [], GainSpan(LENGTH))) is None


def test_windows_never_predict_their_first_token() -> None:
    pack, targets = GainSpan(LENGTH).windows(torch.arange(LENGTH))
    assert pack["cu_seqlens"].tolist() == list(range(0, LENGTH + 1, 16))
    counted = (targets != IGNORED).nonzero().flatten()
    assert torch.equal(targets[counted], pack["input_ids"][counted] + 1)
    assert pack["position_ids"][counted].tolist() == list(range(7, 15)) * 8


@pytest.mark.parametrize("length", [64, 4096])
def test_both_passes_are_one_row(length: int) -> None:
    span = GainSpan(length)
    for pack, targets in (span.whole(torch.arange(length)), span.windows(torch.arange(length))):
        assert len(pack["input_ids"]) == len(targets) == int(pack["cu_seqlens"][-1]) == length
