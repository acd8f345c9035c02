"""How text becomes tokens, and how lengths are grouped."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section


class TrainTokenizer(Section):
    """Train a byte-level BPE on a sample of the corpus."""

    vocab_size: int = Field(default=8192, ge=512, le=1_000_000)
    sample_bytes: int = Field(default=16 << 20, ge=1 << 12)
    """Text that the training sees: documents picked by the hash of their id, at most so many bytes."""
    special_tokens: tuple[str, ...] = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    """They get the first ids. Markers that the template of a chat source uses belong here."""


class TokenizerSection(Section):
    """Either the ``path`` of a ``tokenizer.json``, or ``train`` one."""

    path: str | None = None
    """A file or URI; it is copied into the run, and its hash is part of the run's fingerprint."""
    train: TrainTokenizer | None = None
    bos: str | None = None
    """Token put before every document; null for none."""
    eos: str | None = "<|endoftext|>"
    """Token put after every document; null for none. It counts towards a document's length."""
    engine: Literal["auto", "tokenizers", "gigatoken"] = "auto"
    """What encodes: ``gigatoken``, 5 to 100 times as fast, or ``tokenizers``, the reference. ``auto`` takes gigatoken
    and goes back to the reference, part by part, wherever the two are seen to differ or gigatoken fails; the manifest
    says where. Demanding ``gigatoken`` makes that an error. The tokens are the same: no fingerprint holds it."""

    @model_validator(mode="after")
    def _one_origin(self) -> TokenizerSection:
        if (self.path is None) == (self.train is None):
            raise ValueError("tokenizer needs exactly one of `path` (a tokenizer.json) and `train`")
        return self

    @model_validator(mode="after")
    def _trained_tokens_are_named(self) -> TokenizerSection:
        for role, token in (("bos", self.bos), ("eos", self.eos)):
            if self.train is not None and token is not None and token not in self.train.special_tokens:
                raise ValueError(
                    f"{role} is {token!r}, which train.special_tokens lacks: add it there, or make it null"
                )
        return self


class BucketSection(Section):
    """Length buckets and shards of the tokenised corpus."""

    edges_tokens: tuple[int, ...] = tuple(1024 << power for power in range(8))
    """Ascending lengths at which a bucket begins; documents below the first are bucket 0. Default 1K, 2K, ... 128K."""
    shard_tokens: int = Field(default=32 << 20, gt=0, le=1 << 30)
    """Tokens in one shard, at most (unless one document is longer)."""
    columns: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Measures to keep beside the index, for ``mixture.where`` and ``mixture.prefer``: numbers in the documents'
    metadata, such as the filter's ``coherence`` and ``gzip_ratio``, or what ``fields.metadata`` of a source kept."""

    @model_validator(mode="after")
    def _columns_are_unique(self) -> BucketSection:
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if twice:
            raise ValueError(f"columns names {twice[0]!r} more than once")
        return self

    @model_validator(mode="after")
    def _ascending(self) -> BucketSection:
        if any(low >= high for low, high in zip(self.edges_tokens, self.edges_tokens[1:], strict=False)):
            raise ValueError(f"edges_tokens must ascend, got {list(self.edges_tokens)}")
        if not self.edges_tokens or self.edges_tokens[0] < 1 or len(self.edges_tokens) > 254:
            raise ValueError("edges_tokens needs 1 to 254 positive lengths")
        return self
