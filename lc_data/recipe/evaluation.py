"""Evaluation by suites of tasks: what is asked of a model, and how its answers are scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from lc_data.recipe.section import Section


class SuitesSection(Section):
    """Which suites a model is put to, and how."""

    names: tuple[str, ...] = Field(min_length=1)
    """Suites by name: longbench, leval, needle, ruler."""
    data: str | None = None
    """Folder of the official jsonl files of longbench and leval, and of the user's prompts for them."""
    haystacks: tuple[str, ...] = ()
    """Text and jsonl files, or folders of them, that needles are hidden in; none means the run's held-out documents."""
    max_seq_len: int | None = Field(default=None, ge=16)
    """Tokens of prompt and answer together; null means what ``config.json`` of the model says."""
    truncate: Literal["middle", "none"] = "middle"
    """What becomes of a longer prompt. ``middle``: its first and its last half stay. ``none``: it is an error."""
    rope: str = "none"
    """How rotary angles are scaled without training: none, dynamic:8, linear:8, yarn:8."""
    impl: Literal["own", "hf"] = "own"
    """``own``: the decoder of this package; ``hf``: what transformers makes of the folder."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of weights and activations; ``auto``: bfloat16 on CUDA, float32 elsewhere."""
    chat_format: str | None = None
    """A text with ``{prompt}`` in it, put around every prompt but those that a model is to continue."""
    bos: str | None = None
    """Token before every prompt; null means what the tokenizer adds, or what the run put before its documents."""
    eos: str | None = None
    """Token that ends an answer; null means what the checkpoint names, or what the run put after its documents."""
    limit: int | None = Field(default=None, ge=1)
    """Items of each task, at most: the first ones. Scores are then of a part."""
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    """Of generated tasks."""
    protocol: Literal["opencompass", "official"] = "opencompass"
    """How L-Eval is scored."""
    code_similarity: Literal["difflib", "levenshtein"] = "difflib"
    """What compares lines of code: LongBench's own requirement, or OpenCompass's."""
    missing_as_zero: bool = False
    """Whether a task without predictions counts as 0 in the averages."""

    @field_validator("chat_format")
    @classmethod
    def _holds_the_prompt(cls, value: str | None) -> str | None:
        if value is not None and "{prompt}" not in value:
            raise ValueError("must hold {prompt}, where the prompt goes")
        return value

    @model_validator(mode="after")
    def _names_are_unique(self) -> SuitesSection:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"names {list(self.names)} names a suite twice")
        return self
