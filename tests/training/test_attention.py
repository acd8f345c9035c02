from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lc_data.training.attention import attend


def dense_oracle(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, anchored: bool = False) -> Tensor:
    """Attention with the whole mask written out: same segment, or the anchor, and not later."""
    tokens, heads, width = q.shape
    segment = torch.repeat_interleave(torch.arange(len(cu_seqlens) - 1), cu_seqlens.diff().long())
    mask = (segment[:, None] == segment[None]) & torch.ones(tokens, tokens, dtype=torch.bool).tril()
    if anchored:
        mask[:, 0] = True
    k, v = (x.repeat_interleave(heads // x.shape[1], dim=1) for x in (k, v))
    scores = torch.einsum("ihd,jhd->hij", q, k) / width**0.5
    return torch.einsum("hij,jhd->ihd", scores.masked_fill(~mask, float("-inf")).softmax(-1), v)


def heads(tokens: int, kv_heads: int, seed: int = 0) -> list[Tensor]:
    torch.manual_seed(seed)
    return [torch.randn(tokens, count, 8, dtype=torch.float64, requires_grad=True) for count in (4, kv_heads, kv_heads)]


def compare(kv_heads: int, lengths: list[int], anchored: bool) -> None:
    """Outputs and gradients against the dense mask, in float64."""
    q, k, v = heads(sum(lengths), kv_heads)
    cu_seqlens = torch.tensor([0, *lengths]).cumsum(0).int()
    weight = torch.randn(q.shape, dtype=torch.float64)
    ours = attend(q, k, v, cu_seqlens, max(lengths), anchored)
    theirs = dense_oracle(q, k, v, cu_seqlens, anchored)
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(
        torch.autograd.grad((ours * weight).sum(), (q, k, v)),
        torch.autograd.grad((theirs * weight).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("lengths", [[17], [1, 5, 1, 10], [9, 8]])
def test_matches_a_dense_mask_forward_and_backward(kv_heads: int, lengths: list[int]) -> None:
    compare(kv_heads, lengths, anchored=False)


@given(
    kv_heads=st.sampled_from([4, 2, 1]),
    lengths=st.lists(st.integers(1, 9), max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_an_anchor_is_seen_by_every_segment_and_its_gradient_gathers_them_all(
    kv_heads: int, lengths: list[int]
) -> None:
    compare(kv_heads, [1, *lengths], anchored=True)


def test_an_anchored_segment_sees_its_anchor_and_no_other_segment() -> None:
    q, k, v = heads(12, 2)
    cu_seqlens = torch.tensor([0, 1, 6, 12], dtype=torch.int32)

    def output(changed: int) -> Tensor:
        moved = torch.zeros(12, 1, 1, dtype=torch.float64).index_fill(0, torch.tensor([changed]), 1.0)
        return attend(q, k + moved, v + moved, cu_seqlens, 6, anchored=True)

    with torch.no_grad():
        plain = attend(q, k, v, cu_seqlens, 6, anchored=True)
        assert all(not torch.equal(output(0)[i], plain[i]) for i in range(12))
        assert torch.equal(output(3)[6:], plain[6:])
        assert torch.equal(output(8)[:6], plain[:6])


@pytest.mark.gpu
@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("kv_heads", [4, 2])
def test_the_varlen_kernel_matches_the_loop_over_segments(anchored: bool, kv_heads: int) -> None:
    torch.manual_seed(0)
    shapes = [(96, count, 64) for count in (4, kv_heads, kv_heads)]
    half = [torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True) for shape in shapes]
    wide = [x.detach().double().requires_grad_() for x in half]
    cu_seqlens = torch.tensor([0, 1, 40, 96], device="cuda", dtype=torch.int32)
    weight = torch.randn(96, 4, 64, device="cuda")
    ours, exact = (attend(*qkv, cu_seqlens, 56, anchored) for qkv in (half, wide))
    torch.testing.assert_close(ours.double(), exact, atol=2e-2, rtol=2e-2)
    mine, right = (torch.autograd.grad((x * weight).sum(), y) for x, y in ((ours, half), (exact, wide)))
    for a, b in zip(mine, right, strict=True):
        torch.testing.assert_close(a.double(), b, atol=5e-2, rtol=5e-2)
