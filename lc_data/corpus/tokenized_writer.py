"""Writing tokenised shards and their index: one uncompressed record batch a file, so that readers can map it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from lc_data.corpus import storage
from lc_data.corpus.columns import COLUMNS_FILE, column_field, columns_schema
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.shard import WrittenTable
from lc_data.corpus.token_chunks import CHUNK_BYTES, checksum_of, chunk_checksums
from lc_data.corpus.tokenized import (
    INDEX_FILE,
    INDEX_SCHEMA,
    METADATA_KEY,
    SPAN_TYPE,
    TOKENIZED_FORMAT_VERSION,
    ShardMetadata,
    TokenizerInfo,
    token_type,
    tokenized_schema,
)


@dataclass(frozen=True)
class Stratum:
    """What all documents of a shard have in common."""

    domain: str
    bucket: int


@dataclass(frozen=True)
class TokenizedDocuments:
    """Documents in their final order."""

    ids: pa.Array
    """string [rows]"""
    tokens: npt.NDArray[Any]
    """uint16 or int32 [tokens]: all documents, one after the other"""
    lengths: npt.NDArray[np.uint32]
    """uint32 [rows]"""
    target_spans: pa.Array
    """list<SPAN_TYPE> [rows], nullable"""
    text_bytes: int
    """UTF-8 bytes of their text"""


def write_tokenized(
    target: WrittenTable,
    documents: TokenizedDocuments,
    stratum: Stratum,
    tokenizer: TokenizerInfo,
    domains: Sequence[str],
) -> FileEntry:
    """Write one shard. Its entry's facts are ``domain``, ``bucket``, ``token_checksum`` and ``chunks_checksum``.

    Raises ValueError when the tokens' type is not that of the vocabulary, or above 2^31 - 1 tokens (32-bit offsets).
    """
    stored = token_type(tokenizer.vocab_size)
    if pa.from_numpy_dtype(documents.tokens.dtype) != stored:
        raise ValueError(f"tokens are {documents.tokens.dtype}; a vocabulary of {tokenizer.vocab_size} needs {stored}")
    if len(documents.tokens) >= 1 << 31:
        raise ValueError(f"{len(documents.tokens)} tokens in one shard; lower bucket.shard_tokens below 2^31")
    chunk_tokens = CHUNK_BYTES // documents.tokens.itemsize
    metadata = ShardMetadata(
        format_version=TOKENIZED_FORMAT_VERSION,
        tokenizer=tokenizer,
        domains=tuple(domains),
        domain=stratum.domain,
        bucket=stratum.bucket,
        documents=len(documents.ids),
        tokens=len(documents.tokens),
        token_checksum=xxhash.xxh3_128_hexdigest(documents.tokens.data),
        chunk_tokens=chunk_tokens,
        chunk_checksums=chunk_checksums(documents.tokens, chunk_tokens),
    )
    schema = tokenized_schema(stored).with_metadata({METADATA_KEY: metadata.as_json()})
    code = list(domains).index(stratum.domain)
    columns = [
        documents.ids,
        pa.array(np.full(len(documents.ids), code, np.uint16)),
        pa.array(documents.lengths),
        token_lists(documents.tokens, documents.lengths),
        documents.target_spans,
    ]
    _write(target, pa.record_batch(columns, schema=schema))
    entry = target.entry(len(documents.ids), documents.text_bytes, len(documents.tokens))
    facts = {
        "domain": stratum.domain,
        "bucket": stratum.bucket,
        "token_checksum": metadata.token_checksum,
        "chunks_checksum": checksum_of(metadata.chunk_checksums),
    }
    return entry.model_copy(update={"facts": facts})


def write_index(folder: str, lengths: npt.NDArray, domains: npt.NDArray, buckets: npt.NDArray) -> FileEntry:
    """Write ``index.arrow``: one row per document in the order of the shards."""
    columns = [
        pa.array(values).cast(field.type)
        for values, field in zip((lengths, domains, buckets), INDEX_SCHEMA, strict=True)
    ]
    target = WrittenTable(folder, INDEX_FILE)
    _write(target, pa.record_batch(columns, schema=INDEX_SCHEMA))
    return target.entry(len(lengths), text_bytes=0, tokens=int(np.sum(lengths, dtype=np.int64)))


def write_columns(folder: str, columns: Mapping[str, pa.Array]) -> FileEntry:
    """Write ``columns.arrow``: one row per document in the order of the index, float32, null where it lacks a value."""
    batch = pa.record_batch(list(columns.values()), schema=columns_schema(list(columns)))
    target = WrittenTable(folder, COLUMNS_FILE)
    _write(target, batch)
    return target.entry(batch.num_rows, text_bytes=0)


def write_shard_index(
    uri: str, lengths: npt.NDArray[np.uint32], columns: Mapping[str, npt.NDArray[np.float32]]
) -> None:
    """Write ``length`` and the columns of one shard's documents, for the writer of the whole index."""
    schema = pa.schema([INDEX_SCHEMA.field("length"), *columns_schema(list(map(column_field, columns)))])
    batch = pa.record_batch([pa.array(lengths), *map(pa.array, columns.values())], schema=schema)
    with storage.create(uri) as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def token_lists(tokens: npt.NDArray, lengths: npt.NDArray[np.uint32]) -> pa.ListArray:
    """Tokens as a list column over the same memory."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    item = pa.field("item", pa.from_numpy_dtype(tokens.dtype), nullable=False)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(tokens), type=pa.list_(item))


def span_lists(spans: Sequence[Sequence[tuple[int, int]] | None]) -> pa.Array:
    """Target spans as a column: for each document its (start, end) pairs, or None where all tokens are targets."""
    rows = [None if pairs is None else [{"start": start, "end": end} for start, end in pairs] for pairs in spans]
    return pa.array(rows, pa.list_(pa.field("item", SPAN_TYPE, nullable=False)))


def _write(target: WrittenTable, batch: pa.RecordBatch) -> None:
    with (
        storage.create(storage.join(target.folder, target.file)) as sink,
        pa.ipc.new_file(sink, batch.schema) as writer,
    ):
        writer.write_batch(batch)
