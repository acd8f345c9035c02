"""The plan of a packed corpus: which piece of which document lies in which pack. It is data, not code.

A plan block is an Arrow table of a few thousand packs, one row per piece, sorted by pack and then by place in the
pack. Any later version of this package can replay it, any Arrow reader can query it, and the hash over its contents
names the run. This module imports neither numba nor torch: the stream reads plans on machines that have no planner.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import xxhash

from lc_data.packing.column_view import view_column

PLAN_SCHEMA = pa.schema(
    [
        pa.field("pack", pa.int64(), nullable=False),
        pa.field("document", pa.int64(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("part", pa.int32(), nullable=False),
        pa.field("span", pa.int32(), nullable=False),
    ]
)
"""pack: global index; document: row of the bucket index; start, length: tokens; part: 0-based piece of its document;
span: attention span inside the pack (pieces with the same span attend to one another)."""

EXCLUDED_FILE = "excluded.arrow"
"""Below the folder of the stage that plans: the documents that no plan may hold."""

EXCLUDED_SCHEMA = pa.schema([pa.field("document", pa.int64(), nullable=False)])
"""Document numbers, ascending."""

_DTYPES = {field.name: np.dtype(field.type.to_pandas_dtype()) for field in PLAN_SCHEMA}


@dataclass(frozen=True)
class PlanBlock:
    """One block of a plan as arrays of equal length, one element per piece, in the order and dtypes of PLAN_SCHEMA."""

    pack: np.ndarray
    document: np.ndarray
    start: np.ndarray
    length: np.ndarray
    part: np.ndarray
    span: np.ndarray

    @classmethod
    def from_table(cls, table: pa.Table) -> PlanBlock:
        """View a table with PLAN_SCHEMA's columns (copied only where it has several chunks)."""
        columns = {}
        for name, dtype in _DTYPES.items():
            column = table.column(name).combine_chunks()
            if isinstance(column, pa.ChunkedArray):  # pyarrow < 18 kept the chunks of an empty column
                column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
            columns[name] = view_column(column).astype(dtype, copy=False)
        return cls(**columns)

    def to_table(self) -> pa.Table:
        """Return the block as an Arrow table with exactly PLAN_SCHEMA."""
        return pa.table({name: np.asarray(getattr(self, name), dtype) for name, dtype in _DTYPES.items()}, PLAN_SCHEMA)

    @property
    def pieces(self) -> int:
        """Number of pieces."""
        return len(self.pack)

    @property
    def first_pack(self) -> int:
        """Global index of the block's first pack; an empty block has none."""
        return int(self.pack[0])

    @property
    def packs(self) -> int:
        """Number of packs. A pack is never empty, so the indices have no gaps."""
        return int(self.pack[-1] - self.pack[0] + 1) if len(self.pack) else 0

    def take(self, rows: slice | np.ndarray) -> PlanBlock:
        """Return some of the pieces, by slice, mask or row numbers: views where a slice is given."""
        return PlanBlock(*(getattr(self, name)[rows] for name in _DTYPES))

    def without_masks(self) -> PlanBlock:
        """Return the block with one attention span to each pack: all its pieces attend to one another."""
        return replace(self, span=np.zeros_like(self.span))

    def rows_of(self, pack: int) -> slice:
        """Return the rows of one pack; raises IndexError when the pack is in another block."""
        first, last = np.searchsorted(self.pack, [pack, pack + 1])
        if first == last:
            raise IndexError(f"pack {pack} is not in this block")
        return slice(int(first), int(last))


class PlanDigest:
    """The hash of a plan whose blocks are added one after the other, see :func:`plan_hash`."""

    def __init__(self, seq_len: int, positions: str = "reset", anchor_id: int | None = None) -> None:
        counted = "" if positions == "reset" else f" positions={positions}"
        anchored = "" if anchor_id is None else f" anchor={anchor_id}"
        self.rules = f"seq_len={seq_len}{counted}{anchored}"
        """What rows depend on beside the blocks."""
        self._head = f"lc_data plan 1 {self.rules}".encode()
        self._columns = {name: xxhash.xxh3_128() for name in _DTYPES}

    def add(self, block: PlanBlock) -> None:
        """Add the next block."""
        for name, dtype in _DTYPES.items():
            values = np.ascontiguousarray(getattr(block, name), dtype.newbyteorder("<"))
            self._columns[name].update(values.data if len(values) else b"")

    def hexdigest(self) -> str:
        """Return the hash of the blocks added so far."""
        whole = xxhash.xxh3_128(self._head)
        for name, digest in self._columns.items():
            whole.update(name.encode() + digest.digest())
        return whole.hexdigest()


def plan_hash(blocks: Iterable[PlanBlock], seq_len: int, positions: str = "reset", anchor_id: int | None = None) -> str:
    """Return the hash of a plan's contents: 32 hex digits of xxh3-128.

    It covers seq_len, how positions are counted, the anchor token if rows begin with one, and every value of every
    block in order, and neither file bytes nor Arrow versions nor how the rows were cut into blocks, so that two writers
    of the same plan agree.
    """
    digest = PlanDigest(seq_len, positions, anchor_id)
    for block in blocks:
        digest.add(block)
    return digest.hexdigest()
