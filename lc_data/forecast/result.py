"""What ``lc-data plan`` says, as JSON: schemas/forecast.schema.json is this.

Where ``exact`` is true, the two ends of every interval are the same.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Cell(BaseModel):
    """One domain x length bucket of one purpose; tokens."""

    model_config = ConfigDict(frozen=True)

    domain: str
    from_tokens: int
    """Least length of the bucket."""
    to_tokens: int | None
    """First length of the next bucket; null for the last."""
    documents: int
    tokens: int
    tokens_low: int
    tokens_high: int
    """Bounds of ``tokens`` that hold for all cells at once, at ``sample.level``."""
    available_tokens: int
    """Without held-out documents and what cannot be trained on."""
    planned_tokens: int
    epochs: float
    """planned / available: above 1 documents are seen more than once."""


class DomainPlan(BaseModel):
    """One domain of one purpose; shares are of all tokens of the purpose."""

    model_config = ConfigDict(frozen=True)

    domain: str
    natural_share: float
    """What it is of the tokens that can be drawn."""
    planned_share: float
    planned_tokens: int
    epochs: float
    """Of its most repeated length bucket."""
    epochs_low: float
    epochs_high: float
    """The same, planned over a corpus with as many tokens as ``tokens_high``, and with as few as ``tokens_low``."""


class PurposePlan(BaseModel):
    """What one purpose (``pretrain`` or ``sft``) would be trained on."""

    model_config = ConfigDict(frozen=True)

    purpose: str
    seq_len: int
    packs: int
    packs_low: int
    packs_high: int
    """Rows, planned over a corpus with as few tokens as ``tokens_low``, and with as many as ``tokens_high``."""
    planned_tokens: int
    fill: float
    batches: int
    """Whole global batches."""
    long_share_before: float
    """Share of tokens in documents of at least ``mixture.lengths.threshold_tokens``, as the corpus has it."""
    long_share_after: float
    domains: list[DomainPlan]
    cells: list[Cell]


class StageCost(BaseModel):
    """What running one stage takes on this machine, counted up from what was run for the plan."""

    model_config = ConfigDict(frozen=True)

    stage: str
    hours: float
    memory_bytes: int
    """Of all workers together, at the most."""
    disk_bytes: int
    """What it leaves in the run."""
    working_disk_bytes: int
    """What lies in its folder at the most, work files included."""


class Cost(BaseModel):
    """What running it takes. Bytes and hours; null where nothing is known."""

    model_config = ConfigDict(frozen=True)

    stages: list[StageCost]
    """What is still to be run: all stages, or balance and pack where the run has its index."""
    workers: int
    """Cores that the hours are for."""
    hours: float
    """Of all stages, one after the other; training comes on top."""
    memory_bytes: int
    machine_memory_bytes: int
    disk_bytes: int
    """At the most, while the stages run one after the other."""
    free_disk_bytes: int | None
    """Where the run lies; null for an object store."""
    training_tokens: int
    tokens_per_second: float | None
    """As given, or as the run's last pretraining measured."""
    training_hours: float | None


class SampleFacts(BaseModel):
    """What an estimate rests on."""

    model_config = ConfigDict(frozen=True)

    read_bytes: int
    """Stored bytes of the sources that were read; dedupe ran over all of it."""
    total_bytes: int
    looked_at_documents: int
    """Documents that went through the filter and the tokenizer."""
    looked_at_bytes: int
    """Bytes of their text."""
    level: float
    """How likely the intervals hold, of all cells at once."""
    draws: int
    """Completed corpora that the intervals were read off."""


class Forecast(BaseModel):
    """The whole answer."""

    model_config = ConfigDict(frozen=True)

    recipe: str
    origin: Literal["index", "corpus", "sample"]
    """``index``: the run's own tokenised corpus; ``corpus``: all of a small corpus, run through in a scratch folder;
    ``sample``: an estimate."""
    exact: bool
    """Whether the run will have just these tokens; hours, memory and disk are estimates always."""
    documents: int
    tokens: int
    tokens_low: int
    tokens_high: int
    """Bounds of all tokens together."""
    thinned_by: int
    """Rows were planned over every so-many-th document, and counted up: 1 up to a million documents."""
    sample: SampleFacts | None
    """Null where the plan is exact."""
    warnings: list[str]
    """What may go wrong, and what the estimate cannot see."""
    purposes: list[PurposePlan]
    cost: Cost
