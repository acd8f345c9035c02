"""Document shards: Arrow IPC files of bounded batches, written atomically and read through a memory map.

Batches are bounded by bytes of text, never by rows: a thousand tweets and a thousand books differ by four orders of
magnitude. A document larger than the bound is a batch of its own. Text is compressed with LZ4, which reads at about
2 GB/s per core and takes a third of the disk off; tokenised shards stay uncompressed so that they can be mapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus import storage
from lc_data.corpus.document import DOCUMENT_SCHEMA
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.manifest import FileEntry

BATCH_BYTES = 8 << 20
"""Text in one record batch, unless one document is larger."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True)
class WrittenTable:
    """How an Arrow file is written below a stage's folder."""

    folder: str
    """URI of the stage's folder."""
    file: str
    """Name below it, as the manifest will name it."""

    def entry(self, rows: int, text_bytes: int, tokens: int = 0) -> FileEntry:
        """The manifest entry of the file, read back from storage so that its checksum is of what is really there."""
        uri = storage.join(self.folder, self.file)
        return FileEntry(
            file=self.file,
            rows=rows,
            bytes=storage.size_bytes(uri),
            text_bytes=text_bytes,
            tokens=tokens,
            checksum=file_checksum(uri),
        )


def write_documents(folder: str, file: str, tables: Iterable[pa.Table]) -> FileEntry:
    """Write documents as one shard, in bounded batches whose borders depend on the documents alone."""
    rows = text_bytes = 0
    with (
        storage.create(storage.join(folder, file)) as sink,
        pa.ipc.new_file(sink, DOCUMENT_SCHEMA, options=_OPTIONS) as writer,
    ):
        for batch in bound_batches(tables):
            writer.write_batch(batch)
            rows += batch.num_rows
            text_bytes += sum_bytes(batch)
    return WrittenTable(folder, file).entry(rows, text_bytes)


def write_rows(folder: str, file: str, rows: list[dict], schema: pa.Schema) -> FileEntry | None:
    """Write dropped or quarantined rows; nothing, and ``None``, when there are none."""
    if not rows:
        return None
    table = pa.Table.from_pylist(rows, schema=schema)
    with (
        storage.create(storage.join(folder, file)) as sink,
        pa.ipc.new_file(sink, schema, options=_OPTIONS) as writer,
    ):
        writer.write_table(table)
    return WrittenTable(folder, file).entry(len(rows), sum(row["bytes"] for row in rows))


def write_table(folder: str, file: str, table: pa.Table, tokens: int = 0) -> FileEntry:
    """Write a table that readers map: uncompressed, in one record batch."""
    with storage.create(storage.join(folder, file)) as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return WrittenTable(folder, file).entry(table.num_rows, 0, tokens)


def read_batches(uri: str) -> Iterator[pa.RecordBatch]:
    """The record batches of a shard, one at a time.

    A local file is mapped anew for each batch: the pages of a 50 MB document, once read, no longer count as memory.
    """
    with storage.map_input(uri) as source:
        reader = pa.ipc.open_file(source)
        batches = reader.num_record_batches
        if not storage.is_local(uri):
            for number in range(batches):
                yield reader.get_batch(number)
            return
        del reader
    for number in range(batches):
        with storage.map_input(uri) as source:
            batch = pa.ipc.open_file(source).get_batch(number)
        yield batch


def read_part(uri: str, part: int, parts: int) -> Iterator[pa.RecordBatch]:
    """The record batches of one of ``parts`` equal parts of a shard; the other batches are not read."""
    with storage.map_input(uri) as source:
        reader = pa.ipc.open_file(source)
        batches = reader.num_record_batches
        for number in range(batches * part // parts, batches * (part + 1) // parts):
            yield reader.get_batch(number)


def read_table(uri: str) -> pa.Table:
    """A whole Arrow file as a table (memory-mapped where it is local and uncompressed)."""
    with storage.map_input(uri) as source:
        return pa.ipc.open_file(source).read_all()


def bound_batches(tables: Iterable[pa.Table | pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Regroup documents, in order, into batches of at most ``BATCH_BYTES`` of text or of one larger document.

    The borders depend on the documents alone, not on how the input was grouped.
    """
    pending: list[pa.Table] = []
    pending_bytes = 0
    for table in tables:
        whole = _as_table(table)
        ends = np.concatenate([[0], np.cumsum(pc.binary_length(whole["text"]).to_numpy())])
        start = 0
        while start < whole.num_rows:
            fits = ends[start] + BATCH_BYTES - pending_bytes
            stop = int(np.searchsorted(ends, fits, side="right")) - 1
            if stop <= start and pending:
                yield _one_batch(pending)
                pending, pending_bytes = [], 0
                continue
            stop = max(stop, start + 1)
            pending.append(whole.slice(start, stop - start))
            pending_bytes += int(ends[stop] - ends[start])
            start = stop
    if pending:
        yield _one_batch(pending)


def sum_bytes(batch: pa.RecordBatch | pa.Table) -> int:
    """UTF-8 bytes of text in a batch of documents."""
    return pc.sum(pc.binary_length(batch["text"])).as_py() or 0


def _as_table(table: pa.Table | pa.RecordBatch) -> pa.Table:
    whole = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
    return whole.select(DOCUMENT_SCHEMA.names).cast(DOCUMENT_SCHEMA)


def _one_batch(pieces: list[pa.Table]) -> pa.RecordBatch:
    return pa.concat_tables(pieces).combine_chunks().to_batches()[0]
