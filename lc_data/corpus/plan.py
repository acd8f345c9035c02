"""The published plan of a run, read where it lies: which piece of which document is in which pack.

Blocks are mapped when they are first needed and compared with their checksum, so that opening a plan of millions of
packs costs one manifest, and any pack a binary search. What a block is, is said in ``lc_data.packing.plan``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from pydantic import BaseModel, ConfigDict, ValidationError

from lc_data.corpus import storage
from lc_data.corpus.lineage import read_lineage
from lc_data.corpus.manifest import Manifest
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.failure import Failure
from lc_data.packing.plan import PLAN_SCHEMA, PlanBlock
from lc_data.recipe.packing import Mask, Positions

_OPEN_BLOCKS = 4
"""A reader goes forward through one block, or two at their border; on an object store each one open is memory."""


class PlanError(Failure):
    """A plan that is missing, changed on disk, or made for another corpus."""


class BlockEntry(BaseModel):
    """One block as the pack manifest names it."""

    model_config = ConfigDict(frozen=True)

    file: str
    """Below the folder of the pack stage."""
    first_pack: int
    packs: int
    pieces: int
    checksum: str
    """xxh3-128 of the file's bytes."""


class PlannedStage(BaseModel):
    """A stage of the mixture, as the plan has it."""

    model_config = ConfigDict(frozen=True)

    name: str
    first_pack: int


class PlanFacts(BaseModel):
    """What the pack manifest says about the plan of one purpose."""

    model_config = ConfigDict(frozen=True)

    seq_len: int
    packs: int
    plan_hash: str
    global_batch_packs: int
    mask: Mask = "document"
    positions: Positions = "reset"
    anchor_id: int | None = None
    """The token that every row of a plan with ``mask: anchor`` begins with; it is no piece of the plan."""
    blocks: tuple[BlockEntry, ...]
    stages: tuple[PlannedStage, ...] = ()
    """The stages of the mixture, in their order."""


