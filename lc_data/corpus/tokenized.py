"""The tokenised corpus: one Arrow file per shard, mapped, never copied.

A shard is uncompressed and holds one record batch, so that all its tokens are one contiguous array on disk: a piece
of a document is then a view of the page cache, and drawing a stratum's documents reads forward. Planning reads the
index alone, seven bytes a document. This module is what a training node needs of the corpus: numpy and pyarrow.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus import storage
from lc_data.corpus.columns import COLUMNS_FILE, columns_schema
from lc_data.corpus.manifest import FileEntry, Manifest
from lc_data.corpus.mapped_batch import TokenizedError as TokenizedError  # noqa: PLC0414 - raised here, caught with it
from lc_data.corpus.mapped_batch import compare, read_batch
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.corpus.token_chunks import checksum_of
from lc_data.packing.column_view import view_column

TOKENIZED_FORMAT_VERSION = 1
INDEX_FILE = "index.arrow"
METADATA_KEY = b"lc_data.tokenized"
"""Key of the shard's schema metadata (repeated in its footer): a JSON object, see :class:`ShardMetadata`."""

UINT16_VOCABULARY = 1 << 16
"""The largest vocabulary whose tokens are stored in two bytes."""

SPAN_TYPE = pa.struct([pa.field("start", pa.int32(), nullable=False),
                       pa.field("end", pa.int32(), nullable=False)])  # fmt: skip
"""Tokens ``start`` to ``end`` (exclusive) of a document."""

INDEX_SCHEMA = pa.schema([
    pa.field("length", pa.uint32(), nullable=False),
    pa.field("domain", pa.uint16(), nullable=False),
    pa.field("bucket", pa.uint8(), nullable=False),
])  # fmt: skip
"""One row per document over all shards in manifest order: the row number is the document number."""


def token_type(vocab_size: int) -> pa.DataType:
    """How tokens of a vocabulary are stored: uint16 where every id fits, int32 otherwise."""
    return pa.uint16() if vocab_size <= UINT16_VOCABULARY else pa.int32()


def tokenized_schema(tokens: pa.DataType) -> pa.Schema:
    """The columns of a tokenised shard. A null ``target_spans`` means that all tokens are targets."""
    return pa.schema([
        pa.field("id", pa.string(), nullable=False),
        pa.field("domain", pa.uint16(), nullable=False),
        pa.field("length", pa.uint32(), nullable=False),
        pa.field("tokens", pa.list_(pa.field("item", tokens, nullable=False)), nullable=False),
        pa.field("target_spans", pa.list_(pa.field("item", SPAN_TYPE, nullable=False))),
    ])  # fmt: skip


@dataclass(frozen=True)
class TokenizerInfo:
    """The tokenizer that a corpus was made with: enough to refuse another one, and to pad."""

    name: str
    file: str
    """Below the stage's folder."""
    hash: str
    """xxh3-128 of its tokenizer.json."""
    vocab_size: int
    """Highest id + 1: what an embedding needs."""
    bos_id: int | None
    """Put before every document, or none."""
    eos_id: int | None
    """Put after every document, or none."""
    pad_id: int
    """Fills rows; it is never a target, so any id would do."""


@dataclass(frozen=True)
class ShardMetadata:
    """What a tokenised shard says of itself."""

    format_version: int
    tokenizer: TokenizerInfo
    domains: tuple[str, ...]
    """Name of each domain code."""
    domain: str
    bucket: int
    documents: int
    tokens: int
    token_checksum: str
    """xxh3-128 of the tokens, as stored."""
    chunk_tokens: int = 0
    chunk_checksums: str = ""
    """Of every ``chunk_tokens`` tokens, see ``lc_data.corpus.token_chunks``; empty in a shard that has none."""

    def as_json(self) -> bytes:
        """The value under ``METADATA_KEY``."""
        whole = {field.name: getattr(self, field.name) for field in fields(self)} | {"tokenizer": vars(self.tokenizer)}
        return json.dumps(whole, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, value: bytes) -> ShardMetadata:
        """The inverse of ``as_json``."""
        whole = json.loads(value)
        whole["tokenizer"] = TokenizerInfo(**whole["tokenizer"])
        return cls(**whole | {"domains": tuple(whole["domains"])})


