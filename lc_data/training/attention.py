"""Causal attention inside the segments of a pack.

Boundaries come from ``cu_seqlens``, which the stream takes from recorded lengths; nothing is inferred from positions
or special tokens. On CUDA in half precision PyTorch's variable-length flash kernel runs all segments at once.
Everywhere else each segment is one causal call of scaled dot-product attention: on two cores, forward and backward,
that is 1.5 to 3.5 times as fast as a dense mask over the pack (4K and 8K tokens), and its memory is the longest
segment's, not the pack's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def attend(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_seqlen: int, anchored: bool = False) -> Tensor:
    """Attention of every token to itself and the tokens before it in its segment.

    Args:
        q: queries [T, heads, head_dim].
        k: keys [T, kv_heads, head_dim]; kv_heads divides heads.
        v: values, as k.
        cu_seqlens: int32 [segments + 1], from 0 to T.
        max_seqlen: length of the longest segment.
        anchored: whether all segments also see the row's first token, which is a segment of its own (AnchorAttention,
            arXiv 2411.13476).

    Returns:
        [T, heads, head_dim] in q's dtype.

    """
    if anchored:
        return _attend_anchored(q, k, v, cu_seqlens, max_seqlen)
    if _VARLEN is not None and q.is_cuda and q.dtype in (torch.bfloat16, torch.float16):
        return _VARLEN(q, k, v, cu_seqlens, max_seqlen)
    return attend_by_segment(q, k, v, cu_seqlens)


def _attend_anchored(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_seqlen: int) -> Tensor:
    """Ordinary attention over segments that each begin with a copy of the anchor; the copies' outputs are dropped.

    As exact as attention itself, on every device, for one more row per segment.
    """
    tokens, copies = len(q), len(cu_seqlens) - 2  # the first segment is the anchor
    token = torch.arange(tokens, device=q.device)
    moved = token + torch.searchsorted(cu_seqlens[1:].long(), token, right=True)
    source = token.new_zeros(tokens + copies).index_copy(0, moved, token)
    # Copies move what follows them: the first segment stays as it is, the second begins with one.
    shift = torch.arange(-1, copies + 1, device=q.device, dtype=cu_seqlens.dtype).clamp(min=0)
    return attend(q[source], k[source], v[source], cu_seqlens + shift, max_seqlen + 1)[moved]


@torch.compiler.disable
def attend_by_segment(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    """:func:`attend` with one call of ``scaled_dot_product_attention`` per segment, on any device and dtype."""
    lengths = cu_seqlens.diff().tolist()
    q, k, v = (x.transpose(0, 1) for x in (q, k, v))
    grouped = q.shape[0] != k.shape[0]
    segments = zip(*(x.split(lengths, dim=1) for x in (q, k, v)), strict=True)
    outputs = [
        scaled_dot_product_attention(a[None], b[None], c[None], is_causal=True, enable_gqa=grouped)[0]
        for a, b, c in segments
    ]
    return torch.cat(outputs, dim=1).transpose(0, 1)


def _varlen_kernel() -> Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor] | None:
    """PyTorch's variable-length kernel behind one signature, or None where this PyTorch has none.

    The public function changed between releases: ``is_causal=True`` became ``window_size=(-1, 0)``, and grouped heads
    have been accepted, under a flag, only since then; before that keys and values are repeated.
    """
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    parameters = inspect.signature(varlen_attn).parameters
    options: dict[str, Any] = {"window_size": (-1, 0)} if "window_size" in parameters else {"is_causal": True}
    takes_groups = "enable_gqa" in parameters

    def run(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_seqlen: int) -> Tensor:
        groups = q.shape[1] // k.shape[1]
        more: dict[str, Any] = {"enable_gqa": groups > 1} if takes_groups else {}
        if not takes_groups and groups > 1:
            k, v = (x.repeat_interleave(groups, dim=1) for x in (k, v))
        output = varlen_attn(q, k, v, cu_seqlens, cu_seqlens, max_seqlen, max_seqlen, **options, **more)
        assert isinstance(output, Tensor)  # a tuple only where auxiliary results are asked for
        return output

    return run


_VARLEN = _varlen_kernel()
