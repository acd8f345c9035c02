"""How documents become rows of one length."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section


class PackSection(Section):
    """The shape of the packed corpus."""

    seq_len: int = Field(default=32768, ge=2, le=1 << 24)
    """Tokens in a row."""
    overlong: Literal["split", "truncate", "drop"] = "split"
    """A document longer than a row becomes full pieces and a tail (split), loses its rest (truncate), or is left out
    (drop). Dialogues are never split: those that do not fit are dropped."""
    block_packs: int = Field(default=4096, ge=1)
    """Rows that are planned together. More fill rows better and mix wider; fewer need less memory."""
    global_batch_packs: int = Field(default=64, ge=1)
    """Rows in one optimizer step over all ranks. Rows are ordered by attention work inside each such batch, so that
    ranks working side by side take equally long."""
    mask: Literal["document"] = "document"
    """Attention stays inside a document."""
    positions: Literal["reset"] = "reset"
    """Positions restart at each document."""

    @model_validator(mode="after")
    def _blocks_hold_batches(self) -> PackSection:
        if self.block_packs < self.global_batch_packs:
            raise ValueError(
                f"block_packs ({self.block_packs}) must be at least global_batch_packs ({self.global_batch_packs}): "
                "a batch is ordered inside one block"
            )
        return self
