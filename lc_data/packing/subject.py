"""What a plan is about: lengths, strata and exclusions of the documents that it names by number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Subject:
    """The documents that a plan is made of: arrays over all documents of the corpus, [n]."""

    length: np.ndarray
    """tokens of each that can be trained on"""
    stratum: np.ndarray
    """domain * buckets + bucket; negative for documents of other purposes"""
    excluded: np.ndarray
    """bool: those that must not be in the plan"""
    domains: int
    buckets: int

    @property
    def strata(self) -> int:
        """Domains times buckets."""
        return self.domains * self.buckets
