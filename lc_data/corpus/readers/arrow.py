"""Arrow IPC files, cut by record batches, and IPC streams (as Hugging Face datasets caches them), read in one go.

Files are read, not mapped: a mapped file that somebody truncates kills the process that reads it. A file that lost its
footer is read as the stream that it begins with, up to the break.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from lc_data.corpus import storage
from lc_data.corpus.readers.columns import read_rows, wanted_columns
from lc_data.corpus.readers.inputs import (
    Input,
    InputFile,
    InputRange,
    Listing,
    cut_files,
    even_cuts,
    list_source,
    unreadable,
)
from lc_data.corpus.readers.record import InputFault, Record, reject
from lc_data.recipe.sources import ArrowSource

EXTENSIONS = (".arrow", ".feather", ".ipc", ".arrows")
_MAGIC = b"ARROW1"
_WHOLE_STREAM = -1
"""The ``stop`` of a range that is read as a stream, whose number of batches nobody knows."""


def list_input(source: ArrowSource) -> Listing:
    """The files of the source."""
    return list_source(source, EXTENSIONS)


def cut(listing: Listing, source: ArrowSource, task_bytes: int) -> list[InputRange]:
    """Runs of record batches of about ``task_bytes``, as far as a file's batches are alike."""
    return cut_files(listing, task_bytes, source.max_bytes, _cut_file)


def read(part: Input, source: ArrowSource, max_record_bytes: int) -> Iterator[Record]:
    """A record a row, addressed by the number of its batch and its number there: ``path@batch.row``."""
    assert isinstance(part, InputRange)
    number = part.start
    try:
        with storage.open_input(part.file.uri) as stream:
            for number, batch in _read_batches(stream, part):
                chosen = batch.select(wanted_columns(batch.schema, source))
                yield from read_rows(chosen, source, f"{part.file.path}@{number}.")
            return
    except (OSError, pa.ArrowException) as error:
        fault = _explain(error, number, part)
    except InputFault as error:
        fault = error
    yield reject(source, f"{part.file.path}@{number}", fault, b"", part.weight_bytes)


def _explain(error: Exception, number: int, part: InputRange) -> InputFault:
    if isinstance(error, OSError) and error.errno is not None:
        return unreadable(error, part.weight_bytes)
    return InputFault("broken Arrow file", f"at batch {number}: {str(error)[:300]}", part.weight_bytes)


def _cut_file(file: InputFile, task_bytes: int, max_bytes: int | None) -> list[InputRange]:
    batches = _count_batches(file)
    if batches is None:
        return [InputRange(file, 0, _WHOLE_STREAM, file.size_bytes)]
    each = max(file.size_bytes // max(batches, 1), 1)
    wanted = batches if max_bytes is None else min(batches, -(-max_bytes // each))
    pieces = -(-wanted * each // task_bytes)
    return [InputRange(file, low, high, (high - low) * each) for low, high in even_cuts(wanted, pieces)]


def _count_batches(file: InputFile) -> int | None:
    """The record batches of an IPC file; ``None`` for a stream, and for what cannot be opened as a file."""
    try:
        with storage.open_input(file.uri) as stream:
            return int(pa.ipc.open_file(stream).num_record_batches)
    except (OSError, pa.ArrowException):
        return None


def _read_batches(stream: Any, part: InputRange) -> Iterator[tuple[int, pa.RecordBatch]]:
    if part.stop != _WHOLE_STREAM:
        file = pa.ipc.open_file(stream)
        for number in range(part.start, part.stop):
            yield number, file.get_batch(number)
        return
    head = stream.read(8)
    stream.seek(8 if head.startswith(_MAGIC) else 0)
    for number, batch in enumerate(pa.ipc.open_stream(stream)):
        yield number, batch
    if head.startswith(_MAGIC):
        raise InputFault("broken Arrow file", "it has no footer: the file breaks off", part.weight_bytes)
