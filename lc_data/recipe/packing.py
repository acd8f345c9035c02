"""How documents become rows of one length."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section

Mask = Literal["document", "none", "anchor"]
Positions = Literal["reset", "continuous"]


class KeptPacks(Section):
    """The beginning of a plan that the run has, or has had: what a stream state says of where it stands."""

    plan_hash: str = Field(pattern=r"^[0-9a-f]{32}$")
    """As the stream states and the pack manifest give it."""
    packs: int = Field(ge=1)
    """How many packs stay: a multiple of ``global_batch_packs``. ``consumed`` of a state, or more of them."""


class PackSection(Section):
    """The shape of the packed corpus."""

    seq_len: int = Field(default=32768, ge=2, le=1 << 24)
    """Tokens in a row."""
    method: Literal["best_fit", "concat", "one_per_row", "pow2"] = "best_fit"
    """How documents are put into rows. ``best_fit``: whole documents side by side, the longest first, each into the
    fullest row that still has room (arXiv 2404.10830); nothing that fits a row is cut. ``concat``: one document after
    the other, cut where a row ends, as most pretraining did; no padding, and every row but few begins in the middle of
    a document. ``one_per_row``: each document, or each piece of an over-long one, alone; the rest of its row is
    padding. ``pow2``: every document cut into pieces of 2^k tokens, each row holding pieces of one size (Dataset
    Decomposition, arXiv 2405.13226): a row is then a batch of equally long sequences. What each costs in padding, in
    cut documents and in lost tokens stands in the plan's facts. Dialogues are never cut: for them ``concat`` and
    ``pow2`` mean ``best_fit``; held-out documents are always packed by ``best_fit``."""
    min_piece_tokens: int = Field(default=256, ge=1)
    """For ``pow2``: the least piece, a power of two. What is left of a document below it, less than so many tokens, is
    dropped and entered in the books as ``tail``; so are documents that are shorter. 256 as published."""
    curriculum: Literal["natural", "grow_linear", "grow_p2"] = "natural"
    """For ``pow2``: which piece lengths come when. ``natural``: all the time what the corpus has. ``grow_linear`` and
    ``grow_p2``: in every cycle rows are drawn with odds that fall from the shortest length to the longest, linearly
    (6, 5, 4, 3, 2, 1 for six lengths) or by halves (32, 16, 8, 4, 2, 1), until the cycle's share of every length is
    used up: short ones crowd its beginning, long ones its end. Lengths bring their domains with them, so the domain
    shares of a stretch drift; the facts of the plan say by how much."""
    cycles: int = Field(default=8, ge=1)
    """For a growing curriculum: how often it runs, in each mixture stage. Every cycle uses an equal part of every
    length, so a run that is stopped has seen all of them. 8 as published; one long warm-up from short to long, which
    cycles: 1 gives, is what failed for Index-1.9B. A cycle is planned as a whole, whatever ``block_packs`` says: about
    300 bytes of memory per piece of one cycle."""
    overlong: Literal["split", "truncate", "drop"] = "split"
    """A document longer than a row becomes full pieces and a tail (split), loses its rest (truncate), or is left out
    (drop). Dialogues are never split: those that do not fit are dropped."""
    block_packs: int = Field(default=4096, ge=1)
    """Rows that are planned together. More fill rows better and mix wider; fewer need less memory."""
    global_batch_packs: int = Field(default=64, ge=1)
    """Rows in one optimizer step over all ranks. Rows are ordered by attention work inside each such batch, so that
    ranks working side by side take equally long."""
    order: Literal["batch", "window", "spread"] = "batch"
    """``batch``: rows of one optimizer step are sorted by attention work, which changes no step's contents; domain
    shares hold over whole batches. ``window``: rows are sorted by work over 16 batches, and these batches shuffled:
    ranks wait for each other even less (worth it where a step is one row a rank), but every batch then holds rows of
    about one document length and its domains with it, which changes gradients: compare the loss. ``spread``: no
    sorting; domain shares hold over any stretch of rows, and ranks wait for the one with the longest documents."""
    mask: Mask = "document"
    """What a token attends to. ``document``: itself and what comes before it in its own document. ``none``: all that
    comes before it in its row, whatever document that is of, as plain concatenation trains (Fu et al., arXiv
    2402.10171); the first token of a document is then predicted from the one before it, only that of the row is not.
    The rows' ``cu_seqlens`` say it; where the documents lie, the additional ``piece_*`` arrays. ``anchor``: as
    ``document``, and all documents of a row see its first token, which belongs to none of them (AnchorAttention, arXiv
    2411.13476: in bfloat16 rotary positions are exact only relative to one another where the first key stays the same).
    That token takes one place of every row. Dialogues are packed likewise; held-out documents keep ``document``."""
    anchor_token: Annotated[int, Field(ge=0)] | str | None = None
    """For ``mask: anchor``: the id of the token, or the name of a special token of the tokenizer; null for its BOS."""
    positions: Positions = "reset"
    """What position a token has. ``reset``: that in its document, from 0, or in its piece of an over-long one; an
    anchor is position 0 of all of them, so they begin at 1. ``continuous``: that in its row, as AnchorAttention was
    published: the anchor keeps every document's first key the same, and rotations of the whole row are learned.
    Held-out documents keep ``reset``."""

    keep: KeptPacks | None = None
    """Go on from a plan that is trained on already: its first packs stay what they are, byte for byte, and what the
    mixture asks for is planned behind them, each domain and length going on where those packs stopped. So ``mixture``
    says what comes now, ``max_epochs`` counts what was kept, and training goes on from its checkpoint. Of the plan
    ``pretrain``, and for the methods best_fit and one_per_row. Documents that are excluded are taken out of kept packs
    too, and those packs then change."""

    @property
    def least_piece_tokens(self) -> int:
        """A document's tokens count in multiples of this: 1 unless it is cut into powers of two."""
        return self.min_piece_tokens if self.method == "pow2" else 1

    @property
    def row_tokens(self) -> int:
        """Places of a row for documents: all but that of the anchor."""
        return self.seq_len - 1 if self.mask == "anchor" else self.seq_len

    @model_validator(mode="after")
    def _anchors_are_asked_for(self) -> PackSection:
        if self.mask == "anchor" and self.method == "pow2":
            raise ValueError("mask anchor takes a place of every row, and powers of two need all: take method best_fit")
        if self.mask != "anchor" and self.anchor_token is not None:
            raise ValueError(f"anchor_token is for mask: anchor, and mask is {self.mask!r}: leave it out")
        return self

    @model_validator(mode="after")
    def _kept_packs_can_be_continued(self) -> PackSection:
        if self.keep is None:
            return self
        if self.method not in ("best_fit", "one_per_row"):
            raise ValueError(
                f"keep needs method best_fit or one_per_row: {self.method} cuts documents where rows end, so that it "
                "cannot be told where they go on"
            )
        over = self.keep.packs % self.global_batch_packs
        if over:
            low = self.keep.packs - over
            raise ValueError(
                f"keep.packs is {self.keep.packs}; steps stay whole with a multiple of global_batch_packs "
                f"({self.global_batch_packs}): {low + self.global_batch_packs}" + (f" or {low}" if low else "")
            )
        return self

    @model_validator(mode="after")
    def _blocks_hold_batches(self) -> PackSection:
        if self.block_packs < self.global_batch_packs:
            raise ValueError(
                f"block_packs ({self.block_packs}) must be at least global_batch_packs ({self.global_batch_packs}): "
                "a batch is ordered inside one block"
            )
        return self

    @model_validator(mode="after")
    def _rows_hold_whole_powers(self) -> PackSection:
        if self.method != "pow2":
            if self.curriculum != "natural":
                raise ValueError(f"curriculum {self.curriculum!r} orders rows by piece length: it needs method: pow2")
            return self
        for name in ("seq_len", "min_piece_tokens"):
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"method pow2 needs a power of two for {name}, got {value}")
        if self.min_piece_tokens > self.seq_len:
            raise ValueError(f"min_piece_tokens is {self.min_piece_tokens}; it cannot exceed seq_len, {self.seq_len}")
        return self
