"""Evaluation by suites of tasks: what is asked of a model, and how its answers are scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from lc_data.recipe.section import Section


class NeedleSection(Section):
    """The grids of the suite needle: every length at every depth, several times."""

    lengths: tuple[Annotated[int, Field(ge=64)], ...] | None = None
    """Tokens of prompt and answer. Null means NeedleBench's 9,000 to 32,000 where ``max_seq_len`` allows them, and
    otherwise eight equal steps up to ``max_seq_len``."""
    depths: tuple[Annotated[float, Field(ge=0, le=100)], ...] = (0, 10, 21, 31, 42, 52, 63, 73, 84, 94, 100)
    """Where a needle stands, in percent of the text around it."""
    repeats: int = Field(default=10, ge=1)
    """Draws of needle and text for each cell."""
    kinds: tuple[Literal["single", "parallel", "reasoning", "ancestry"], ...] = Field(
        default=("single", "parallel", "reasoning", "ancestry"), min_length=1
    )
    """``single``: one needle. ``parallel``: one at every depth, all asked for. ``reasoning``: several that lead to one
    answer. ``ancestry``: a chain of relations and nothing else."""
    needles: tuple[Annotated[int, Field(ge=2, le=20)], ...] = (2, 3, 4, 5)
    """How many needles lead to an answer in ``reasoning``."""
    links: tuple[Annotated[int, Field(ge=1, le=512)], ...] = (2, 4, 8, 16, 32, 64, 128, 256, 512)
    """Lengths of the chains of ``ancestry``; those whose prompt does not fit are left out."""
    lead_in: bool = True
    """Whether the prompt of ``single`` ends with the beginning of the answer, which a base model can continue."""


class RulerSection(Section):
    """The generated tasks of the suite ruler."""

    lengths: tuple[Annotated[int, Field(ge=512)], ...] | None = None
    """Tokens of prompt and answer; null means 4,096 and its doubles up to ``max_seq_len``."""
    samples: int = Field(default=100, ge=1)
    """Items of each task at each length; the published scores have 500."""
    tasks: tuple[str, ...] | None = None
    """Some of its tasks; null means all."""


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
    needle: NeedleSection = NeedleSection()
    ruler: RulerSection = RulerSection()
    protocol: Literal["opencompass", "official"] | None = None
    """How LongBench and L-Eval are scored, and how LongBench's qasper is asked; null means LongBench by its own scorer
    and L-Eval by OpenCompass, as most published scores are."""
    code_similarity: Literal["difflib", "levenshtein"] | None = None
    """What compares lines of code: LongBench's own requirement, or OpenCompass's; null means the protocol's."""
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
