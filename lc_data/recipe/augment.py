"""What is made of a part of the documents before they are packed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section


class Cutting(Section):
    """How documents are cut into chunks."""

    share: float = Field(gt=0, le=1)
    """Of the tokens that pretraining draws of each domain and length, in each stage of the mixture. Documents that
    cannot share a row with another one stay as they are, so long ones give less than this; the manifest says how
    much."""
    chunks: tuple[Annotated[int, Field(ge=1, le=1024)], Annotated[int, Field(ge=1, le=1024)]] = (2, 3)
    """Least and most chunks of a document, each number as likely; a document too short for them has fewer."""
    cut: Literal["random", "equal"] = "random"
    """Where documents are cut: anywhere, or into equal chunks."""
    min_chunk_tokens: int = Field(default=32, ge=1)
    """No chunk of a document that is cut is shorter."""

    @model_validator(mode="after")
    def _least_before_most(self) -> Cutting:
        low, high = self.chunks
        if low > high:
            raise ValueError(f"chunks gives the least number first, got {[low, high]}")
        return self


class KnotNames(Section):
    """Special tokens that knots are made of: added tokens of the tokenizer that its text never holds, all different."""

    head: str
    """Begins a knot before a chunk."""
    tail: str
    """Begins a knot behind a chunk."""
    trace: str
    """Asks for the ids of a document's chunks."""
    end: str
    """Ends a knot, and the ids."""

    @model_validator(mode="after")
    def _different(self) -> KnotNames:
        names = [self.head, self.tail, self.trace, self.end]
        if len(set(names)) < len(names):
            raise ValueError(f"knots need four different special tokens, got {names}")
        return self


class UntieKnots(Cutting):
    """Chunks of several documents, shuffled across documents and tied together by ids (arXiv 2409.04774).

    2 to 3 chunks were best as published, and a share of 0.8 better than 0.3.
    """

    name: Literal["untie_knots"]
    tokens: KnotNames
    id_digits: int = Field(default=4, ge=1, le=8)
    """Digits of a chunk's id, each a token of its own. No row has more than half as many chunks as there are ids."""

    @property
    def most_documents(self) -> int:
        """Documents in a row, at most."""
        return 10**self.id_digits // 2 // self.chunks[1]


class Interleave(Cutting):
    """The first chunks of several documents, then all their second ones, and so on (LongSkywork's CIP)."""

    name: Literal["interleave"]
    documents: int | None = Field(default=None, ge=2)
    """Documents in a row, at most; null for as many as it holds."""

    @property
    def most_documents(self) -> int:
        """Documents in a row, at most."""
        return self.documents or 1 << 40


Transform = Annotated[UntieKnots | Interleave, Field(discriminator="name")]


def check_transforms(transforms: tuple[UntieKnots | Interleave, ...], method: str, is_kept: bool) -> None:
    """Raise ValueError for transforms that cannot go together, or with how rows are packed."""
    if not transforms:
        return
    names = [each.name for each in transforms]
    if len(set(names)) < len(names):
        raise ValueError(f"augment names a transform twice: {names}; give it one share")
    total = sum(each.share for each in transforms)
    if total > 1 + 1e-9:
        raise ValueError(f"augment: the shares sum to {total:g}; they are shares of one whole, at most 1")
    if method not in ("best_fit", "one_per_row"):
        raise ValueError(
            f"augment needs pack.method best_fit or one_per_row: {method} cuts documents where rows end, and half of a "
            "transformed one teaches nothing"
        )
    if is_kept:
        raise ValueError("augment and pack.keep exclude each other: what is planned behind kept packs is drawn anew")
