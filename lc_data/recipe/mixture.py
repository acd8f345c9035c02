"""What a model should see of each domain and of each length, and how often at most.

Shares are of tokens, never of documents or characters: 1% of the documents of a long corpus may hold half its tokens.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section

Share = Annotated[float, Field(gt=0, lt=1)]


class LengthMix(Section):
    """How much of each domain's tokens is to come from long documents, the domain's own share kept."""

    mode: Literal["none", "per_source"] = "none"
    """none: lengths as they are. per_source: in every domain by itself the long share becomes ``long_share``."""
    threshold_tokens: int = Field(default=4096, gt=0)
    """A document of at least so many tokens is long. Must be one of the bucket edges."""
    long_share: Share | dict[str, Share] | None = None
    """The wanted share of each domain's tokens in long documents: one number, or a table of domain: share, where a
    domain that is not named stays as it is."""

    @model_validator(mode="after")
    def _share_and_mode_agree(self) -> LengthMix:
        if self.mode == "per_source" and not self.long_share:
            raise ValueError("mode per_source needs long_share: for example 0.7, or a table of domain: share")
        if self.mode == "none" and self.long_share is not None:
            raise ValueError("long_share has no effect with mode none: write mode: per_source, or leave long_share out")
        return self

    def long_share_of(self, domain: str) -> float | None:
        """Return the wanted long share of one domain; None leaves its lengths as they are."""
        if isinstance(self.long_share, dict):
            return self.long_share.get(domain)
        return self.long_share


class HeldOut(Section):
    """Documents that training never sees, taken evenly from every domain and length bucket."""

    share: float = Field(default=0.01, ge=0, le=0.5)
    """Share of the documents of each domain x bucket stratum."""
    min_documents_per_stratum: int = Field(default=10, ge=2)
    """Strata with fewer documents give none: one held-out book of two would halve what is trained on."""


class MixtureSection(Section):
    """The sampling plan of one purpose: its budget, its domains' shares, its lengths, its repeats."""

    budget_tokens: int | None = Field(default=None, gt=0)
    """Tokens to train on; null takes as many as the weights allow before anything is seen twice."""
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = None
    """Share of each domain in tokens, in any unit (30 and 70, or 0.3 and 0.7). Every domain that has documents is
    named; 0 leaves one out. Null takes domains as they are."""
    lengths: LengthMix = LengthMix()
    max_epochs: float = Field(default=4, gt=0, allow_inf_nan=False)
    """No document is seen more often than this. A mixture that would need more is refused, with the numbers."""
    held_out: HeldOut = HeldOut()

    @model_validator(mode="after")
    def _some_weight(self) -> MixtureSection:
        if self.weights is not None and sum(self.weights.values()) <= 0:
            raise ValueError("weights sum to 0: give at least one domain a positive weight, or leave weights out")
        return self
