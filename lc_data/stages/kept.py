"""The packs that a new plan keeps of the one before, copied in time: packing anew clears the old plan away.

They are copied by balance, whose draws begin where they end, and stand below its folder by the hash of their plan. So
the same recipe gives the same plan again, also when the plan that it was made from is long gone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.manifest import FileEntry, ManifestError
from lc_data.corpus.plan import PackPlan, PlanError
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table, write_table
from lc_data.mixing.stream import Pieces
from lc_data.packing.plan import PlanBlock
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.packing import KeptPacks, PackSection
from lc_data.stages.purposes import Supply

PURPOSE = "pretrain"


@dataclass(frozen=True)
class Kept:
    """The first packs of a plan, as they stand below the balance stage."""

    plan_hash: str
    packs: int
    rules: dict[str, Any]
    """What rows depend on beside their pieces."""
    files: list[FileEntry]

    def blocks(self, run: RunFolder) -> list[PlanBlock]:
        """Read the packs; RecipeError when the copy is not what was written."""
        found = []
        for entry in self.files:
            uri = run.stage("balance").file(entry.file)
            if not storage.exists(uri) or file_checksum(uri) != entry.checksum:
                raise RecipeError(f"pack.keep: {uri}, which holds packs that are kept, is gone or changed: restore it")
            found.append(PlanBlock.from_table(read_table(uri)))
        return found

    def facts(self) -> dict[str, Any]:
        """Describe them for a manifest."""
        return {"plan_hash": self.plan_hash, "packs": self.packs, "tokens": sum(entry.tokens for entry in self.files)}


def keep_packs(run: RunFolder, packing: PackSection, anchor_id: int | None) -> Kept | None:
    """Return the packs that the recipe keeps, None where it keeps none; they are copied where they are not yet.

    Raises RecipeError when the run does not have that plan, or has it with other rows than the recipe asks for.
    """
    keep = packing.keep
    if keep is None:
        return None
    kept = _copied(run, keep) or _copy(run, keep)
    asked = _rules(packing.seq_len, packing.mask, packing.positions, anchor_id)
    differs = [name for name, value in asked.items() if kept.rules[name] != value]
    if differs:
        named = ", ".join(f"{name} {kept.rules[name]}, not {asked[name]}" for name in differs)
        raise RecipeError(f"pack.keep: the packs that are kept have {named}: rows of one plan are all alike")
    return kept


def pieces_of(blocks: Sequence[PlanBlock]) -> Pieces:
    """Return the pieces of blocks; their draw means nothing."""
    columns = [
        Pieces.none(),
        *(Pieces(b.document, b.start, b.length, b.part, np.zeros(b.pieces, np.int32)) for b in blocks),
    ]
    return Pieces.concatenate(columns)


def check_kept(pieces: Pieces, supply: Supply, held: np.ndarray) -> None:
    """Raise RecipeError for kept documents that are held out now, and for pieces that would be cut otherwise now."""
    there = np.unique(pieces.document[held[pieces.document]])
    if len(there):
        raise RecipeError(
            f"pack.keep: the packs that are kept hold {len(there)} documents that are held out now, "
            f"{supply.corpus.document_id(int(there[0]))!r} is the first: leave held_out as it was"
        )
    row, trainable = supply.packing.row_tokens, supply.trainable[pieces.document].astype(np.int64)
    same = (pieces.start == pieces.part.astype(np.int64) * row) & supply.mine[pieces.document]
    same &= pieces.length == np.minimum(trainable - pieces.start, row)
    if not same.all():
        document = supply.corpus.document_id(int(pieces.document[~same][0]))
        raise RecipeError(
            f"pack.keep: {document!r} is cut otherwise in the packs that are kept: leave pack.overlong as it was, and "
            "keep packs of method best_fit or one_per_row"
        )


def _copied(run: RunFolder, keep: KeptPacks) -> Kept | None:
    uri = run.stage("balance").file(f"{_folder(keep)}.json")
    if not storage.exists(uri):
        return None
    said = json.loads(storage.read_bytes(uri))
    if said.pop("corpus") != run.stage("bucket").manifest().fingerprint:
        raise RecipeError(
            "pack.keep: the corpus was tokenised anew since these packs were planned, and has other numbers"
        )
    return Kept(**said | {"files": [FileEntry.model_validate(entry) for entry in said["files"]]})


def _copy(run: RunFolder, keep: KeptPacks) -> Kept:
    """Copy the packs from the present plan; the JSON file beside the folder, written last, makes the copy whole."""
    plan = _present(run, keep)
    facts, folder, files = plan.facts, run.stage("balance").uri, []
    for number, block in enumerate(plan.blocks()):
        kept = block.take(slice(0, int(np.searchsorted(block.pack, keep.packs))))
        if kept.pieces:
            file = f"{_folder(keep)}/block-{number:05d}.arrow"
            files.append(write_table(folder, file, kept.to_table(), int(kept.length.sum(dtype=np.int64))))
    rules = _rules(facts.seq_len, facts.mask, facts.positions, facts.anchor_id)
    said = {
        "plan_hash": keep.plan_hash,
        "packs": keep.packs,
        "rules": rules,
        "files": [entry.model_dump() for entry in files],
        "corpus": run.stage("bucket").manifest().fingerprint,
    }
    storage.write_atomic(storage.join(folder, f"{_folder(keep)}.json"), json.dumps(said, indent=1).encode())
    return Kept(keep.plan_hash, keep.packs, rules, files)


def _present(run: RunFolder, keep: KeptPacks) -> PackPlan:
    """Return the run's plan, if it begins with the packs that are to be kept."""
    try:
        plan = PackPlan.open(run, PURPOSE)
    except (ManifestError, PlanError) as error:
        raise RecipeError(f"pack.keep: there is no plan to keep packs of: {error}") from None
    if plan.plan_hash != keep.plan_hash:
        changed = plan.changed_since(keep.plan_hash, keep.packs)
        if changed is None:
            raise RecipeError(
                f"pack.keep.plan_hash is {keep.plan_hash}, which this run never had: its plan is {plan.plan_hash}"
            )
        if len(changed):
            raise RecipeError(
                f"pack.keep: {len(changed)} of these packs have changed since, pack {changed[0]} is the first: keep at "
                f"most {changed[0]}, or packs of the present plan {plan.plan_hash}"
            )
    if keep.packs > plan.packs:
        raise RecipeError(f"pack.keep.packs is {keep.packs}, and the plan has {plan.packs}")
    return plan


def _rules(seq_len: int, mask: str, positions: str, anchor_id: int | None) -> dict[str, Any]:
    return {"seq_len": seq_len, "mask": mask, "positions": positions, "anchor_id": anchor_id}


def _folder(keep: KeptPacks) -> str:
    return f"kept/{keep.plan_hash}-{keep.packs}"
