"""What a run trains on, and what of the corpus each purpose may draw from.

Pretraining and SFT differ in their domains, in their mixture, and in that a dialogue is never cut: half an answer
teaches to stop in the middle. Held-out documents are truncated instead of split, so that the first packs of their plan
are as many different documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.mixing.strata import stratum_ids, trainable_length
from lc_data.mixing.stream import DocumentStream, stratum_streams
from lc_data.recipe.mixture import MixtureSection
from lc_data.recipe.packing import PackSection
from lc_data.recipe.recipe import Recipe

HELD_OUT = "held_out"


@dataclass(frozen=True)
class Purpose:
    """One training purpose of a recipe."""

    name: str
    recipe_key: str
    """Where its mixture stands in the recipe."""
    mixture: MixtureSection
    packing: PackSection
    domains: tuple[str, ...]
    """Sorted: those that the corpus has for it, and those that the recipe's sources declare and nothing came of."""


def purposes_of(recipe: Recipe, corpus: TokenizedCorpus) -> list[Purpose]:
    """Return the purposes that have domains, pretraining first."""
    whole = recipe.pack.model_copy(update={"overlong": "drop"})
    found = [
        Purpose("pretrain", "mixture", recipe.mixture, recipe.pack, _domains("pretrain", recipe, corpus)),
        Purpose("sft", "sft_mixture", recipe.sft_mixture, whole, _domains("sft", recipe, corpus)),
    ]
    return [purpose for purpose in found if purpose.domains]


def _domains(purpose: str, recipe: Recipe, corpus: TokenizedCorpus) -> tuple[str, ...]:
    present = {domain for domain in corpus.domains if corpus.purposes[domain] == purpose}
    return tuple(sorted(present | (set(recipe.domains(purpose)) - set(corpus.domains))))


@dataclass(frozen=True)
class Supply:
    """The corpus as one purpose sees it; arrays run over all documents, [n]."""

    corpus: TokenizedCorpus
    domains: tuple[str, ...]
    """The purpose's domains: what its mixture weighs."""
    stratum: np.ndarray
    """int32: place among the purpose's domains * n_buckets + bucket; negative for documents of other purposes"""
    trainable: np.ndarray
    """uint32: tokens that can be trained on"""
    packing: PackSection

    @property
    def n_buckets(self) -> int:
        """Length buckets."""
        return len(self.corpus.edges_tokens) + 1

    @property
    def n_strata(self) -> int:
        """Domains times buckets."""
        return len(self.domains) * self.n_buckets

    @property
    def mine(self) -> np.ndarray:
        """Which documents are the purpose's: bool [n]."""
        return self.stratum >= 0

    def streams(self, held_out: np.ndarray) -> dict[int, DocumentStream]:
        """Return the stream of each stratum that has tokens, without the documents marked in ``held_out``, bool [n]."""
        return stratum_streams(self.stratum, self.trainable, held_out | ~self.mine, self.packing.seq_len)

    def place(self, stratum: int) -> tuple[str, int]:
        """Return the domain and the bucket of a stratum."""
        return self.domains[stratum // self.n_buckets], stratum % self.n_buckets


def supply_of(corpus: TokenizedCorpus, domains: tuple[str, ...], packing: PackSection) -> Supply:
    """Return what the corpus has in the domains of a purpose."""
    rows = np.array([domains.index(domain) if domain in domains else -1 for domain in corpus.domains], np.int32)
    row = rows[corpus.domain]
    stratum = np.where(row < 0, np.int32(-1), stratum_ids(row, corpus.bucket, len(corpus.edges_tokens) + 1))
    return Supply(corpus, domains, stratum, trainable_length(corpus.length, packing), packing)
