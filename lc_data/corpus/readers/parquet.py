"""Parquet, cut by row groups and read in batches whose rows are chosen by their mean size.

Pages are streamed (``pre_buffer`` off, buffered reads): reading a 2 GB row group whole is what makes others run out of
memory. A file's footer is at its end, so a truncated file has no readable row group and is one row of the quarantine;
damage inside a row group costs the rest of that row group.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lc_data.corpus import storage
from lc_data.corpus.readers.columns import BATCH_BYTES, read_rows, wanted_columns
from lc_data.corpus.readers.inputs import Input, InputFile, InputRange, Listing, cut_files, list_source, unreadable
from lc_data.corpus.readers.record import InputFault, Record, Rejection, reject
from lc_data.recipe.sources import ParquetSource

EXTENSIONS = (".parquet", ".pq")


def list_input(source: ParquetSource) -> Listing:
    """The files of the source."""
    return list_source(source, EXTENSIONS)


def cut(listing: Listing, source: ParquetSource, task_bytes: int) -> list[InputRange]:
    """Runs of row groups of about ``task_bytes`` as stored."""
    return cut_files(listing, task_bytes, source.max_bytes, _cut_file)


def read(part: Input, source: ParquetSource, max_record_bytes: int) -> Iterator[Record]:
    """A record a row, addressed by its number in the file."""
    assert isinstance(part, InputRange)
    try:
        with storage.open_input(part.file.uri) as stream, _open(stream, part.file) as file:
            yield from _read_groups(file, part, source)
    except OSError as error:
        yield _refuse(part, source, part.start, unreadable(error, part.weight_bytes))
    except InputFault as fault:
        yield _refuse(part, source, part.start, fault)


def _cut_file(file: InputFile, task_bytes: int, max_bytes: int | None) -> list[InputRange]:
    try:
        with storage.open_input(file.uri) as stream, _open(stream, file) as opened:
            sizes = [_stored_bytes(opened.metadata.row_group(index)) for index in range(opened.metadata.num_row_groups)]
    except (OSError, InputFault):
        return [InputRange(file, 0, 0, file.size_bytes)]  # reading it tells what is wrong with it
    ranges: list[InputRange] = []
    start = weight = total = 0
    for index, size in enumerate(sizes):
        if max_bytes is not None and total >= max_bytes:
            sizes = sizes[:index]
            break
        if weight and weight + size > task_bytes:
            ranges.append(InputRange(file, start, index, weight))
            start, weight = index, 0
        weight += size
        total += size
    return [*ranges, InputRange(file, start, len(sizes), weight)] if weight else ranges


def _read_groups(file: pq.ParquetFile, part: InputRange, source: ParquetSource) -> Iterator[Record]:
    metadata = file.metadata
    columns = wanted_columns(file.schema_arrow, source)
    first_row = sum(metadata.row_group(index).num_rows for index in range(part.start))
    for index in range(part.start, part.stop):
        group = metadata.row_group(index)
        rows = max(1, min(group.num_rows, BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)))
        row = first_row
        try:
            for batch in file.iter_batches(rows, row_groups=[index], columns=columns, use_threads=False):
                yield from read_rows(batch, source, f"{part.file.path}@", row)
                row += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            lost = _stored_bytes(group) * (first_row + group.num_rows - row) // max(group.num_rows, 1)
            yield _refuse(part, source, row, _explain(error, f"row group {index}, from row {row} on: ", lost))
        first_row += group.num_rows


def _open(stream: Any, file: InputFile) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20)
    except (OSError, pa.ArrowException) as error:
        raise _explain(error, "", file.size_bytes) from None


def _refuse(part: InputRange, source: ParquetSource, row: int, fault: InputFault) -> Rejection:
    return reject(source, f"{part.file.path}@{row}", fault, b"", fault.lost_bytes or part.weight_bytes)


def _stored_bytes(group: Any) -> int:
    return sum(group.column(index).total_compressed_size for index in range(group.num_columns)) or 1


def _explain(error: Exception, where: str, lost_bytes: int) -> InputFault:
    if isinstance(error, OSError) and error.errno is not None:
        return unreadable(error, lost_bytes)
    message = str(error).partition("\n")[0][:300]
    return InputFault("broken Parquet", f"{where}{message}", lost_bytes)
