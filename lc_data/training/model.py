"""A Llama-family decoder over one flat pack: no batch axis, no padding mask.

Parameters carry Hugging Face's names (``model.layers.0.self_attn.q_proj.weight``), so checkpoints need no mapping
table. It is our own because boundaries then are an argument: general implementations infer them from positions and
silently stop doing so with an all-ones mask or the default cache, after which the loss still falls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, silu
from torch.utils.checkpoint import checkpoint

from lc_data.training.attention import attend
from lc_data.training.cache import KeyValueCache
from lc_data.training.config import ModelConfig
from lc_data.training.loss import token_nll
from lc_data.training.rope import rotate, rotation


class Boundaries(NamedTuple):
    """What attention keeps to, the same in every layer of a forward pass."""

    cu_seqlens: Tensor
    """int32 [segments + 1], from 0 to T."""
    max_seqlen: int
    anchored: bool = False
    cache: KeyValueCache | None = None


class Norm(nn.Module):
    """RMSNorm over the last axis, computed in float32 or wider."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x [..., size]; its dtype is kept."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention inside segments."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.index = index
        self.attend = attend  # of one rank; context parallelism puts another in its place
        size, width, bias = config.hidden_size, config.head_dim, config.attention_bias
        self.head_dim = width
        self.q_proj = nn.Linear(size, config.num_attention_heads * width, bias=bias)
        self.k_proj = nn.Linear(size, config.num_key_value_heads * width, bias=bias)
        self.v_proj = nn.Linear(size, config.num_key_value_heads * width, bias=bias)
        self.o_proj = nn.Linear(config.num_attention_heads * width, size, bias=config.output_bias)
        if config.head_norms:
            self.q_norm = Norm(width, config.rms_norm_eps)
            self.k_norm = Norm(width, config.rms_norm_eps)
        self.head_norms = config.head_norms

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], within: Boundaries) -> Tensor:
        """Mix the tokens of x [T, hidden_size] inside each segment."""
        q, k, v = (layer(x).unflatten(-1, (-1, self.head_dim)) for layer in (self.q_proj, self.k_proj, self.v_proj))
        if self.head_norms:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = rotate(q, *angles), rotate(k, *angles)
        if within.cache is not None:
            mixed = within.cache.attend(self.index, (q, k, v), within.cu_seqlens, within.max_seqlen)
        else:
            mixed = self.attend(q, k, v, within.cu_seqlens, within.max_seqlen, within.anchored)
        return self.o_proj(mixed.flatten(-2))


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token of x [T, hidden_size]."""
        return self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One decoder layer; it may compute itself again in the backward pass."""

    def __init__(self, config: ModelConfig, index: int, recompute: bool) -> None:
        super().__init__()
        self.self_attn = Attention(config, index)
        self.mlp = FeedForward(config)
        self.input_layernorm = Norm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = Norm(config.hidden_size, config.rms_norm_eps)
        self.recompute = recompute
        self.transform: Callable[..., Tensor] = self._transform

    def compile(self, *arguments: Any, **options: Any) -> None:
        """Compile what the layer computes, with ``torch.compile``'s arguments.

        Not ``forward``: where attention cannot be traced, which is wherever it goes segment by segment, a traced
        ``checkpoint`` around it is given up as a whole, and nothing at all would be compiled.
        """
        self.transform = torch.compile(self._transform, *arguments, **options)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], within: Boundaries) -> Tensor:
        """Residual attention, then residual feed-forward, over x [T, hidden_size]."""
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(self.transform, x, angles, within, use_reentrant=False)
        return self.transform(x, angles, within)

    def _transform(self, x: Tensor, angles: tuple[Tensor, Tensor], within: Boundaries) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), angles, within)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Embedding, layers and final norm."""

    def __init__(self, config: ModelConfig, recompute: bool) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config, i, recompute) for i in range(config.num_hidden_layers))
        self.norm = Norm(config.hidden_size, config.rms_norm_eps)

    def forward(self, input_ids: Tensor, position_ids: Tensor, within: Boundaries) -> Tensor:
        """Hidden states [T, hidden_size] of a pack."""
        angles = rotation(position_ids, self.config.head_dim, self.config.rope, within.cu_seqlens)
        x = self.embed_tokens(input_ids)
        for layer in self.layers:
            x = layer(x, angles, within)
        return self.norm(x)


class CausalLM(nn.Module):
    """A decoder with its output head, or with the embedding in its place where the two are tied."""

    def __init__(self, config: ModelConfig, recompute: bool = False) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config, recompute)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    @property
    def blocks(self) -> list[nn.Module]:
        """The layers, each to be sharded and compiled by itself."""
        return list(self.model.layers)

    def materialize(self, device: torch.device) -> CausalLM:
        """Give a model that was made on the device ``meta`` storage, values unset."""
        return self.to_empty(device=device)

    def head(self) -> Tensor:
        """What hidden states are multiplied by, [vocab_size, hidden_size]."""
        if self.config.tie_word_embeddings:
            return self.model.embed_tokens.weight
        weight = self.lm_head.weight
        return normalized_head(weight) if self.config.norm_head else weight

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        cu_seqlens: Tensor,
        max_seqlen: int,
        targets: Tensor | None = None,
        anchored: bool = False,
    ) -> Tensor:
        """Negative log-likelihood of each target (float32 [T], nats), or the logits [T, vocab_size] without targets.

        Args:
            input_ids: int64 [T], the tokens of one pack.
            position_ids: int64 [T], restarting at each document.
            cu_seqlens: int32 [segments + 1], from 0 to T.
            max_seqlen: length of the longest segment.
            targets: int64 [T], already shifted (see :func:`lc_data.training.loss.next_token_targets`).
            anchored: whether the first token is a segment that all others see too: the rows of a plan of mask anchor.

        """
        hidden = self.model(input_ids, position_ids, Boundaries(cu_seqlens, max_seqlen, anchored))
        return hidden @ self.head().T if targets is None else token_nll(hidden, self.head(), targets)

    def next_logits(
        self, input_ids: Tensor, position_ids: Tensor, cu_seqlens: Tensor, max_seqlen: int, cache: KeyValueCache
    ) -> Tensor:
        """Logits after the last token of each segment, float32 [segments, vocab_size]; the cache remembers the pass."""
        hidden = self.model(input_ids, position_ids, Boundaries(cu_seqlens, max_seqlen, cache=cache))
        cache.advance()
        return (hidden[cu_seqlens[1:].long() - 1] @ self.head().T).float()


def normalized_head(weight: Tensor) -> Tensor:
    """Norm-Head: each row [hidden_size] divided by its length, in float32 or wider; dtype is kept."""
    return normalize(weight.to(torch.promote_types(weight.dtype, torch.float32)), dim=-1).to(weight.dtype)
