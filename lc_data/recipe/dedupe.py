"""What counts as the same document twice, and which copy stays."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section


class NearDuplicates(Section):
    """Documents whose sets of word n-grams overlap: MinHash proposes, exact Jaccard decides.

    Two thresholds stand before the exact one only to save work. With 16 bands of 8 rows, a pair of true Jaccard 0.8
    becomes a candidate with probability 0.95 and one of 0.85 with 0.994.
    """

    threshold: float = Field(default=0.8, gt=0, le=1)
    """The least Jaccard similarity of the two sets of n-grams. 0.8 on 5-grams is about 2.5% of the words changed."""
    ngram_words: int = Field(default=5, ge=1, le=32)
    bands: int = Field(default=16, ge=1, le=64)
    rows: int = Field(default=8, ge=1, le=32)
    """The signature has ``bands * rows`` permutations."""
    signature_slack: float = Field(default=0.12, ge=0, le=1)
    """Candidates whose signatures agree in less than ``threshold - signature_slack`` are not read again. At 128
    permutations 0.12 is 3.4 standard errors: 3 in 10,000 true pairs are lost."""
    all_pairs_up_to: int = Field(default=64, ge=2)
    """In a bucket of more documents than this, each is compared with the 8 longest and with its 8 longer neighbours."""


class DedupeSection(Section):
    """How duplicates are removed. The longest document of each group stays; ties go to the smallest id.

    A document is removed only for a verified pair of itself and a longer document that stays: similarity is never
    carried on from one pair to the next.
    """

    exact: bool = True
    """Remove documents that are equal after white space is normalised."""
    near: NearDuplicates | None = NearDuplicates()
    """Null: exact duplicates only."""
    scope: Literal["corpus", "domain"] = "corpus"
    """Compare documents across domains, or only within each. Dialogues are always compared within their domain."""
    exact_only_domains: tuple[str, ...] = ()
    """Domains of which only exact duplicates are removed. Dialogue domains are among them always."""
    max_loss: float = Field(default=0.5, gt=0, le=1)
    """The stage stops, with examples, when a source loses more than this share of its documents."""
    max_loss_by_domain: dict[str, float] = Field(default={})
    """Other shares for single domains, where many copies are expected (licence texts, say)."""
    min_documents_for_alarm: int = Field(default=20, ge=1)
    """Sources with fewer documents are not watched: one of two copies is half of them."""

    @model_validator(mode="after")
    def _shares_are_shares(self) -> DedupeSection:
        for domain, share in self.max_loss_by_domain.items():
            if not 0 < share <= 1:
                raise ValueError(f"max_loss_by_domain.{domain} is {share}; it is a share, above 0 and at most 1")
        return self
