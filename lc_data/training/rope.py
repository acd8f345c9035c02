"""Rotary position embedding (RoFormer, Su et al. 2021; rotate-half, as Hugging Face's Llama has it) and its scalings.

Angles are computed in float64 from integer positions and rounded once, to float32; the rotation is float32 as well.
Rotating in bfloat16 moves attention scores by up to 3% at positions beyond 100,000.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

import torch
from torch import Tensor

from lc_data.recipe.errors import RecipeError

RopeKind = Literal["default", "linear", "llama3", "yarn", "dynamic"]
_SETTINGS: dict[str, set[str]] = {
    "default": set(),
    "linear": {"factor"},
    "llama3": {"factor", "original_length", "low_freq_factor", "high_freq_factor"},
    "yarn": {"factor", "original_length", "beta_fast", "beta_slow", "attention_factor", "truncate"},
    "dynamic": {"factor", "original_length"},
}
"""The fields of :class:`Rope` that each kind reads, beside the base."""
_HF_NAMES = {"original_length": "original_max_position_embeddings"}


@dataclass(frozen=True)
class Rope:
    """Which angles a position has; names follow Hugging Face but for ``original_length``."""

    base: float = 10_000.0
    kind: RopeKind = "default"
    """``linear``: positions divided by the factor (Chen et al., arXiv 2306.15595). ``llama3``: long wavelengths divided
    by it, as Llama 3.1 has it. ``yarn``: NTK by parts and an attention factor (Peng et al., arXiv 2309.00071).
    ``dynamic``: a base that grows with the length of the text beyond ``original_length`` (dynamic NTK)."""
    factor: float = 1.0
    original_length: int = 0
    """Tokens that the model saw before it was extended."""
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None
    """Cosine and sine are multiplied by it; None means 0.1 ln(factor) + 1, as YaRN recommends."""
    truncate: bool = True
    """Whether the dimensions between which YaRN interpolates are whole numbers."""

    @property
    def magnitude(self) -> float:
        """What cosine and sine are multiplied by."""
        if self.kind != "yarn":
            return 1.0
        default = 0.1 * math.log(self.factor) + 1.0 if self.factor > 1 else 1.0
        return default if self.attention_factor is None else self.attention_factor

    def scaled(self, kind: RopeKind, factor: float, original_length: int) -> Rope:
        """The same base under a scaling with its published settings."""
        return Rope(self.base, kind, factor, original_length if "original_length" in _SETTINGS[kind] else 0)

    def to_hf(self) -> dict[str, Any]:
        """``rope_theta`` and ``rope_scaling`` of ``config.json``: the layout that every version of transformers reads.

        Dynamic scaling has no field for the original length: there it is the model's ``max_position_embeddings``.
        """
        if self.kind == "default":
            return {"rope_theta": self.base}
        names = _SETTINGS[self.kind] - ({"original_length"} if self.kind == "dynamic" else set())
        given = {_HF_NAMES.get(name, name): value for name, value in asdict(self).items() if name in names}
        scaling = {name: value for name, value in given.items() if value is not None}
        return {"rope_theta": self.base, "rope_scaling": {"rope_type": self.kind, **scaling}}


def rope_from_hf(content: Mapping[str, Any]) -> Rope:
    """Read ``rope_parameters`` (transformers 5), or ``rope_theta`` and ``rope_scaling``, of a ``config.json``.

    Raises :class:`RecipeError` for a kind or a setting that is not known here: each changes every angle.
    """
    given = dict(content.get("rope_scaling") or content.get("rope_parameters") or {})
    base = given.pop("rope_theta", None) or content.get("rope_theta") or 10_000.0
    kind = given.pop("rope_type", given.pop("type", "default"))
    given.pop("type", None)
    if kind not in _SETTINGS:
        raise RecipeError(f"config.json: rope type {kind!r} is not supported; known are {', '.join(_SETTINGS)}")
    values = {name: given.pop(_HF_NAMES.get(name, name), None) for name in sorted(_SETTINGS[kind])}
    if kind == "yarn":
        values["attention_factor"] = values["attention_factor"] or _mscale(values["factor"], given)
    if left := sorted(name for name, value in given.items() if value is not None):
        raise RecipeError(f"config.json: rope type {kind} with {', '.join(left)} is not supported")
    if "factor" in values and not (values["factor"] or 0) >= 1:
        raise RecipeError(f"config.json: rope type {kind} needs a factor >= 1, got {values['factor']}")
    rope = Rope(float(base), cast("RopeKind", kind), **{k: v for k, v in values.items() if v is not None})
    if "original_length" in values and not rope.original_length:
        return replace(rope, original_length=int(content.get("max_position_embeddings", 0)) or 2048)
    return rope


def _mscale(factor: float | None, given: dict[str, Any]) -> float | None:
    """The attention factor that ``mscale`` and ``mscale_all_dim`` describe, which are taken out of ``given``."""
    mscale, all_dim = given.pop("mscale", None), given.pop("mscale_all_dim", None)
    if not (mscale and all_dim and factor and factor > 1):
        return None
    return (0.1 * mscale * math.log(factor) + 1) / (0.1 * all_dim * math.log(factor) + 1)


def frequencies(rope: Rope, head_dim: int, device: torch.device | None = None) -> Tensor:
    """Angle per position of each pair of dimensions, float64 [head_dim / 2]; for ``dynamic`` that of short texts."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float64, device=device) / head_dim
    plain = rope.base**-exponents
    if rope.kind == "linear":
        return plain / rope.factor
    if rope.kind == "llama3":
        turns = rope.original_length * plain / (2 * math.pi)
        kept = ((turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor)).clamp(0, 1)
    elif rope.kind == "yarn":
        kept = 1 - _yarn_ramp(rope, head_dim).to(plain.device)
    else:
        return plain
    return plain * kept + plain / rope.factor * (1 - kept)


