"""Causal attention inside the segments of a pack.

Boundaries come from ``cu_seqlens``, which the stream takes from recorded lengths; nothing is inferred from positions
or special tokens. On CUDA in half precision PyTorch's variable-length flash kernel runs all segments at once.
Everywhere else each segment is one causal call of scaled dot-product attention: on two cores, forward and backward,
that is 1.5 to 3.5 times as fast as a dense mask over the pack (4K and 8K tokens), and its memory is the longest
segment's, not the pack's.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def attend(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_seqlen: int) -> Tensor:
    """Attention of every token to itself and the tokens before it in its segment.

    Args:
        q: queries [T, heads, head_dim].
        k: keys [T, kv_heads, head_dim]; kv_heads divides heads.
        v: values, as k.
        cu_seqlens: int32 [segments + 1], from 0 to T.
        max_seqlen: length of the longest segment.

    Returns:
        [T, heads, head_dim] in q's dtype.

    """
    kernel = _varlen_kernel() if q.is_cuda and q.dtype in (torch.bfloat16, torch.float16) else None
    if kernel is not None:
        return kernel(q, k, v, cu_seqlens, max_seqlen)
    return attend_by_segment(q, k, v, cu_seqlens)


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


@functools.cache
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
