"""What a run trains on, and what of the corpus each purpose may draw from.

Pretraining and SFT differ in their domains, in their mixture, and in that a dialogue is never cut, neither where it is
over-long nor by a packing method that cuts: half an answer teaches to stop in the middle. Held-out documents are
truncated instead of split, so that the first packs of their plan are as many different documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.mixing.continued import Stream, continue_stream
from lc_data.mixing.selection import mark_eligible, rank_by
from lc_data.mixing.strata import stratum_ids, trainable_length
from lc_data.mixing.stream import DocumentStream, Pieces, stratum_streams
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
    update = {"overlong": "drop", "method": _uncut(recipe.pack), "curriculum": "natural", "keep": None}
    whole = recipe.pack.model_copy(update=update)
    found = [
        Purpose("pretrain", "mixture", recipe.mixture, recipe.pack, _domains("pretrain", recipe, corpus)),
        Purpose("sft", "sft_mixture", recipe.sft_mixture, whole, _domains("sft", recipe, corpus)),
    ]
    return [purpose for purpose in found if purpose.domains]


def held_out_packing(packing: PackSection) -> PackSection:
    """Return how the held-out documents of a purpose are packed: every row is a batch of its own, nothing is moved.

    Each is measured as it is alone, whatever the rows that are trained on let pass.
    """
    update: dict[str, object] = {"overlong": "truncate", "method": "best_fit", "curriculum": "natural"}
    update |= {"global_batch_packs": 1, "mask": "document", "positions": "reset", "keep": None}
    return packing.model_copy(update=update)


def _uncut(packing: PackSection) -> str:
    return "one_per_row" if packing.method == "one_per_row" else "best_fit"


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
    eligible: np.ndarray
    """bool: what the mixture's ``where`` allows"""
    rank: np.ndarray | None
    """float32: the mixture's ``prefer``, lowest first; None where nothing is preferred"""

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
        """Return the stream of each stratum that has tokens: its eligible documents, preferred ones first.

        Documents marked in ``held_out``, bool [n], are left out.
        """
        excluded = held_out | ~self.mine | ~self.eligible
        return stratum_streams(self.stratum, self.trainable, excluded, self.packing.row_tokens, self.rank)

    def streams_behind(self, held_out: np.ndarray, kept: Pieces) -> dict[int, Stream]:
        """Return :meth:`streams`, each going on behind the pieces that packs of an earlier plan have drawn of it."""
        streams: dict[int, Stream] = dict(self.streams(held_out))
        stratum = self.stratum[kept.document]
        for number in np.unique(stratum).tolist():
            stream = streams.get(number)
            if isinstance(stream, DocumentStream):
                streams[number] = continue_stream(stream, kept.select(stratum == number))
        return streams

    def tokens_of(self, pieces: Pieces) -> np.ndarray:
        """Return the tokens of pieces by stratum, int64 [n_domains, n_buckets]."""
        tokens = np.bincount(self.stratum[pieces.document], weights=pieces.length, minlength=self.n_strata)
        return tokens.astype(np.int64).reshape(len(self.domains), self.n_buckets)

    def losses(self, rest: np.ndarray) -> list[tuple[str, np.ndarray, int]]:
        """Return why tokens of the documents marked in ``rest``, bool [n], cannot be trained on.

        Each reason comes with the documents that it befalls, bool [n], and 1 where it takes the whole of them, 0 where
        it takes a part. What they lose is length - trainable.
        """
        length, trainable, overlong = self.corpus.length, self.trainable, self.corpus.length > self.packing.row_tokens
        nothing, part = rest & (trainable == 0), rest & (trainable > 0) & (trainable < length)
        truncated = part & overlong & (self.packing.overlong == "truncate")
        return [
            ("empty", nothing & (length == 0), 1),
            ("overlong", nothing & overlong, 1),
            ("truncated", truncated, 0),
            ("tail", nothing & (length > 0) & ~overlong, 1),
            ("tail", part & ~truncated, 0),
        ]

    def place(self, stratum: int) -> tuple[str, int]:
        """Return the domain and the bucket of a stratum."""
        return self.domains[stratum // self.n_buckets], stratum % self.n_buckets


def supply_of(
    corpus: TokenizedCorpus, domains: tuple[str, ...], packing: PackSection, mixture: MixtureSection
) -> Supply:
    """Return what the corpus has in the domains of a purpose, and what its mixture makes of that."""
    rows = np.array([domains.index(domain) if domain in domains else -1 for domain in corpus.domains], np.int32)
    row = rows[corpus.domain]
    stratum = np.where(row < 0, np.int32(-1), stratum_ids(row, corpus.bucket, len(corpus.edges_tokens) + 1))
    columns = {name: corpus.column(name) for name in mixture.columns}
    eligible = mark_eligible(columns, mixture.where, corpus.document_count)
    eligible[corpus.bucketed_count :] = False  # derived documents are drawn by name, never as a stream
    return Supply(
        corpus=corpus,
        domains=domains,
        stratum=stratum,
        trainable=trainable_length(corpus.length, packing),
        packing=packing,
        eligible=eligible,
        rank=rank_by(columns, mixture.prefer),
    )
