"""Which model is trained: a checkpoint to continue, or the shape of a new one, and how far its positions reach."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section


class ModelShape(Section):
    """A Llama-family decoder to be trained from random weights. The vocabulary size comes from the corpus."""

    hidden_size: int = Field(gt=0)
    """Width of the residual stream."""
    layers: int = Field(gt=0)
    heads: int = Field(gt=0)
    """Query heads."""
    kv_heads: int | None = Field(default=None, gt=0)
    """Key and value heads; null means as many as query heads."""
    head_dim: int | None = Field(default=None, gt=0, multiple_of=2)
    """Width of a head; null means ``hidden_size / heads``."""
    intermediate_size: int = Field(gt=0)
    """Width inside the gated feed-forward."""
    tie_embeddings: bool = False
    """Whether the output head is the input embedding."""
    norm_eps: float = Field(default=1e-6, gt=0)
    init_std: float = Field(default=0.02, gt=0)
    """Standard deviation of the random matrices."""

    @model_validator(mode="after")
    def _heads_divide(self) -> ModelShape:
        if self.heads % (self.kv_heads or self.heads):
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.head_dim is None and self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be a multiple of twice heads ({self.heads}), or give head_dim"
            )
        return self


class RopeScaling(Section):
    """A change of the rotary angles that lets a model reach further, with its published settings."""

    kind: Literal["linear", "llama3", "yarn"]
    """``linear``: positions divided by the factor. ``llama3``: only long wavelengths are, as in Llama 3.1. ``yarn``:
    wavelengths by parts, and attention sharpened (arXiv 2309.00071). Dynamic NTK is for evaluation only: there
    ``lc-data evaluate --rope dynamic:8``."""
    factor: float = Field(ge=1)
    """By how much the model's length grows."""
    original_length: int | None = Field(default=None, gt=0)
    """Tokens that the model saw before; null takes what its ``config.json`` says."""


class ModelSection(Section):
    """Either the ``path`` of a checkpoint to continue, or the ``shape`` of a new model."""

    path: str | None = None
    """Folder in Hugging Face format: ``config.json`` and safetensors."""
    shape: ModelShape | None = None
    impl: Literal["own", "hf"] = "own"
    """``own``: the decoder of this package, for Llama, Qwen2, Qwen3 and Index. ``hf``: whatever transformers can load
    from ``path``, with our attention inside; models that do not keep to document boundaries are refused. It rotates in
    the precision of the activations and holds all logits at once where its head is more than a matrix."""
    rope_base: float | None = Field(default=None, gt=1)
    """Base of the rotary angles; null keeps the checkpoint's, and is 10,000 for a new model."""
    rope_scaling: RopeScaling | None = None
    """Scaling of the rotary angles; null keeps the checkpoint's, and a new model has none."""

    @model_validator(mode="after")
    def _one_origin(self) -> ModelSection:
        if (self.path is None) == (self.shape is None):
            raise ValueError("model needs exactly one of `path` (a checkpoint to continue) and `shape` (a new model)")
        if self.impl == "hf" and self.path is None:
            raise ValueError("impl: hf needs `path`; new models are trained with impl: own")
        return self
