"""Context parallelism: several ranks share one pack, each with a part of its tokens, and in attention of its heads.

DeepSpeed-Ulysses (arXiv 2309.14509): before attention an all-to-all turns [tokens / n, heads] into [tokens, heads / n],
after it another turns it back. Each rank then sees whole segments, so boundaries and kernels are those of one rank, and
equal up to the order of sums; ring attention would need kernels that know documents. The price: n divides the heads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lc_data.recipe.errors import RecipeError
from lc_data.training.attention import attend
from lc_data.training.config import ModelConfig
from lc_data.training.hub_checkpoint import HubConfig
from lc_data.training.model import Attention
from lc_data.training.ranks import Ranks

Attend = Callable[..., Tensor]


def check_context(count: int, config: ModelConfig, seq_len: int, kind: str) -> None:
    """Raise :class:`RecipeError` when a pack cannot be shared by so many ranks."""
    if count > 1 and isinstance(config, HubConfig):
        raise RecipeError(f"{kind}.context_parallel is {count}, which a model of transformers (impl: hf) cannot do")
    for name, value in (
        ("key and value heads", config.num_key_value_heads),
        ("heads", config.num_attention_heads),
        ("tokens of pack.seq_len", seq_len),
    ):
        if value % count:
            raise RecipeError(f"{kind}.context_parallel is {count}, which does not divide the {value} {name}")


def share_attention(model: nn.Module, ranks: Ranks) -> None:
    """Make every attention of a model work on heads instead of tokens, among the ranks that share a pack."""
    group, _ = dist.new_subgroups(group_size=ranks.context)
    attention = over_heads(attend, group, ranks.context)  # one for all layers: compiled, they share one program
    for module in model.modules():
        if isinstance(module, Attention):
            module.attend = attention


def over_heads(attention: Attend, group: dist.ProcessGroup, count: int) -> Attend:
    """An attention over this rank's part of the tokens, q [T / count, heads, width], in terms of one over them all."""

    @torch.compiler.disable
    def shared(q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> Tensor:
        q, k, v = (_TokensToHeads.apply(x, group, count) for x in (q, k, v))
        return _HeadsToTokens.apply(attention(q, k, v, *rest), group, count)

    return shared


class _TokensToHeads(torch.autograd.Function):
    """[T / n, heads, width] to [T, heads / n, width]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup, count: int) -> Tensor:
        ctx.group, ctx.count = group, count
        return _to_heads(x, group, count)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _to_tokens(gradient, ctx.group, ctx.count), None, None


class _HeadsToTokens(torch.autograd.Function):
    """[T, heads / n, width] to [T / n, heads, width]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup, count: int) -> Tensor:
        ctx.group, ctx.count = group, count
        return _to_tokens(x, group, count)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _to_heads(gradient, ctx.group, ctx.count), None, None


def _to_heads(x: Tensor, group: dist.ProcessGroup, count: int) -> Tensor:
    tokens, heads, width = x.shape
    parts = x.view(tokens, count, heads // count, width).transpose(0, 1).contiguous()
    return _exchange(parts, group).view(count * tokens, heads // count, width)


def _to_tokens(x: Tensor, group: dist.ProcessGroup, count: int) -> Tensor:
    tokens, heads, width = x.shape
    parts = _exchange(x.contiguous(), group).view(count, tokens // count, heads, width)
    return parts.transpose(0, 1).reshape(tokens // count, count * heads, width)


def _exchange(parts: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Part i of the first axis goes to rank i of the group, whose part stands at i in the result."""
    received = torch.empty_like(parts)
    dist.all_to_all_single(received, parts, group=group)
    return received
