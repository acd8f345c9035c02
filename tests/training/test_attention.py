from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lc_data.training.attention import attend


def dense_oracle(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    """Attention with the whole mask written out: same segment, and not later."""
    tokens, heads, width = q.shape
    segment = torch.repeat_interleave(torch.arange(len(cu_seqlens) - 1), cu_seqlens.diff().long())
    mask = (segment[:, None] == segment[None]) & torch.ones(tokens, tokens, dtype=torch.bool).tril()
    k, v = (x.repeat_interleave(heads // x.shape[1], dim=1) for x in (k, v))
    scores = torch.einsum("ihd,jhd->hij", q, k) / width**0.5
    return torch.einsum("hij,jhd->ihd", scores.masked_fill(~mask, float("-inf")).softmax(-1), v)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("lengths", [[17], [1, 5, 1, 10], [9, 8]])
def test_matches_a_dense_mask_forward_and_backward(kv_heads: int, lengths: list[int]) -> None:
    torch.manual_seed(0)
    q = torch.randn(17, 4, 8, dtype=torch.float64, requires_grad=True)
    k, v = (torch.randn(17, kv_heads, 8, dtype=torch.float64, requires_grad=True) for _ in range(2))
    cu_seqlens = torch.tensor([0, *lengths]).cumsum(0).int()
    weight = torch.randn(17, 4, 8, dtype=torch.float64)

    ours = attend(q, k, v, cu_seqlens, max(lengths))
    theirs = dense_oracle(q, k, v, cu_seqlens)
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(
        torch.autograd.grad((ours * weight).sum(), (q, k, v)),
        torch.autograd.grad((theirs * weight).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


@pytest.mark.gpu
def test_the_varlen_kernel_matches_the_loop_over_segments() -> None:
    from lc_data.training.attention import attend_by_segment

    torch.manual_seed(0)
    q = torch.randn(96, 4, 64, device="cuda", dtype=torch.bfloat16)
    k, v = (torch.randn(96, 2, 64, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    cu_seqlens = torch.tensor([0, 1, 40, 96], device="cuda", dtype=torch.int32)
    torch.testing.assert_close(
        attend(q, k, v, cu_seqlens, 56), attend_by_segment(q, k, v, cu_seqlens), atol=2e-2, rtol=2e-2
    )
