"""Verification of the plans: every piece lies in its document, every pack in its row, and the hash is that of both.

A plan may be replayed years after it was made, on a corpus that was copied more than once: what the planner checked
when it wrote the plan is checked here against what is there now.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lc_data.corpus.lineage import read_lineage
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.corpus.shard import read_table
from lc_data.corpus.tokenized import TokenizedCorpus, TokenizedError
from lc_data.corpus.verify_files import Problem
from lc_data.packing.lineage import pack_hashes
from lc_data.packing.plan import EXCLUDED_FILE, PLAN_SCHEMA, PlanBlock, plan_hash

MANIFEST = "manifest.json"


def verify_plans(run: RunFolder) -> Iterator[Problem]:
    """Check every plan of a packed run, that training plans hold no held-out document and none an excluded one."""
    try:
        corpus = TokenizedCorpus.open(run)
    except TokenizedError:
        return  # a finding about bucket
    folder = run.stage("pack")
    manifest = folder.manifest()
    entries = {entry.file: entry for entry in manifest.extra}
    in_plan: dict[str, npt.NDArray[np.bool_]] = {}
    for purpose, facts in sorted(manifest.facts["plans"].items()):
        check = _PlanCheck(folder, purpose, facts, entries, corpus)
        yield from check.run()
        in_plan[purpose] = check.in_plan
    excluded = np.zeros(corpus.document_count, bool)
    if EXCLUDED_FILE in entries:
        excluded[read_table(folder.file(EXCLUDED_FILE))["document"].to_numpy()] = True
    for purpose, there in in_plan.items():
        yield from _forbidden("excluded", purpose, there & excluded, corpus)
    held_out = in_plan.pop("held_out", np.zeros(corpus.document_count, bool))
    for purpose, there in in_plan.items():
        yield from _forbidden("held-out", purpose, there & held_out, corpus)


def _forbidden(what: str, purpose: str, both: npt.NDArray[np.bool_], corpus: TokenizedCorpus) -> Iterator[Problem]:
    """Documents of a plan that must not be in it."""
    documents = np.flatnonzero(both)
    if len(documents):
        first = corpus.document_id(int(documents[0]))
        yield MANIFEST, f"plan {purpose}: holds {len(documents)} {what} documents, {first!r} is the first"


class _PlanCheck:
    """Reads one plan block by block; memory is one block and one byte per document."""

    def __init__(
        self,
        folder: StageFolder,
        purpose: str,
        facts: dict[str, Any],
        entries: dict[str, FileEntry],
        corpus: TokenizedCorpus,
    ) -> None:
        self._folder, self._purpose, self._facts = folder, purpose, facts
        self._entries, self._corpus = entries, corpus
        self._problems: list[Problem] = []
        self._packs = 0
        self._hashes: list[npt.NDArray[np.uint64]] = []
        self._row_tokens = facts["seq_len"]
        self.in_plan = np.zeros(corpus.document_count, bool)
        """Which documents the plan holds, bool [documents]."""

    def run(self) -> list[Problem]:
        anchor_id = self._facts.get("anchor_id")
        if (anchor_id is not None) != (self._facts.get("mask") == "anchor"):
            self._find(MANIFEST, f"has mask {self._facts.get('mask')!r} and anchor token {anchor_id}")
        if anchor_id is not None and not 0 <= anchor_id < self._corpus.vocab_size:
            self._find(MANIFEST, f"anchor token {anchor_id} is outside the vocabulary of {self._corpus.vocab_size}")
        self._row_tokens = self._facts["seq_len"] - (anchor_id is not None)
        positions = self._facts.get("positions", "reset")
        digest = plan_hash(self._blocks(), self._facts["seq_len"], positions, anchor_id)
        if self._packs != self._facts["packs"]:
            self._find(MANIFEST, f"has {self._packs} packs, the manifest says {self._facts['packs']}")
        if not self._problems and digest != self._facts["plan_hash"]:
            self._find(MANIFEST, f"its pieces have the hash {digest}, the manifest says {self._facts['plan_hash']}")
        elif not self._problems:
            self._check_lineage(digest)
        return self._problems

    def _check_lineage(self, digest: str) -> None:
        """The hashes by which states of other plans are judged are those of the packs."""
        lineage = read_lineage(self._folder, self._purpose, digest)
        found = np.concatenate([np.empty(0, np.uint64), *self._hashes])
        if lineage is not None and not np.array_equal(lineage.pack_hash, found):
            self._find(MANIFEST, "the hashes of its packs, below lineage/, are not those of its packs")

    def _find(self, file: str, problem: str) -> None:
        self._problems.append((file, f"plan {self._purpose}: {problem}"))

    def _blocks(self) -> Iterator[PlanBlock]:
        """The blocks that can be read, each checked before it is passed on."""
        for said in self._facts["blocks"]:
            file = said["file"]
            entry = self._entries.get(file)
            if entry is None or entry.checksum != said["checksum"]:
                self._find(file, "is not one of the stage's files, or has another checksum there")
                continue
            table = read_table(self._folder.file(file))
            if table.schema.remove_metadata() != PLAN_SCHEMA:
                self._find(file, f"has other columns than a plan block:\n{table.schema}")
                continue
            block = PlanBlock.from_table(table)
            for problem in self._check(block, said):
                self._find(file, problem)
            self._hashes.append(pack_hashes(block))
            yield block

    def _check(self, block: PlanBlock, said: dict[str, Any]) -> Iterator[str]:
        # The first piece begins the pack after the last one of the block before.
        steps = np.diff(block.pack, prepend=self._packs - 1)
        misnumbered = (steps < 0) | (steps > 1)
        misnumbered[:1] |= steps[:1] != 1
        known = (block.document >= 0) & (block.document < self._corpus.document_count)
        document = np.where(known, block.document, 0)
        yield from _first("names a document that is not in the corpus", ~known, block)
        outside = (block.start < 0) | (block.length < 1) | (block.start + block.length > self._corpus.length[document])
        yield from _first("has a piece outside its document", known & outside, block)
        yield from _first(
            "has a part number that does not fit its start", (block.part == 0) != (block.start == 0), block
        )
        yield from _first("is not numbered one after the other", misnumbered, block)
        if block.pieces and not misnumbered.any():
            yield from self._check_packs(block)
        found = {"first_pack": block.first_pack if block.pieces else 0, "packs": block.packs, "pieces": block.pieces}
        for name, value in found.items():
            if value != said[name]:
                yield f"{name} is {value}, the manifest says {said[name]}"
        self.in_plan[document[known]] = True
        self._packs += block.packs

    def _check_packs(self, block: PlanBlock) -> Iterator[str]:
        """Packs fit their rows, and their attention spans are numbered from 0."""
        place = block.pack - block.pack[0]
        tokens = np.bincount(place, weights=block.length)
        yield from _first(f"holds more than {self._row_tokens} tokens", (tokens > self._row_tokens)[place], block)
        begins = np.diff(block.pack, prepend=block.pack[0] - 1) == 1
        steps = np.diff(block.span, prepend=0)
        if "mask" in self._facts:
            own = (steps == 1) | begins
            masked = self._facts["mask"] != "none"
            problem = "joins documents in one attention span" if masked else "keeps documents apart"
            wrong = ~own if masked else block.span != 0
            yield from _first(f"{problem}, against the plan's mask {self._facts['mask']!r}", wrong, block)
        yield from _first(
            "has attention spans out of order", np.where(begins, block.span != 0, (steps < 0) | (steps > 1)), block
        )


def _first(problem: str, wrong: npt.NDArray[np.bool_], block: PlanBlock) -> Iterator[str]:
    """A problem named once, with the first pack that has it."""
    if wrong.any():
        row = int(wrong.argmax())
        yield f"pack {int(block.pack[row])} {problem} (piece {row} of the block, document {int(block.document[row])})"
