from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from lc_data.training.loss import IGNORED, next_token_targets, token_nll


@pytest.mark.parametrize("kept_bytes", [0, 20 * 33 * 4, 1 << 20], ids=["none kept", "some kept", "all kept"])
@pytest.mark.parametrize("chunk_tokens", [1, 7, 50, 64])
def test_chunks_give_the_loss_and_gradients_of_the_whole_matrix(chunk_tokens: int, kept_bytes: int) -> None:
    torch.manual_seed(0)
    hidden = torch.randn(50, 16, requires_grad=True)
    head = torch.randn(33, 16, requires_grad=True)
    targets = torch.randint(33, (50,))
    targets[::3] = IGNORED
    weight = torch.rand(50)
    plain = cross_entropy(hidden @ head.T, targets, reduction="none")
    chunked = token_nll(hidden, head, targets, chunk_tokens, kept_bytes)
    assert (chunked[::3] == 0).all()
    torch.testing.assert_close(chunked, plain)
    for mine, other in zip(
        torch.autograd.grad((chunked * weight).sum(), (hidden, head)),
        torch.autograd.grad((plain * weight).sum(), (hidden, head)),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("kept_bytes", "kept"), [(0, 0), (3 * 10 * 33 * 4, 3), (3 * 10 * 33 * 4 - 1, 2), (1 << 20, 5)])
def test_no_more_logits_wait_for_the_backward_pass_than_may(kept_bytes: int, kept: int) -> None:
    """What autograd holds is looked at: nothing else of the loss is as large as a chunk of logits."""
    hidden, head = torch.randn(50, 16, requires_grad=True), torch.randn(33, 16, requires_grad=True)
    held: set[int] = set()

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape == (10, 33):
            held.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        losses = token_nll(hidden, head, torch.randint(33, (50,)), 10, kept_bytes)
    assert len(held) == kept
    losses.sum().backward()


def test_half_precision_losses_are_float32_sums() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(64, 32).bfloat16(), torch.randn(500, 32).mul(0.05).bfloat16()
    targets = torch.randint(500, (64,))
    exact = cross_entropy(hidden.float() @ head.float().T, targets, reduction="none")
    ours = token_nll(hidden, head, targets)
    assert ours.dtype == torch.float32
    assert (ours - exact).abs().max() < 5e-3


def test_position_i_predicts_label_i_plus_one_and_the_last_predicts_nothing() -> None:
    assert next_token_targets(torch.tensor([IGNORED, 5, 6, IGNORED, 8])).tolist() == [5, 6, IGNORED, 8, IGNORED]
