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
from lc_data.mixing.stream import DocumentStream
from lc_data.packing.best_fit import best_fit_decreasing
from lc_data.packing.planner import Draw, PlannedBlock, plan_packs
from lc_data.recipe.packing import PackSection

_AXOLOTL_GROUP = 100_000
"""Documents that axolotl packs together: its default."""
_BATCH_ROWS = 64
_UNIT = "s per million documents"


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
    bar: float
    """how many times as fast ours is to be, at least"""
    prepare_plan: Callable[[np.ndarray, int], Callable[[], Packed]] | None = None
    """the same of all that it does between lengths and batches of rows; None where rows are all that it makes"""
    whole: bool = False
    """whether it is given only documents that fit a row, and drops the others"""


def prepare_olmo_core(lengths: np.ndarray, seq_len: int) -> Callable[[], Packed]:
    """OLMo-core's optimized best fit decreasing, documents fragmented; seq_len is a power of 2 there."""
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


def prepare_axolotl_batches(lengths: np.ndarray, seq_len: int) -> Callable[[], Packed]:
    """The batch sampler of axolotl over shuffled documents: an epoch in batches of 64 rows, the last one kept."""
    from axolotl.utils.samplers.multipack import MultipackBatchSampler
    from torch.utils.data import RandomSampler

    kept = lengths[lengths <= seq_len].astype(np.int32)

    def pack(sizes: np.ndarray = kept) -> Packed:
        sampler = MultipackBatchSampler(
            RandomSampler(range(len(sizes))), _BATCH_ROWS, seq_len, sizes, bin_size=len(sizes), drop_last=False,
            num_count_samples=1, num_processes=1,
        )  # fmt: skip
        rows = [row for batch in sampler.generate_batches() for row in batch]
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
    Packer("OLMo-core", "olmo_core", 50_000, prepare_olmo_core, bar=50.0),
    Packer("TRL bfd_split", "trl", 20_000, prepare_trl, bar=50.0),
    Packer("axolotl multipack", "axolotl", 200_000, prepare_axolotl, 10.0, prepare_axolotl_batches, whole=True),
)


def compare_with_packers(lengths: np.ndarray, seq_len: int, packers: Sequence[Packer] = PACKERS) -> list[BenchRow]:
    """Rows of time, fill and tokens lost beside each packer, over the first of some documents in random order.

    Two times are given. The first is of the same work on both sides, from lengths to rows: ours is best fit decreasing
    over all pieces. The second is of all that we do between lengths and the blocks of a plan: documents shuffled, cut,
    packed block by block, rows ordered by their attention work in batches; beside it is all that the packer does. A
    packer that is not installed has a row that says so, without a number.
    """
    rows = []
    best_fit_decreasing(np.array([1], np.int32), seq_len)  # compiles
    with tempfile.TemporaryDirectory() as folder:
        for cache in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
            os.environ.setdefault(
                cache, folder
            )  # or imports make them in the system's temporary folder, and leave them
        for packer in packers:
            if importlib.util.find_spec(packer.package) is None:
                rows.append(row_without("rows of pieces", _UNIT, packer.name, bar=packer.bar))
            else:
                rows += _compare(lengths[: packer.documents], seq_len, packer)
    return rows


def _compare(lengths: np.ndarray, seq_len: int, packer: Packer) -> list[BenchRow]:
    given = lengths[lengths <= seq_len] if packer.whole else lengths
    pieces, theirs = cut(given, seq_len).astype(np.int32), packer.prepare(lengths, seq_len)
    seconds, peer_seconds = _time(lambda: best_fit_decreasing(pieces, seq_len), theirs)
    plan_all = theirs if packer.prepare_plan is None else packer.prepare_plan(lengths, seq_len)
    whole_seconds, peer_whole_seconds = _time(lambda: plan(given, seq_len), plan_all)
    per_million, packed, tokens = 1e6 / len(given), theirs(), int(lengths.sum())
    every_piece = cut(lengths, seq_len).astype(np.int32)
    kept = int(every_piece.sum(dtype=np.int64))
    fill = kept / (len(best_fit_decreasing(every_piece, seq_len)[1]) * seq_len)
    peer_fill = packed.tokens / (packed.rows * seq_len)
    return [
        BenchRow("rows of pieces", _UNIT, seconds * per_million, packer.name, peer_seconds * per_million,
                 peer_seconds / seconds, packer.bar),
        BenchRow("whole plan", _UNIT, whole_seconds * per_million, packer.name, peer_whole_seconds * per_million,
                 peer_whole_seconds / whole_seconds, packer.bar),
        BenchRow("fill", "share of tokens", fill, packer.name, peer_fill, fill / peer_fill),
        BenchRow("tokens kept", "share", kept / tokens, packer.name, packed.tokens / tokens, kept / packed.tokens),
    ]  # fmt: skip


def plan(lengths: np.ndarray, seq_len: int) -> list[PlannedBlock]:
    """Plan documents of one domain, shuffled, with the defaults of a recipe."""
    order = np.random.default_rng(7).permutation(len(lengths))
    stream = DocumentStream.of(order, lengths[order], seq_len)
    return list(plan_packs([[Draw(stream, stream.tokens, 0, 0)]], PackSection(seq_len=seq_len), 0))


def _time(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    ours()  # compiles
    return compare_in_turn(ours, theirs, rounds=3, clock=time.process_time)
