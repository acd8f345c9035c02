"""A side file of many small rows, written while something larger is: what was rejected, skipped, or its keys.

A file of which every line is broken gives millions of rows; they go to the file as they come and are never all in
memory.
"""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import pyarrow as pa

from lc_data.corpus import storage
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.shard import WrittenTable

_BATCH_ROWS = 4096


class RowFile:
    """An Arrow file that appears when its block ends well and at least one row was added."""

    def __init__(self, folder: str, file: str, schema: pa.Schema) -> None:
        self._where = WrittenTable(folder, file)
        self._schema = schema
        self._columns: list[list[Any]] = [[] for _ in schema]
        self._stack = ExitStack()
        self._writer: pa.RecordBatchWriter | None = None
        self._rows = 0
        self._text_bytes = 0
        self.entry: FileEntry | None = None
        """The manifest entry once the block has ended; ``None`` when there were no rows."""

    def __enter__(self) -> RowFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._columns[0]:
            self._flush()
        self._stack.__exit__(kind, error, trace)
        if kind is None and self._rows:
            self.entry = self._where.entry(self._rows, self._text_bytes)

    def add(self, *values: Any, text_bytes: int = 0) -> None:
        """One row, its values in the order of the schema."""
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        self._rows += 1
        self._text_bytes += text_bytes
        if len(self._columns[0]) >= _BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            sink = self._stack.enter_context(storage.create(storage.join(self._where.folder, self._where.file)))
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = self._stack.enter_context(pa.ipc.new_file(sink, self._schema, options=options))
        arrays = [pa.array(column, field.type) for column, field in zip(self._columns, self._schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._columns = [[] for _ in self._schema]