class PackPlan:
    """The plan of one purpose: ``pretrain``, ``sft`` or ``held_out``. It can be pickled, and shared by threads."""

    def __init__(self, folder: StageFolder, purpose: str, facts: PlanFacts) -> None:
        self._folder = folder
        self.purpose = purpose
        self.facts = facts
        self._first = [block.first_pack for block in facts.blocks]
        self._block = lru_cache(maxsize=_OPEN_BLOCKS)(self._open_block)

    @classmethod
    def open(cls, run: RunFolder, purpose: str) -> PackPlan:
        """The plan of a run for a purpose.

        Raises ``ManifestError`` when the run has not been packed, and :class:`PlanError` when it has no plan for this
        purpose, when its blocks have gaps, or when it was planned over another corpus than the run now holds.
        """
        folder = run.stage("pack")
        manifest = folder.manifest()
        plans = manifest.facts.get("plans", {})
        if purpose not in plans:
            raise PlanError(
                f"{run.uri} has no plan {purpose!r}: it has {', '.join(sorted(plans)) or 'none'}; a plan is made for "
                "each purpose that the recipe's sources serve"
            )
        _check_corpus(run, manifest)
        try:
            facts = PlanFacts.model_validate(plans[purpose])
        except ValidationError as error:
            raise PlanError(f"{folder.manifest_uri}, plan {purpose!r}: {error}") from None
        again = "run `lc-data pack` again"
        expected = 0
        for block in facts.blocks:
            if block.first_pack != expected:
                raise PlanError(f"{folder.file(block.file)} begins at pack {block.first_pack}, not {expected}: {again}")
            expected += block.packs
        if expected != facts.packs:
            raise PlanError(f"plan {purpose!r} of {run.uri} has {facts.packs} packs, its blocks {expected}: {again}")
        return cls(folder, purpose, facts)

    def __reduce__(self) -> tuple[Any, ...]:
        return PackPlan, (self._folder, self.purpose, self.facts)

    @property
    def packs(self) -> int:
        """Packs in the plan; they are numbered from 0."""
        return self.facts.packs

    @property
    def seq_len(self) -> int:
        """Tokens in a pack."""
        return self.facts.seq_len

    @property
    def row_tokens(self) -> int:
        """Tokens of documents that fit in a pack."""
        return self.facts.seq_len - (self.facts.anchor_id is not None)

    @property
    def plan_hash(self) -> str:
        """The hash of the plan's contents, as the manifest records it."""
        return self.facts.plan_hash

    def changed_since(self, plan_hash: str, consumed: int) -> npt.NDArray[np.int64] | None:
        """The packs among the first ``consumed`` of an older plan of this run that hold something else here, ascending.

        Packs that this plan lacks are among them. None for a plan that the run never had. Raises ``LineageError``.
        """
        before = read_lineage(self._folder, self.purpose, plan_hash)
        now = read_lineage(self._folder, self.purpose, self.plan_hash)
        return None if before is None or now is None else now.changed(before, consumed)

    def pieces(self, pack: int) -> PlanBlock:
        """The pieces of one pack in their order, as views of its block. Raises IndexError outside ``packs``."""
        block = self.block(self.block_of(pack))
        return _take(block, block.rows_of(pack))

    def block_of(self, pack: int) -> int:
        """The number of the block that holds a pack. Raises IndexError outside ``packs``."""
        if not 0 <= pack < self.packs:
            raise IndexError(f"pack {pack} of a plan with {self.packs} packs")
        return bisect_right(self._first, pack) - 1

    def block(self, number: int) -> PlanBlock:
        """A block, mapped and checked when it is first needed; the last few stay open."""
        return self._block(number)

    def pieces_of(self, document: int) -> PlanBlock:
        """Every piece of one document, in the order of the packs that hold it: a scan of all blocks."""
        none = PlanBlock.from_table(PLAN_SCHEMA.empty_table())
        found = [none, *(_take(block, np.flatnonzero(block.document == document)) for block in self.blocks())]
        columns = ([getattr(block, field.name) for block in found] for field in fields(PlanBlock))
        return PlanBlock(*map(np.concatenate, columns))

    def packs_of(self, document: int) -> npt.NDArray[np.int64]:
        """The packs that hold a piece of a document, ascending, each once."""
        return np.unique(self.pieces_of(document).pack)

    def blocks(self) -> Iterator[PlanBlock]:
        """All blocks in order, each mapped only while it is looked at."""
        for number in range(len(self.facts.blocks)):
            yield self._open_block(number)

    def _open_block(self, number: int) -> PlanBlock:
        entry = self.facts.blocks[number]
        uri = self._folder.file(entry.file)
        if not self._folder.is_copied and not storage.exists(uri):
            raise PlanError(f"{uri}, which the manifest names, does not exist: restore it, or run `lc-data pack` again")
        whole = self._folder.map(entry.file, entry.checksum)
        if xxhash.xxh3_128_hexdigest(whole) != entry.checksum:
            raise PlanError(f"{uri} changed on disk since it was planned: restore it, or run `lc-data pack` again")
        table = pa.ipc.open_file(whole).read_all()
        if not table.schema.remove_metadata().equals(PLAN_SCHEMA):
            raise PlanError(f"{uri} has other columns than a plan block:\n{table.schema}")
        return PlanBlock.from_table(table)


def _take(block: PlanBlock, rows: slice | npt.NDArray[np.int64]) -> PlanBlock:
    return PlanBlock(*(getattr(block, field.name)[rows] for field in fields(block)))


def _check_corpus(run: RunFolder, manifest: Manifest) -> None:
    """Follow the pack stage's upstream back to the corpus: document numbers mean nothing in another one.

    A training node may hold no more than ``bucket``, ``augment`` where there is one, and ``pack``; stages between them
    are looked at where they are.
    """
    for name, mark in manifest.upstream.items():
        stage = run.stage(name)
        if name not in ("bucket", "augment") and not stage.is_published():
            continue
        upstream = stage.manifest()
        if upstream.fingerprint != mark:
            raise PlanError(
                f"{run.uri}: {name} was made again after {manifest.stage}, so the plan belongs to another corpus: "
                "run `lc-data pack` to plan over the present one"
            )
        if name != "bucket":
            _check_corpus(run, upstream)
