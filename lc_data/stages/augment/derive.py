"""Making derived documents: one task a shard, from a table of groups that planning has left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lc_data.augment.interleave import interleave
from lc_data.augment.parts import KnotTokens, Parts, target_spans, write_tokens
from lc_data.augment.untie_knots import untie_knots
from lc_data.corpus import storage
from lc_data.corpus.derived import write_parts
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.corpus.shard import WrittenTable, read_table
from lc_data.corpus.tokenized import TokenizedCorpus, token_type
from lc_data.corpus.tokenized_writer import Stratum, TokenizedDocuments, span_lists, write_tokenized
from lc_data.engine.task import Task, TaskRecord, about
from lc_data.packing.hashing import child_key
from lc_data.recipe.augment import Interleave, UntieKnots

GROUPS_FILE, MEMBERS_FILE = "groups.arrow", "members.arrow"
"""Below the stage's work folder: a row per derived document, and a row per document that becomes part of one."""

GROUPS_SCHEMA = pa.schema([
    pa.field("transform", pa.uint8(), nullable=False),
    pa.field("stage", pa.uint16(), nullable=False),
    pa.field("ordinal", pa.int64(), nullable=False),
    pa.field("key", pa.uint64(), nullable=False),
    pa.field("first", pa.int64(), nullable=False),
    pa.field("members", pa.int64(), nullable=False),
    pa.field("tokens", pa.int64(), nullable=False),
])  # fmt: skip


@dataclass(frozen=True)
class DeriveJob:
    """One shard of derived documents."""

    run_uri: str
    stratum: Stratum
    first: int
    """Its first row in the table of groups."""
    stop: int
    transforms: tuple[UntieKnots | Interleave, ...]
    knots: KnotTokens | None


def derive(task: Task, folder: StageFolder) -> TaskRecord:
    """Write one shard of derived documents, and what each part of them is."""
    job: DeriveJob = task.payload
    corpus = TokenizedCorpus.open_bucketed(RunFolder(job.run_uri))
    groups = read_table(storage.join(folder.work_uri, GROUPS_FILE)).slice(job.first, job.stop - job.first).to_pylist()
    members = read_table(storage.join(folder.work_uri, MEMBERS_FILE))
    tokens = np.empty(sum(group["tokens"] for group in groups), token_type(corpus.vocab_size).to_pandas_dtype())
    documents: list[Parts] = []
    at = 0
    for group in groups:
        rows = members.slice(group["first"], group["members"])
        document, length, chunks = (rows[name].to_numpy() for name in ("document", "length", "chunks"))
        with about(f"derived document {group['ordinal']} of {job.stratum.domain}, begun by document {document[0]}"):
            parts = _parts(job, group["transform"], document, length, chunks, child_key(group["key"], group["ordinal"]))
            write_tokens(parts, corpus.tokens, job.knots, tokens[at : at + group["tokens"]])
        documents.append(parts)
        at += group["tokens"]
    names = [job.transforms[group["transform"]].name for group in groups]
    written = TokenizedDocuments(
        ids=pa.array(
            [
                f"{name}/{job.stratum.domain}/{group['stage']}/{group['ordinal']}"
                for name, group in zip(names, groups, strict=True)
            ],
            pa.string(),
        ),
        tokens=tokens,
        lengths=np.array([group["tokens"] for group in groups], np.uint32),
        target_spans=span_lists([target_spans(parts) for parts in documents]),
        text_bytes=0,
    )
    target = WrittenTable(folder.uri, f"shards/{task.key}.arrow")
    entry = write_tokenized(target, written, job.stratum, corpus.tokenizer, corpus.domains)
    return TaskRecord(shards=[entry], extra=[write_parts(folder, entry.file, documents)])


def _parts(
    job: DeriveJob, transform: int, document: np.ndarray, length: np.ndarray, chunks: np.ndarray, key: int
) -> Parts:
    options = job.transforms[transform]
    if isinstance(options, UntieKnots):
        return untie_knots(document, length, chunks, options, key)
    return interleave(document, length, chunks, options, key)
