"""What a plan holds, counted block by block while it is written, and the check that it holds what was drawn.

A planner that loses a token or cuts a document that would have fitted does it silently: nobody reads a hundred million
pieces. So every plan is counted against the index, and a stage publishes none that does not add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np

from lc_data.packing.plan import PlanBlock
from lc_data.packing.planner import PlannedBlock
from lc_data.packing.subject import Subject
from lc_data.packing.windows import WindowWatch
from lc_data.recipe.packing import PackSection

RANKS = 8
"""Ranks for which the balance of attention work is given: the devices of one usual node."""


class PlanAuditError(RuntimeError):
    """A plan that is not what was asked for: a fault of the program, never of the data."""


@dataclass
class StageCount:
    """What the packs of one mixture stage hold."""

    first_pack: int
    packs: int
    tokens: np.ndarray
    """int64 [n_strata]"""


@dataclass
class CycleCount:
    """What the packs of one block, or of one cycle of a curriculum, hold."""

    stage: int
    first_pack: int
    packs: int
    tokens: np.ndarray
    """int64 [domains]"""
    by_size: dict[int, np.ndarray]
    """By piece length, where rows have one: int64 [domains]."""


class PlanAudit:
    """Counts of the blocks added so far."""

    def __init__(self, subject: Subject, packing: PackSection, planned: np.ndarray) -> None:
        """Open the books of a plan; ``planned``, int64 [n_stages, n_strata], is what each mixture stage is to hold."""
        self._subject, self._packing = subject, packing
        self._shares = _domain_shares(planned, subject)
        self.ranks = gcd(RANKS, packing.global_batch_packs)
        self.stages = [StageCount(0, 0, np.zeros(subject.strata, np.int64)) for _ in planned]
        self.cycles: list[CycleCount] = []
        self.windows = WindowWatch(packing.seq_len, 1)
        self.batch_windows = WindowWatch(packing.seq_len, packing.global_batch_packs)
        self.packs = self.pieces = 0
        self.documents = np.zeros(subject.strata, np.int64)
        """Documents that begin in the plan, each repeat counted: int64 [n_strata]."""
        self.documents_split = 0
        """Documents that are longer than a row and lie in the plan in several pieces; each repeat counts."""
        self.documents_cut = 0
        """Documents that would fit a row and lie in the plan in several pieces; each repeat counts."""
        self._work = self._slowest = 0.0
        self._stage = self._cycle = -1

    def add(self, planned: PlannedBlock) -> None:
        """Count a block; raises :class:`PlanAuditError` for an overfull pack or a cut that was not asked for."""
        block, subject = planned.block, self._subject
        length = subject.length[block.document].astype(np.int64)
        self._check(block, length)
        stratum = subject.stratum[block.document]
        tokens = np.bincount(stratum, weights=block.length, minlength=subject.strata).astype(np.int64)
        self._open(planned)
        self.stages[planned.stage].tokens += tokens
        self.stages[planned.stage].packs += block.packs
        self.cycles[-1].packs += block.packs
        self.cycles[-1].tokens += tokens.reshape(subject.domains, -1).sum(axis=1)
        if self._packing.method == "pow2":
            self._count_sizes(block, stratum // subject.buckets)
        self.packs += block.packs
        self.pieces += block.pieces
        self.documents += np.bincount(stratum[block.start == 0], minlength=subject.strata)
        second = length[block.part == 1] > self._packing.row_tokens
        self.documents_split += int(second.sum())
        self.documents_cut += int((~second).sum())
        self._weigh(block, stratum // subject.buckets)

    def check(self, planned: np.ndarray) -> None:
        """Raise :class:`PlanAuditError` unless each stratum has its ``planned`` tokens, int64 [n_strata]."""
        held = self.tokens_by_stratum
        off = np.flatnonzero(held != planned)
        if len(off):
            have, want = int(held[off[0]]), int(planned[off[0]])
            raise PlanAuditError(f"stratum {int(off[0])}: the plan holds {have} tokens, {want} were drawn")

    @property
    def tokens_by_stratum(self) -> np.ndarray:
        """Tokens of each stratum in the plan, repeats included: int64 [n_strata]."""
        return sum((stage.tokens for stage in self.stages), np.zeros(self._subject.strata, np.int64))

    @property
    def tokens(self) -> int:
        """Tokens in the plan, repeats included."""
        return int(self.tokens_by_stratum.sum())

    @property
    def padding_tokens(self) -> int:
        """Places for documents in the plan's rows that hold none."""
        return self.packs * self._packing.row_tokens - self.tokens

    @property
    def fill(self) -> float:
        """Share of the rows' places for documents that hold a token; an empty plan has none to fill."""
        return self.tokens / (self.packs * self._packing.row_tokens) if self.packs else 1.0

    @property
    def attention_max_over_mean(self) -> float:
        """Attention work of the slowest of ``ranks`` rows side by side, against their mean; 1 for an empty plan."""
        return self._slowest * self.ranks / self._work if self._work else 1.0

    def share_off(self, stage: int) -> float:
        """By how much the domain share of a stage that is farthest from what was planned is off."""
        held = _domain_shares(self.stages[stage].tokens[None], self._subject)[0]
        return float(np.abs(held - self._shares[stage]).max(initial=0.0)) if self.stages[stage].packs else 0.0

    def _check(self, block: PlanBlock, length: np.ndarray) -> None:
        packing, excluded = self._packing, self._subject.excluded[block.document]
        per_pack = np.bincount(block.pack - block.first_pack, weights=block.length)
        if per_pack.max() > packing.row_tokens:
            pack = block.first_pack + int(per_pack.argmax())
            raise PlanAuditError(f"pack {pack} holds {int(per_pack.max())} tokens, a row holds {packing.row_tokens}")
        if packing.method in ("best_fit", "one_per_row"):
            cut = (length <= packing.row_tokens) & ((block.start != 0) | (block.length != length))
            if cut.any():
                raise PlanAuditError(f"document {int(block.document[cut.argmax()])} fits one row and was cut")
        if (block.start + block.length > length).any():
            raise PlanAuditError("a piece ends behind the end of its document")
        if excluded.any():
            raise PlanAuditError(f"document {int(block.document[excluded.argmax()])} is excluded and in the plan")

    def _open(self, planned: PlannedBlock) -> None:
        if planned.stage != self._stage:
            self.stages[planned.stage].first_pack = planned.block.first_pack
            for watch in (self.windows, self.batch_windows):
                watch.begin(self._shares[planned.stage], planned.block.first_pack)
        if (planned.stage, planned.cycle) != (self._stage, self._cycle):
            tokens = np.zeros(self._subject.domains, np.int64)
            self.cycles.append(CycleCount(planned.stage, planned.block.first_pack, 0, tokens, {}))
        self._stage, self._cycle = planned.stage, planned.cycle

    def _count_sizes(self, block: PlanBlock, domain: np.ndarray) -> None:
        by_size = self.cycles[-1].by_size
        for size in np.unique(block.length).tolist():
            count = np.bincount(domain[block.length == size], minlength=self._subject.domains) * size
            by_size[size] = by_size.get(size, 0) + count

    def _weigh(self, block: PlanBlock, domain: np.ndarray) -> None:
        """Look at the packs of a block one by one: their domains, and their attention work."""
        pack, domains = block.pack - block.first_pack, self._subject.domains
        cells = np.bincount(pack * domains + domain, weights=block.length, minlength=block.packs * domains)
        for watch in (self.windows, self.batch_windows):
            watch.add(cells.reshape(-1, domains))
        work = np.bincount(pack, weights=block.length.astype(np.float64) ** 2)
        whole = work[: len(work) // self.ranks * self.ranks].reshape(-1, self.ranks)
        self._slowest += float(whole.max(axis=1).sum())
        self._work += float(whole.sum())


def _domain_shares(tokens: np.ndarray, subject: Subject) -> np.ndarray:
    """Return the share of each domain in each row of tokens by stratum: float64 [n, domains], 0 for a row of zeros."""
    by_domain = tokens.reshape(len(tokens), subject.domains, -1).sum(axis=2).astype(np.float64)
    return by_domain / np.maximum(by_domain.sum(axis=1, keepdims=True), 1)
