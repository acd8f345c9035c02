"""A packed run of 100 billion tokens, as far as its first rows go: what opening it costs is what a restart costs.

The manifests and the index are whole, 25 million documents in some 3,000 shards, 745 plan blocks. Of the shards the
first of each stratum are written, 64 MB each, and of the plan its first block, which is planned over them; the others
are only named, as on a disk that has them, because no reader touches them before it comes there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from lc_data.bench.pack import draw_lengths
from lc_data.bench.pack_plan import EDGES_TOKENS
from lc_data.bench.synthetic import DOMAIN, bucket_facts, write_random_shard
from lc_data.corpus import storage
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.manifest import FileEntry, Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized_writer import write_index
from lc_data.mixing.stream import DocumentStream
from lc_data.packing.plan import PlanBlock
from lc_data.packing.planner import Draw, plan_packs
from lc_data.recipe.packing import PackSection

_SHARD_TOKENS = 32 << 20
_MEAN_TOKENS = 4000
_MARK = "huge".ljust(32, "0")
_UNREAD = "0" * 32
"""The checksum of a file that is only named."""


def write_huge_run(run: RunFolder, tokens: int, seq_len: int) -> None:
    """Write the run, of about so many tokens; it takes a gigabyte of disk."""
    lengths = draw_lengths(tokens // _MEAN_TOKENS, seed=6).astype(np.uint32)
    bucket = np.searchsorted(EDGES_TOKENS, lengths, side="right").astype(np.uint8)
    order = np.argsort(bucket, kind="stable")
    lengths, bucket = lengths[order], bucket[order]
    folder = run.stage("bucket").uri
    entries: list[FileEntry] = []
    real: list[np.ndarray] = []
    for first, end in _cut_shards(lengths, bucket):
        code, name = int(bucket[first]), f"shards/{len(entries):05d}.arrow"
        if first == 0 or bucket[first - 1] != code:
            entry = write_random_shard(folder, name, lengths[first:end], code)
            real.append(np.arange(first, end))
        else:
            held = int(lengths[first:end].sum(dtype=np.int64))
            facts = {"domain": DOMAIN, "bucket": code, "token_checksum": _UNREAD, "chunks_checksum": _UNREAD}
            entry = FileEntry(file=name, rows=end - first, bytes=2 * held, tokens=held, checksum=_UNREAD, facts=facts)
        entries.append(entry.model_copy(update={"facts": entry.facts | {"first_document": first}}))
    index = write_index(folder, lengths, np.zeros(len(lengths), np.int64), bucket)
    facts = bucket_facts(EDGES_TOKENS)
    manifest = Manifest(stage="bucket", fingerprint=_MARK, shards=entries, extra=[index], seed=0, facts=facts)
    write_manifest(run.stage("bucket").manifest_uri, manifest)
    _write_plan(run, _plan_first(lengths, bucket, real, seq_len), int(lengths.sum(dtype=np.int64)) // seq_len, seq_len)


def _cut_shards(lengths: np.ndarray, bucket: np.ndarray) -> Iterator[tuple[int, int]]:
    """First document and end of each shard: neighbours of one bucket, about so many tokens."""
    for code in np.unique(bucket).tolist():
        begin, end = np.searchsorted(bucket, [code, code + 1]).tolist()
        ends = np.cumsum(lengths[begin:end], dtype=np.int64)
        steps = np.arange(_SHARD_TOKENS, int(ends[-1]), _SHARD_TOKENS)
        edges = [begin, *(begin + np.searchsorted(ends, steps, side="right")).tolist(), end]
        yield from ((first, last) for first, last in pairwise(edges) if last > first)


def _plan_first(lengths: np.ndarray, bucket: np.ndarray, real: list[np.ndarray], seq_len: int) -> PlanBlock:
    """The first block of the plan, in which every bucket has its share of the tokens, as far as its shard goes."""
    packing = PackSection(seq_len=seq_len)
    total, wanted, draws = lengths.sum(dtype=np.int64), packing.block_packs * seq_len, []
    for documents in real:
        code = bucket[documents[0]]
        share = lengths[bucket == code].sum(dtype=np.int64) / total
        stream = DocumentStream.of(documents, lengths[documents].astype(np.int64), seq_len)
        tokens = min(stream.tokens, stream.nearest_end(min(stream.tokens, int(share * wanted))))
        draws.append(Draw(stream, tokens, 0, int(code)))
    return next(plan_packs([draws], packing, 0)).block


def _write_plan(run: RunFolder, block: PlanBlock, packs: int, seq_len: int) -> None:
    folder, table = run.stage("pack"), block.to_table()
    name = "plan/pretrain/block-{:05d}.arrow"
    with storage.create(folder.file(name.format(0))) as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    checksum = file_checksum(folder.file(name.format(0)))
    entries = [
        {"file": name.format(number), "first_pack": first, "packs": min(block.packs, packs - first),
         "pieces": block.pieces, "checksum": _UNREAD if number else checksum}
        for number, first in enumerate(range(0, packs, block.packs))
    ]  # fmt: skip
    plan = {"seq_len": seq_len, "packs": packs, "plan_hash": _MARK, "global_batch_packs": 64, "blocks": entries}
    manifest = Manifest(
        stage="pack", fingerprint=_MARK, upstream={"bucket": _MARK}, seed=0, facts={"plans": {"pretrain": plan}}
    )
    write_manifest(folder.manifest_uri, manifest)
