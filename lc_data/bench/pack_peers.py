"""Other projects' packers of rows, on the lengths alone wherever they can be called with lengths.

What each is given is what its users give it: OLMo-core's documents are cut at seq_len before they are packed, TRL cuts
them itself, 1,000 documents at a time, and axolotl is given none that is longer than a row: it drops those.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lc_data.bench.result import BenchRow, compare_in_turn, row_without
from lc_data.packing.best_fit import best_fit_decreasing

_AXOLOTL_GROUP = 100_000
"""Documents that axolotl packs together: its default."""


@dataclass(frozen=True)
class Packed:
    """What a packer made of documents."""

    rows: int
    tokens: int
    """in the rows, padding left out"""


@dataclass(frozen=True)
class Packer:
    """A packer beside which ours is measured."""

    name: str
    package: str
    """as it is imported"""
    documents: int
    """how many it is given: enough for a second or two"""
    prepare: Callable[[np.ndarray, int], Callable[[], Packed]]
    """from lengths of documents and seq_len to what is timed"""


def prepare_olmo_core(lengths: np.ndarray, seq_len: int) -> Callable[[], Packed]:
    """OLMo-core's optimized best fit decreasing, documents fragmented; seq_len is a power of 2 there."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("TRITON_CACHE_DIR", folder)  # or its import makes one in the system's, and leaves it
        from olmo_core.data.utils import InstancePacker

    ends = np.cumsum(cut(lengths, seq_len))
    pieces = np.stack((np.concatenate(([0], ends[:-1])), ends), axis=1).astype(np.uint64)

    def pack() -> Packed:
        instances, _, tokens = InstancePacker(seq_len).pack_documents(pieces)
        return Packed(len(instances), int(tokens))

    return pack


def prepare_trl(lengths: np.ndarray, seq_len: int) -> Callable[[], Packed]:
    """TRL's ``bfd_split`` through its public function; tokens are of one byte, so that copying them counts little."""
    from datasets import Dataset, disable_progress_bars
    from trl.data_utils import pack_dataset

    disable_progress_bars()
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    tokens = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(np.ones(offsets[-1], np.int8)))
    dataset = Dataset(pa.table({"input_ids": tokens}))

    def pack() -> Packed:
        packed = pack_dataset(dataset, seq_len, "bfd_split", {"load_from_cache_file": False, "keep_in_memory": True})
        rows = packed.with_format("arrow")[:]["input_ids"]
        return Packed(len(rows), sum(len(chunk.flatten()) for chunk in rows.chunks))

    return pack


def prepare_axolotl(lengths: np.ndarray, seq_len: int) -> Callable[[], Packed]:
    """Multipack of axolotl in one process, documents of at most seq_len, its numba kernel compiled."""
    from axolotl.utils.samplers.multipack import pack_parallel

    kept = lengths[lengths <= seq_len].astype(np.int32)

    def pack(sizes: np.ndarray = kept) -> Packed:
        rows = pack_parallel(sizes, seq_len, _AXOLOTL_GROUP, bin_size=len(sizes), num_processes=1)
        return Packed(len(rows), int(sum(sizes[row].sum() for row in rows)))

    pack(kept[:10])
    return pack


def cut(lengths: np.ndarray, seq_len: int) -> np.ndarray:
    """Lengths of the pieces of documents that are cut at every seq_len, in their order."""
    counts = -(-lengths // seq_len)
    pieces = np.full(counts.sum(), seq_len, np.int64)
    pieces[np.cumsum(counts) - 1] = lengths - (counts - 1) * seq_len
    return pieces


PACKERS = (
    Packer("OLMo-core", "olmo_core", 50_000, prepare_olmo_core),
    Packer("TRL bfd_split", "trl", 20_000, prepare_trl),
    Packer("axolotl multipack", "axolotl", 200_000, prepare_axolotl),
)


def compare_with_packers(lengths: np.ndarray, seq_len: int, packers: Sequence[Packer] = PACKERS) -> list[BenchRow]:
    """Rows of time, fill and tokens lost beside each packer, over the first of some documents in random order.

    Ours is best fit decreasing over all pieces of the same documents; what is planned around it has a row elsewhere. A
    packer that is not installed has a row that says so, without a number.
    """
    rows = []
    best_fit_decreasing(np.array([1], np.int32), seq_len)  # compiles
    for packer in packers:
        if importlib.util.find_spec(packer.package) is None:
            rows.append(row_without("rows of pieces", "s per million documents", packer.name))
        else:
            rows += _compare(lengths[: packer.documents], seq_len, packer)
    return rows


def _compare(lengths: np.ndarray, seq_len: int, packer: Packer) -> list[BenchRow]:
    pieces, theirs = cut(lengths, seq_len).astype(np.int32), packer.prepare(lengths, seq_len)
    seconds, peer_seconds = compare_in_turn(
        lambda: best_fit_decreasing(pieces, seq_len), theirs, rounds=3, clock=time.process_time
    )
    per_million, packed, tokens = 1e6 / len(lengths), theirs(), int(lengths.sum())
    kept = int(pieces.sum(dtype=np.int64))
    fill = kept / (len(best_fit_decreasing(pieces, seq_len)[1]) * seq_len)
    peer_fill = packed.tokens / (packed.rows * seq_len)
    return [
        BenchRow("rows of pieces", "s per million documents", seconds * per_million, packer.name,
                 peer_seconds * per_million, peer_seconds / seconds),
        BenchRow("fill", "share of tokens", fill, packer.name, peer_fill, fill / peer_fill),
        BenchRow("tokens kept", "share", kept / tokens, packer.name, packed.tokens / tokens, kept / packed.tokens),
    ]  # fmt: skip
