"""The plans that a run has had: what every pack of each held, as one hash a pack, so that states outlive a plan.

When documents are taken down, or another mixture is planned behind what was trained on, a plan gives way to another
one; the hashes of its packs stay beside it, 24 MB for 100 billion tokens in rows of 32K. A state of any of these plans
is then a state of the present one, as long as the packs that it has consumed are still the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from lc_data.corpus import storage
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_table, write_table
from lc_data.failure import Failure

LINEAGE_FOLDER = "lineage"
"""Below the stage's; files of earlier plans stand there too, which the manifest does not name."""

LINEAGE_SCHEMA = pa.schema([pa.field("pack_hash", pa.uint64(), nullable=False)])
"""One row per pack."""

_RULES, _CHECKSUM = b"lc_data.rows", b"lc_data.checksum"


class LineageError(Failure):
    """Hashes of a plan's packs that changed on disk."""


@dataclass(frozen=True)
class Lineage:
    """What the packs of a plan held."""

    rules: str
    """What else rows depend on: their length, how positions are counted, their anchor."""
    pack_hash: npt.NDArray[np.uint64]

    def changed(self, before: Lineage, consumed: int) -> npt.NDArray[np.int64]:
        """The packs among the first ``consumed`` that are not what they were ``before``, ascending, int64."""
        if self.rules != before.rules:
            return np.arange(consumed)
        both = min(consumed, len(self.pack_hash), len(before.pack_hash))
        differ = np.flatnonzero(self.pack_hash[:both] != before.pack_hash[:both])
        return np.concatenate((differ, np.arange(both, consumed)))


def write_lineage(folder: StageFolder, purpose: str, plan_hash: str, lineage: Lineage) -> FileEntry:
    """Write the hashes of a plan's packs beside it."""
    checksum = xxhash.xxh3_128_hexdigest(lineage.pack_hash.tobytes())
    metadata = {_RULES: lineage.rules.encode(), _CHECKSUM: checksum.encode()}
    table = pa.table({"pack_hash": lineage.pack_hash}, LINEAGE_SCHEMA.with_metadata(metadata))
    return write_table(folder.uri, _file(purpose, plan_hash), table)


def read_lineage(folder: StageFolder, purpose: str, plan_hash: str) -> Lineage | None:
    """The hashes of a plan that the run has, or has had; None where it never had it.

    Raises :class:`LineageError` when the file is not what was written.
    """
    uri = folder.file(_file(purpose, plan_hash))
    if not storage.exists(uri):
        return None
    table = read_table(uri)
    metadata = table.schema.metadata or {}
    hashes = table["pack_hash"].to_numpy()
    if metadata.get(_CHECKSUM, b"").decode() != xxhash.xxh3_128_hexdigest(np.ascontiguousarray(hashes).tobytes()):
        raise LineageError(f"{uri} changed on disk: restore it, or start anew at consumed = 0")
    return Lineage(metadata[_RULES].decode(), hashes)


def _file(purpose: str, plan_hash: str) -> str:
    return f"{LINEAGE_FOLDER}/{purpose}-{plan_hash}.arrow"
