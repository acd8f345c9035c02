"""The second half of bucketing: every task's partial results into one shuffled stratum after another.

An external sort on seeded keys. The driver reads only the indexes; a group task reads its own slice of each partial
file, so all tokens are read once and written once, whatever the size of the corpus.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from lc_data.corpus import storage
from lc_data.corpus.columns import column_field
from lc_data.corpus.mapped_batch import map_batch
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import WrittenTable
from lc_data.corpus.tokenized import TokenizerInfo
from lc_data.corpus.tokenized_partial import PartialIndex, Slice
from lc_data.corpus.tokenized_writer import Stratum, TokenizedDocuments, write_shard_index, write_tokenized
from lc_data.engine.task import Task, TaskRecord
from lc_data.lengths.sharding import cut_key_ranges
from lc_data.recipe.tokens import BucketSection


@dataclass(frozen=True)
class GroupJob:
    """One output shard: the slices it is merged from."""

    stratum: Stratum
    slices: tuple[Slice, ...]
    tokenizer: TokenizerInfo
    domains: tuple[str, ...]
    columns: tuple[str, ...] = ()


def plan_shards(
    partial_uris: Sequence[str],
    tokenizer: TokenizerInfo,
    domains: tuple[str, ...],
    section: BucketSection,
) -> list[Task]:
    """One task per shard, in the order of domain codes, buckets and keys. Reads the indexes, no tokens.

    Holds 12 bytes for each document of the largest stratum.
    """
    indexes = [PartialIndex(uri) for uri in partial_uris]
    tasks = []
    for stratum in sorted(set().union(*(index.strata for index in indexes))):
        columns = [index.stratum(stratum) for index in indexes]
        keys, lengths = (np.concatenate(arrays) for arrays in zip(*columns, strict=True))
        order = np.argsort(keys, kind="stable")
        name = Stratum(domains[stratum[0]], stratum[1])
        for number, cut in enumerate(cut_key_ranges(keys[order], lengths[order], section.shard_tokens)):
            found = (index.slice(stratum, cut.first, cut.last) for index in indexes)
            job = GroupJob(name, tuple(part for part in found if part), tokenizer, domains, section.columns)
            tasks.append(Task(f"{file_name(name.domain)}-b{name.bucket:02d}-{number:04d}", job, max(1, cut.tokens)))
    return tasks


def group(task: Task, folder: StageFolder) -> TaskRecord:
    """Merge slices by key into one shard. Facts: the longest document."""
    job: GroupJob = task.payload
    batches = [part.read() for part in job.slices]
    order = _order(batches)
    views = [view for batch in batches for view in _token_views(batch)]
    in_order = [views[row] for row in order.tolist()]
    lengths = np.array([len(view) for view in in_order], np.uint32)
    ids = _in_order(batches, "id", order)
    documents = TokenizedDocuments(
        ids=ids,
        tokens=np.concatenate(in_order),
        lengths=lengths,
        target_spans=_in_order(batches, "target_spans", order),
        text_bytes=sum(pc.sum(batch["bytes"]).as_py() for batch in batches),
    )
    target = WrittenTable(folder.uri, f"shards/{task.key}.arrow")
    entry = write_tokenized(target, documents, job.stratum, job.tokenizer, job.domains)
    columns = {name: _in_order(batches, column_field(name), order).to_numpy() for name in job.columns}
    write_shard_index(lengths_uri(folder, task.key), lengths, columns)
    longest = int(np.argmax(lengths))
    facts = {"domain": job.stratum.domain, "row": longest, "id": ids[longest].as_py(), "tokens": int(lengths[longest])}
    return TaskRecord(shards=[entry], facts={"longest": facts})


def read_lengths(folder: StageFolder, key: str) -> np.ndarray:
    """The lengths of a shard's documents, uint32 [rows], without opening the shard."""
    batch, _ = map_batch(lengths_uri(folder, key))
    return batch["length"].to_numpy()


def read_column(folder: StageFolder, key: str, name: str) -> np.ndarray:
    """A column of a shard's documents, float32 [rows]: NaN where a document lacks it."""
    batch, _ = map_batch(lengths_uri(folder, key))
    return batch[column_field(name)].to_numpy()


def lengths_uri(folder: StageFolder, key: str) -> str:
    """Where a group task leaves the lengths for the index."""
    return storage.join(folder.work_uri, "group", f"{key}.arrow")


def _order(batches: Sequence[pa.RecordBatch]) -> np.ndarray:
    """The rows of all batches, one after the other, by key and then by id."""
    table = pa.Table.from_batches([batch.select(["key", "id"]) for batch in batches])
    return pc.sort_indices(table, [("key", "ascending"), ("id", "ascending")]).to_numpy()


def _token_views(batch: pa.RecordBatch) -> list[np.ndarray]:
    column = batch["tokens"]
    values, offsets = column.values.to_numpy(), column.offsets.to_numpy()
    return [values[start:end] for start, end in pairwise(offsets.tolist())]


def _in_order(batches: Sequence[pa.RecordBatch], name: str, order: np.ndarray) -> pa.Array:
    chunks: Any = pa.chunked_array([batch[name] for batch in batches])
    return chunks.combine_chunks().take(pa.array(order))


def file_name(domain: str) -> str:
    """A domain's name as part of a file's: letters, digits, ``_`` and ``.``; a hash keeps apart what looks alike."""
    plain = re.sub(r"[^A-Za-z0-9_.]+", "_", domain)[:40]
    return plain if plain == domain else f"{plain}-{xxhash.xxh3_64_hexdigest(domain)[:8]}"
