"""Work files: what one phase of a stage leaves for the next, below the stage's ``work`` folder.

Arrow IPC, uncompressed, so that a reader maps the file and touches only the batches it asks for: a file holds one batch
for each task that will read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from lc_data.corpus import storage


def write_batches(uri: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write a file of numbered batches, whole or not at all."""
    with storage.create(uri) as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def pick_batches(uri: str, numbers: Iterable[int], columns: tuple[str, ...] | None = None) -> Iterator[pa.RecordBatch]:
    """Some batches of an Arrow file (a work file or a document shard), by number; only some columns where given."""
    with storage.map_input(uri) as source:
        reader = pa.ipc.open_file(source)
        if columns is not None:
            fields = [reader.schema.get_field_index(name) for name in columns]
            reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=fields))
        for number in numbers:
            yield reader.get_batch(number)
