"""Verification of the tokenised corpus: the shards are what planning and streaming take them for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xxhash

from lc_data.corpus.columns import COLUMNS_FILE
from lc_data.corpus.run import RunFolder
from lc_data.corpus.token_chunks import chunk_checksums
from lc_data.corpus.tokenized import INDEX_FILE, TokenizedCorpus, TokenizedError, TokenizedShard
from lc_data.corpus.verify_files import Problem


def verify_tokens(run: RunFolder) -> Iterator[Problem]:
    """Compare every shard with the index, and its tokens with the vocabulary."""
    try:
        corpus = TokenizedCorpus.open_bucketed(run)
    except TokenizedError as error:
        yield INDEX_FILE, str(error)
        return
    wrong = np.flatnonzero(np.searchsorted(corpus.edges_tokens, corpus.length, side="right") != corpus.bucket)
    if len(wrong):
        document = int(wrong[0])
        length, bucket = int(corpus.length[document]), int(corpus.bucket[document])
        yield INDEX_FILE, f"document {document} of {length} tokens is said to be in bucket {bucket}"
    yield from ((COLUMNS_FILE, problem) for problem in _verify_columns(run, corpus))
    first = 0
    for number, entry in enumerate(corpus.shards):
        if entry.facts["first_document"] != first:
            yield entry.file, f"begins with document {first}, the manifest says {entry.facts['first_document']}"
        try:
            shard = corpus.shard(number)
        except TokenizedError as error:
            yield entry.file, str(error)
        else:
            yield from ((entry.file, problem) for problem in verify_shard(corpus, shard, first))
        first += entry.rows


def _verify_columns(run: RunFolder, corpus: TokenizedCorpus) -> Iterator[str]:
    """Values are finite where there are any, and as many documents have one as the manifest says."""
    said = run.stage("bucket").manifest().facts.get("columns", {}).get("documents", [])
    if len(said) != len(corpus.column_names):
        yield f"the manifest names {len(corpus.column_names)} columns and counts the documents of {len(said)}"
        return
    for name, documents in zip(corpus.column_names, said, strict=True):
        try:
            values = corpus.stored_column(name)
        except TokenizedError as error:
            yield str(error)
            return
        there = values.drop_null().to_numpy()
        if len(there) != documents:
            yield f"{len(there)} documents have {name!r}, the manifest says {documents}"
        if not np.isfinite(there).all():
            yield f"a document's {name!r} is {there[~np.isfinite(there)][0]}, not a finite number"


def verify_shard(corpus: TokenizedCorpus, shard: TokenizedShard, first: int) -> Iterator[str]:
    """Compare a shard, its documents numbered from ``first``, with the index, and its tokens with the vocabulary."""
    rows = slice(first, first + len(shard.lengths))
    if not np.array_equal(np.diff(shard.offsets), shard.lengths):
        yield "the column length is not the number of tokens of each document"
    if not np.array_equal(shard.lengths, corpus.length[rows]):
        yield f"its lengths are not those of {INDEX_FILE}"
    code = corpus.domains.index(shard.metadata.domain)
    for column, values, expected in (
        ("domain", shard.batch["domain"].to_numpy(), code),
        ("domain", corpus.domain[rows], code),
        ("bucket", corpus.bucket[rows], shard.metadata.bucket),
    ):
        if (values != expected).any():
            yield f"a document has another {column} than its shard ({expected})"
    highest = int(shard.tokens.max(initial=0))
    if highest >= corpus.vocab_size or int(shard.tokens.min(initial=0)) < 0:
        yield f"holds token {highest}, the vocabulary ends at {corpus.vocab_size - 1}"
    checksum = xxhash.xxh3_128_hexdigest(shard.tokens.data if len(shard.tokens) else b"")
    if checksum != shard.metadata.token_checksum:
        yield f"its tokens have the xxh3-128 {checksum}, its footer says {shard.metadata.token_checksum}"
    chunks = shard.metadata.chunk_tokens
    if chunks and chunk_checksums(shard.tokens, chunks) != shard.metadata.chunk_checksums:
        yield "the checksums of stretches of its tokens in its footer are not those of its tokens"
    yield from _verify_spans(shard)


def _verify_spans(shard: TokenizedShard) -> Iterator[str]:
    column = shard.batch["target_spans"]
    if column.null_count == len(column):
        return
    offsets = column.offsets.to_numpy()
    starts, ends = (part.to_numpy() for part in column.values.flatten())
    length = np.repeat(shard.lengths.astype(np.int64), np.diff(offsets))
    begin = offsets[0]
    starts, ends = starts[begin : offsets[-1]], ends[begin : offsets[-1]]
    wrong = np.flatnonzero((starts < 0) | (starts >= ends) | (ends > length))
    if len(wrong):
        row = int(np.searchsorted(offsets, begin + wrong[0], side="right")) - 1
        yield f"document {shard.id(row)!r} has a target span outside its tokens"
