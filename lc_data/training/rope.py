"""Rotary position embedding (RoFormer, Su et al. 2021; the rotate-half layout of Hugging Face's Llama).

Angles are computed in float64 from integer positions and rounded once, to float32; the rotation is float32 as well.
Rotating in bfloat16 moves attention scores by up to 3% at positions beyond 100,000.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rotation(position_ids: Tensor, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles of each position.

    Args:
        position_ids: int64 [T].
        head_dim: width of a head, even.
        base: base of the angles; frequency i is ``base ** (-2 i / head_dim)``.

    Returns:
        Two float32 tensors [T, 1, head_dim / 2], which broadcast over heads.

    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float64, device=position_ids.device) / head_dim
    angles = position_ids.to(torch.float64)[:, None, None] * base**-exponents
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate heads ``x`` [T, heads, head_dim] by the angles of :func:`rotation`, in float32; dtype is kept."""
    left, right = x.float().chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1).to(x.dtype)