@dataclass(frozen=True)
class TokenizedShard:
    """One shard, mapped. Arrays are read-only views of the file."""

    uri: str
    metadata: ShardMetadata
    tokens: npt.NDArray[Any]
    """uint16 or int32 [tokens]: all documents, one after the other."""
    offsets: npt.NDArray[np.int32]
    """int32 [rows + 1]: row r is ``tokens[offsets[r]:offsets[r + 1]]``."""
    batch: pa.RecordBatch

    @property
    def lengths(self) -> npt.NDArray[np.uint32]:
        """Tokens of each row, uint32 [rows]."""
        return view_column(self.batch["length"])

    def id(self, row: int) -> str:
        """The id of a row's document."""
        return self.batch["id"][row].as_py()

    def tokens_of(self, row: int, start: int = 0, length: int | None = None) -> npt.NDArray[Any]:
        """Tokens ``start`` to ``start + length`` of a row's document (all that follow by default): a view.

        Raises ValueError for a range outside the document.
        """
        begin, end = self.offsets.item(row), self.offsets.item(row + 1)
        stop = end if length is None else begin + start + length
        if not begin <= begin + start <= stop <= end:
            raise ValueError(f"tokens {start} to {stop - begin} of document {self.id(row)}, which has {end - begin}")
        return self.tokens[begin + start : stop]

    def target_spans(self, row: int) -> npt.NDArray[np.int32] | None:
        """int32 [n, 2]: (start, end) token positions in the document where the loss counts; None where all do."""
        spans = self.batch["target_spans"]
        if not spans[row].is_valid:
            return None
        begin, end = spans.offsets[row].as_py(), spans.offsets[row + 1].as_py()
        starts, ends = spans.values.slice(begin, end - begin).flatten()
        return np.stack([view_column(starts), view_column(ends)], axis=1)


def read_shard(whole: pa.Buffer, uri: str) -> TokenizedShard:
    """A shard whose file is mapped; the URI is for messages.

    :class:`TokenizedError` names one that is not in the one-batch, uncompressed format.
    """
    batch, schema = read_batch(whole, uri, ("tokens",))
    if METADATA_KEY not in (schema.metadata or {}):
        raise TokenizedError(f"{uri} is no tokenised shard: its metadata has no {METADATA_KEY.decode()!r}")
    metadata = ShardMetadata.from_json(schema.metadata[METADATA_KEY])
    if metadata.format_version != TOKENIZED_FORMAT_VERSION:
        raise TokenizedError(
            f"{uri} has format {metadata.format_version}; this version reads {TOKENIZED_FORMAT_VERSION}: "
            "run `lc-data bucket` again"
        )
    if schema.remove_metadata() != tokenized_schema(token_type(metadata.tokenizer.vocab_size)):
        raise TokenizedError(f"{uri} has other columns than a tokenised shard:\n{schema.remove_metadata()}")
    column = batch["tokens"]
    return TokenizedShard(uri, metadata, view_column(column.values), view_column(column.offsets), batch)


