"""Arrow files of one record batch, mapped: what the tokenised corpus and its indexes are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from lc_data.corpus import storage
from lc_data.failure import Failure


class TokenizedError(Failure):
    """A shard or index that is not what its manifest says, or that cannot be mapped."""


def map_batch(uri: str, zero_copy: Sequence[str] = ()) -> tuple[pa.RecordBatch, pa.Schema]:
    """The only batch of an Arrow file, its ``zero_copy`` columns being views of the file."""
    return read_batch(storage.map_buffer(uri), uri, zero_copy)


def read_batch(whole: pa.Buffer, uri: str, zero_copy: Sequence[str] = ()) -> tuple[pa.RecordBatch, pa.Schema]:
    """The same, of a file that is mapped already; the URI is for messages."""
    try:
        reader = pa.ipc.open_file(whole)
        batches = reader.num_record_batches
        batch = reader.get_batch(0) if batches == 1 else None
    except (pa.ArrowInvalid, OSError) as error:
        raise TokenizedError(f"{uri} is not a whole Arrow file ({error}): run `lc-data bucket` again") from error
    if batch is None:
        raise TokenizedError(
            f"{uri} has {batches} record batches and cannot be mapped as one array: write it as one batch "
            "(table.combine_chunks()), or run `lc-data bucket` again"
        )
    for name in zero_copy:
        if name not in batch.schema.names:
            raise TokenizedError(f"{uri} has no column {name!r}: run `lc-data bucket` again")
        column = batch[name]
        values = column.values if pa.types.is_list(column.type) else column
        data = values.buffers()[1]
        if len(values) and not whole.address <= data.address < whole.address + whole.size:
            raise TokenizedError(
                f"{uri} is compressed and cannot be mapped: write it without compression, or run `lc-data bucket` again"
            )
    return batch, reader.schema


def compare(uri: str, what: str, found: Any, expected: Any) -> None:
    """Raise :class:`TokenizedError` where a file is not what its manifest says."""
    if found != expected:
        raise TokenizedError(
            f"{uri} is not the file that the manifest names: {what} {found!r}, expected {expected!r}; "
            "restore it, or run `lc-data bucket` again"
        )