def _yarn_ramp(rope: Rope, head_dim: int) -> Tensor:
    """From 0, where dimensions turn often and stay, to 1, where they turn rarely and are interpolated."""

    def dimension(turns: float) -> float:
        return head_dim * math.log(rope.original_length / (turns * 2 * math.pi)) / (2 * math.log(rope.base))

    low, high = dimension(rope.beta_fast), dimension(rope.beta_slow)
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    width = high - low or 0.001
    return ((torch.arange(head_dim // 2, dtype=torch.float64) - low) / width).clamp(0, 1)


def rotation(position_ids: Tensor, head_dim: int, rope: Rope, cu_seqlens: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles of each position.

    Args:
        position_ids: int64 [T].
        head_dim: width of a head, even.
        rope: the angles.
        cu_seqlens: int [segments + 1]; ``dynamic`` takes a segment's length from its last position, so that texts of
            one row do not change each other (transformers takes the longest of the batch).

    Returns:
        Two float32 tensors [T, 1, head_dim / 2], which broadcast over heads.

    """
    turns = frequencies(rope, head_dim, position_ids.device)
    if rope.kind == "dynamic":
        reach = position_ids[cu_seqlens[1:].long() - 1].double() + 1
        grown = rope.factor * (reach / rope.original_length).clamp(min=1) - (rope.factor - 1)
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float64, device=position_ids.device) / (head_dim - 2)
        turns = (turns * grown[:, None] ** -exponents).repeat_interleave(
            cu_seqlens.diff(), dim=0, output_size=len(position_ids)
        )
    angles = (position_ids.to(torch.float64)[:, None] * turns)[:, None]
    return (angles.cos() * rope.magnitude).float(), (angles.sin() * rope.magnitude).float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate heads ``x`` [T, heads, head_dim] by the angles of :func:`rotation`, in float32 or wider; dtype is kept."""
    left, right = x.to(torch.promote_types(x.dtype, torch.float32)).chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1).to(x.dtype)