class TokenizedCorpus:
    """All tokenised documents of a run, by document number: those of the stage bucket, then derived ones of augment.

    Shards are mapped when first read and stay mapped (a map keeps no file handle open), local copies of remote shards
    within the bytes that ``run.copies`` allows. Instances can be pickled: another process opens its own maps.
    """

    def __init__(self, run: RunFolder, manifest: Manifest, derived: Manifest | None = None) -> None:
        self._run, self._manifest, self._derived = run, manifest, derived
        self._folder = run.stage("bucket")
        self._shard_entries = [*manifest.shards, *(derived.shards if derived else ())]
        facts = manifest.facts
        self.tokenizer = TokenizerInfo(**facts["tokenizer"])
        self.domains: tuple[str, ...] = tuple(facts["domains"])
        """Name of each domain code."""
        self.purposes: dict[str, str] = facts["purposes"]
        """``pretrain`` or ``sft`` by domain name."""
        self.edges_tokens: tuple[int, ...] = tuple(facts["edges_tokens"])
        """Bucket k holds documents of at least ``edges_tokens[k - 1]`` and less than ``edges_tokens[k]`` tokens."""
        self.fingerprint = manifest.fingerprint
        self._first = [entry.facts["first_document"] for entry in self._shard_entries]
        self._shards: dict[int, TokenizedShard] = {}
        """Those that are mapped, in the order in which they were opened."""
        index = [self._open_beside(INDEX_FILE, INDEX_SCHEMA, each) for each in (manifest, derived) if each]
        self.bucketed_count = index[0].num_rows
        """Documents of the stage bucket; those from this number on are derived of them."""
        self.length: npt.NDArray[np.uint32] = _joined(index, "length")
        """uint32 [documents]: tokens, BOS and EOS included."""
        self.domain: npt.NDArray[np.uint16] = _joined(index, "domain")
        """uint16 [documents]: domain code."""
        self.bucket: npt.NDArray[np.uint8] = _joined(index, "bucket")
        """uint8 [documents]: length bucket."""

    @classmethod
    def open(cls, run: RunFolder) -> TokenizedCorpus:
        """The corpus of a run, with what augment made of the present one.

        Raises ``ManifestError`` when the bucket stage has not been run to its end.
        """
        manifest, augment = run.stage("bucket").manifest(), run.stage("augment")
        derived = augment.manifest() if augment.is_published() else None
        is_present = derived is not None and derived.upstream.get("bucket") == manifest.fingerprint
        return cls(run, manifest, derived if is_present else None)

    @classmethod
    def open_bucketed(cls, run: RunFolder) -> TokenizedCorpus:
        """The same without derived documents: what is drawn from, and what they are made of."""
        return cls(run, run.stage("bucket").manifest())

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenizedCorpus, (self._run, self._manifest, self._derived)

    @property
    def document_count(self) -> int:
        """Documents in all shards."""
        return len(self.length)

    @property
    def vocab_size(self) -> int:
        """Highest token id + 1."""
        return self.tokenizer.vocab_size

    @property
    def column_names(self) -> tuple[str, ...]:
        """The measures that ``bucket.columns`` kept, in the recipe's order."""
        return tuple(self._manifest.facts.get("columns", {}).get("names", ()))

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """A measure of every document, float32 [documents]: NaN where a document lacks it.

        Raises :class:`TokenizedError` naming the columns that are there, or a file that is not the manifest's.
        """
        if name not in self.column_names:
            there = ", ".join(self.column_names) or "none"
            raise TokenizedError(
                f"the corpus has no column {name!r} (there: {there}); name it in bucket.columns and run `lc-data "
                "bucket`"
            )
        return self.stored_column(name).to_numpy(zero_copy_only=False)

    def stored_column(self, name: str) -> pa.Array:
        """The same as it is stored: float32, null where a document lacks it, as derived ones do."""
        stored = self._open_beside(COLUMNS_FILE, columns_schema(self.column_names), self._manifest)[name]
        if self._derived is None:
            return stored
        return pa.concat_arrays([stored, pa.nulls(self.document_count - len(stored), stored.type)])

    @property
    def shards(self) -> Sequence[FileEntry]:
        """The manifest's entries, in the order of document numbers."""
        return self._shard_entries

    def locate(self, document: int) -> tuple[int, int]:
        """The shard (its ordinal) and the row of a document. Raises IndexError outside ``document_count``."""
        if not 0 <= document < self.document_count:
            raise IndexError(f"document {document} of a corpus of {self.document_count}")
        shard = bisect_right(self._first, document) - 1
        return shard, document - self._first[shard]

    def locate_all(self, documents: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The same of many documents, each int64 [n]."""
        outside = (documents < 0) | (documents >= self.document_count)
        if outside.any():
            raise IndexError(f"document {documents[outside][0]} of a corpus of {self.document_count}")
        shard = np.searchsorted(self._first, documents, side="right") - 1
        return shard, documents - np.array(self._first, np.int64)[shard]

    @property
    def is_copied(self) -> bool:
        """Whether shards are mapped from local copies of remote ones."""
        return self._folder.is_copied

    def shard(self, number: int) -> TokenizedShard:
        """A shard, mapped and compared with the manifest on first use; a changed one raises and is named."""
        opened = self._shards.get(number)
        if opened is None:
            opened = self._shards[number] = self._open_shard(number)
            self._let_go()
        return opened

    def copy_shard(self, number: int) -> None:
        """Make the local copy of a remote shard, so that ``shard`` will not have to wait for it."""
        self._folder_of(number).copy(self.shards[number].file, self.shards[number].checksum)

    def tokens(self, document: int, start: int = 0, length: int | None = None) -> npt.NDArray[Any]:
        """Tokens ``start`` to ``start + length`` of a document (all that follow by default): a view, not a copy.

        Its type is uint16 or int32, by vocabulary. Raises ValueError for a range outside the document.
        """
        number, row = self.locate(document)
        return self.shard(number).tokens_of(row, start, length)

    def target_spans(self, document: int) -> npt.NDArray[np.int32] | None:
        """int32 [n, 2]: token positions in the document where the loss counts; None where it counts everywhere."""
        number, row = self.locate(document)
        return self.shard(number).target_spans(row)

    def document_id(self, document: int) -> str:
        """The id that the document has carried since ingest."""
        number, row = self.locate(document)
        return self.shard(number).id(row)

    def find(self, document_id: str) -> int | None:
        """The number of the document with this id, or None: a scan of the shards' ids, never of their tokens."""
        for number, first in enumerate(self._first):
            row = pc.index(self.shard(number).batch["id"], document_id).as_py()
            if row >= 0:
                return int(first + row)
        return None

    def _folder_of(self, number: int) -> StageFolder:
        """The folder of a shard's stage."""
        return self._folder if number < len(self._manifest.shards) else self._run.stage("augment")

    def _open_beside(self, file: str, expected: pa.Schema, manifest: Manifest) -> pa.RecordBatch:
        """Map a file with one row a document of a stage, compared with its manifest and its schema."""
        folder = self._run.stage(manifest.stage)
        entry = next((entry for entry in manifest.extra if entry.file == file), None)
        if entry is None:
            raise TokenizedError(f"{folder.manifest_uri} names no {file}: run `lc-data {manifest.stage}` again")
        uri = folder.file(file)
        batch, schema = read_batch(self._map(folder, entry), uri, expected.names)
        if schema.remove_metadata() != expected:
            raise TokenizedError(f"{uri} has other columns than expected:\n{schema}")
        compare(uri, "rows", batch.num_rows, entry.rows)
        compare(uri, "rows", batch.num_rows, sum(shard.rows for shard in manifest.shards))
        return batch

    def _open_shard(self, number: int) -> TokenizedShard:
        entry, folder = self.shards[number], self._folder_of(number)
        uri = folder.file(entry.file)
        shard = read_shard(self._map(folder, entry), uri)
        compare(uri, "rows", shard.batch.num_rows, entry.rows)
        compare(uri, "tokens", len(shard.tokens), entry.tokens)
        compare(uri, "token checksum", shard.metadata.token_checksum, entry.facts["token_checksum"])
        compare(uri, "chunks", checksum_of(shard.metadata.chunk_checksums), entry.facts.get("chunks_checksum"))
        compare(uri, "tokenizer hash", shard.metadata.tokenizer.hash, self.tokenizer.hash)
        compare(uri, "domain table", shard.metadata.domains, self.domains)
        return shard

    def _map(self, folder: StageFolder, entry: FileEntry) -> pa.Buffer:
        uri = folder.file(entry.file)
        if not folder.is_copied:  # a copy is compared with the checksum, which says more
            if not storage.exists(uri):
                raise TokenizedError(
                    f"{uri}, which the manifest names, does not exist: restore it, or run `lc-data bucket`"
                )
            compare(uri, "bytes", storage.size_bytes(uri), entry.bytes)
        return folder.map(entry.file, entry.checksum)

    def _let_go(self) -> None:
        """Unmap the copies that were opened longest ago: a mapped file takes its disk space even when removed."""
        copies = self._folder.copies
        if copies is None or not self._folder.is_copied:
            return
        mapped = {number: self.shards[number].bytes for number in self._shards}
        for number in list(mapped)[:-1]:
            if sum(mapped.values()) <= copies.max_bytes:
                return
            del self._shards[number], mapped[number]


def _joined(index: Sequence[pa.RecordBatch], name: str) -> npt.NDArray[Any]:
    """A column over all parts of the index: a view where there is only one."""
    columns = [view_column(part[name]) for part in index]
    return columns[0] if len(columns) == 1 else np.concatenate(columns)
