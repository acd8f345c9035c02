"""What a plan holds, counted block by block while it is written, and the check that it holds what was drawn.

A planner that loses a token or cuts a document that would have fitted does it silently: nobody reads a hundred million
pieces. So every plan is counted against the index, and a stage publishes none that does not add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lc_data.packing.plan import PlanBlock


class PlanAuditError(RuntimeError):
    """A plan that is not what was asked for: a fault of the program, never of the data."""


@dataclass
class PlanAudit:
    """Counts of the blocks added so far."""

    seq_len: int
    length: np.ndarray
    """trainable tokens of each document, [n]"""
    stratum: np.ndarray
    """stratum of each document, [n]"""
    tokens_by_stratum: np.ndarray
    """int64 [n_strata]"""
    packs: int = 0
    pieces: int = 0
    documents_split: int = 0
    """Documents that are longer than a row and lie in the plan in several pieces; each repeat counts."""

    @classmethod
    def of(cls, seq_len: int, length: np.ndarray, stratum: np.ndarray, strata: int) -> PlanAudit:
        """Open the books of a plan over documents with these lengths and strata."""
        return cls(seq_len, length, stratum, np.zeros(strata, np.int64))

    def add(self, block: PlanBlock) -> None:
        """Count a block; raises :class:`PlanAuditError` for an overfull pack or a cut that was not needed."""
        per_pack = np.bincount(block.pack - block.first_pack, weights=block.length)
        if per_pack.max() > self.seq_len:
            pack = block.first_pack + int(per_pack.argmax())
            raise PlanAuditError(f"pack {pack} holds {int(per_pack.max())} tokens, seq_len is {self.seq_len}")
        length = self.length[block.document].astype(np.int64)
        cut = (length <= self.seq_len) & ((block.start != 0) | (block.length != length))
        if cut.any():
            raise PlanAuditError(f"document {int(block.document[cut.argmax()])} fits one row and was cut")
        if (block.start + block.length > length).any():
            raise PlanAuditError("a piece ends behind the end of its document")
        tokens = np.bincount(self.stratum[block.document], weights=block.length, minlength=len(self.tokens_by_stratum))
        self.tokens_by_stratum += tokens.astype(np.int64)
        self.packs += block.packs
        self.pieces += block.pieces
        self.documents_split += int((block.part == 1).sum())

    def check(self, planned: np.ndarray) -> None:
        """Raise :class:`PlanAuditError` unless each stratum has its ``planned`` tokens, int64 [n_strata]."""
        off = np.flatnonzero(self.tokens_by_stratum != planned)
        if len(off):
            have, want = int(self.tokens_by_stratum[off[0]]), int(planned[off[0]])
            raise PlanAuditError(f"stratum {int(off[0])}: the plan holds {have} tokens, {want} were drawn")

    @property
    def tokens(self) -> int:
        """Tokens in the plan, repeats included."""
        return int(self.tokens_by_stratum.sum())

    @property
    def padding_tokens(self) -> int:
        """Places of the plan's rows that hold no token."""
        return self.packs * self.seq_len - self.tokens

    @property
    def fill(self) -> float:
        """Share of the rows' places that hold a token; an empty plan has none to fill."""
        return self.tokens / (self.packs * self.seq_len) if self.packs else 1.0
