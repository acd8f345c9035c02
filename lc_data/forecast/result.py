"""What ``lc-data plan`` says, as JSON."""

from __future__ import annotations

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


class PurposePlan(BaseModel):
    """What one purpose (``pretrain`` or ``sft``) would be trained on."""

    model_config = ConfigDict(frozen=True)

    purpose: str
    seq_len: int
    packs: int
    planned_tokens: int
    fill: float
    batches: int
    """Whole global batches."""
    long_share_before: float
    """Share of tokens in documents of at least ``mixture.lengths.threshold_tokens``, as the corpus has it."""
    long_share_after: float
    domains: list[DomainPlan]
    cells: list[Cell]


class Cost(BaseModel):
    """What running it takes. Bytes and hours; null where nothing is known."""

    model_config = ConfigDict(frozen=True)

    plan_disk_bytes: int
    """What balance and pack would write."""
    free_disk_bytes: int | None
    """Where the run lies; null for an object store."""
    training_tokens: int
    tokens_per_second: float | None
    """As given, or as the run's last pretraining measured."""
    training_hours: float | None


class Forecast(BaseModel):
    """The whole answer."""

    model_config = ConfigDict(frozen=True)

    recipe: str
    origin: str
    """``index``: exact, from the run's own tokenised corpus."""
    documents: int
    tokens: int
    thinned_by: int
    """Rows were planned over every so-many-th document, and counted up: 1 up to a million documents."""
    purposes: list[PurposePlan]
    cost: Cost
