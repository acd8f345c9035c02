"""What the plans really hold, counted piece by piece, and what a token in them can see.

The mixture that balance decided on is one thing, the rows that a training reads are another: the report shows the
second beside the first. Blocks are read one at a time, so memory is a few bytes per document of the corpus.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.reports.collect.lengths import STEP_EDGES_TOKENS, bin_edges, bins_of
from lc_data.reports.collect.promises import read_promises
from lc_data.reports.content import PlanContent, PlanDomain


def measure_plan(
    purpose: str, folder: StageFolder, facts: dict[str, Any], asked: dict[str, Any], corpus: TokenizedCorpus
) -> PlanContent:
    """Count a plan piece by piece.

    ``folder`` is that of the stage pack, ``facts`` what its manifest says about this plan, ``asked`` what balance says
    about its purpose (empty where it says nothing), ``corpus`` the documents that the plan refers to.
    """
    counts = PlanCounts(corpus)
    for block in facts["blocks"]:
        counts.add(read_table(folder.file(block["file"])))
    per_pack = np.concatenate(counts.pieces_per_pack) if counts.pieces_per_pack else np.zeros(1, np.int64)
    domains = [counts.domain(code, asked.get("domains", {}).get(name, {})) for code, name in enumerate(corpus.domains)]
    shortened = counts.tokens_of_document % np.maximum(corpus.length, 1) != 0
    return PlanContent(
        purpose=purpose,
        plan_hash=facts["plan_hash"],
        seq_len=facts["seq_len"],
        packs=facts["packs"],
        pieces=counts.pieces,
        tokens=int(counts.document_tokens.sum()),
        documents_cut=counts.documents_cut,
        documents_shortened=int(shortened.sum()),
        pieces_per_pack=[int(per_pack.min()), int(np.median(per_pack)), int(per_pack.max())],
        domains=[domain for domain in domains if domain.tokens or domain.planned_tokens],
        promises=read_promises(facts, asked, corpus),
    )


class PlanCounts:
    """Counts over the blocks of one plan."""

    def __init__(self, corpus: TokenizedCorpus) -> None:
        self._corpus = corpus
        self._edges = bin_edges(int(corpus.length.max(initial=0)))
        self._bin = bins_of(corpus.length, self._edges).astype(np.uint8)
        shape = (len(corpus.domains), len(self._edges))
        self.document_tokens = np.zeros(shape, np.int64)
        self.context_tokens = np.zeros(shape, np.int64)
        self.context_sum = np.zeros(shape[0], np.int64)
        self.tokens_of_document = np.zeros(corpus.document_count, np.int64)
        self.begins_of_document = np.zeros(corpus.document_count, np.int32)
        self.pieces = 0
        self.documents_cut = 0
        self.pieces_per_pack: list[npt.NDArray[np.int64]] = []

    def add(self, block: pa.Table) -> None:
        """Count the pieces of a block."""
        pack, document, length, part = (block[name].to_numpy() for name in ("pack", "document", "length", "part"))
        domain = self._corpus.domain[document].astype(np.int64)
        domains, bins = self.document_tokens.shape
        cells = domain * bins + self._bin[document]
        self.document_tokens += _sums(cells, length, domains * bins).reshape(domains, bins)
        for number, low in enumerate(self._edges):
            high = self._edges[number + 1] if number + 1 < bins else np.iinfo(np.int64).max
            # A piece of n tokens has one token at each of the positions 0 to n - 1.
            self.context_tokens[:, number] += _sums(domain, np.clip(length, low, high) - low, domains)
        wide = length.astype(np.int64)
        self.context_sum += _sums(domain, wide * (wide - 1) // 2, domains)
        np.add.at(self.tokens_of_document, document, wide)
        np.add.at(self.begins_of_document, document[part == 0], 1)
        self.pieces += len(pack)
        self.documents_cut += int((part == 1).sum())
        self.pieces_per_pack.append(np.bincount(pack - pack[0]))

    def domain(self, code: int, asked: dict[str, Any]) -> PlanDomain:
        """What was counted of one domain, beside what balance asked for."""
        own = self._corpus.domain == code
        drawn = np.flatnonzero(own & (self.tokens_of_document > 0))
        steps = bins_of(self._corpus.length[drawn], np.array(STEP_EDGES_TOKENS))
        return PlanDomain(
            domain=self._corpus.domains[code],
            available_tokens=asked.get("available_tokens"),
            wanted_share=asked.get("wanted_share"),
            planned_tokens=asked.get("planned_tokens"),
            tokens=int(self.document_tokens[code].sum()),
            documents=len(drawn),
            most_repeats=int(self.begins_of_document[own].max(initial=0)),
            document_tokens=self.document_tokens[code].tolist(),
            step_documents=np.bincount(steps, minlength=len(STEP_EDGES_TOKENS)).tolist(),
            step_tokens=_sums(steps, self.tokens_of_document[drawn], len(STEP_EDGES_TOKENS)).tolist(),
            context_tokens=self.context_tokens[code].tolist(),
            context_sum=int(self.context_sum[code]),
        )


def _sums(cell: npt.NDArray[np.int64], values: npt.NDArray[np.integer], cells: int) -> npt.NDArray[np.int64]:
    """Sum values by cell. Exact below 2^53 for each call, which one block of a plan never reaches."""
    return np.bincount(cell, weights=values, minlength=cells).astype(np.int64)
