"""JSON Lines: plain, .gz or .zst; plain files are cut by bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from lc_data.corpus.readers.fields import FieldedSource, map_record
from lc_data.corpus.readers.inputs import Input, InputRange, Listing, cut_files, list_source
from lc_data.corpus.readers.lines import Line, cut_lines, read_lines
from lc_data.corpus.readers.record import Document, Fault, InputFault, Record, check_unicode, reject
from lc_data.recipe.sources import ChatSource, JsonlSource

EXTENSIONS = tuple(f"{name}{ending}" for name in (".jsonl", ".ndjson") for ending in ("", ".gz", ".zst", ".zstd"))
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

MapRecord = Callable[[dict[str, Any], Any, str], Document]
"""(record, source, address) -> document, or a :class:`Fault`."""


def list_input(source: JsonlSource | ChatSource) -> Listing:
    """The files of the source."""
    return list_source(source, EXTENSIONS)


def cut(listing: Listing, source: JsonlSource | ChatSource, task_bytes: int) -> list[InputRange]:
    """Byte ranges of about ``task_bytes``."""
    return cut_files(listing, task_bytes, source.max_bytes, cut_lines)


def read(part: Input, source: JsonlSource, max_record_bytes: int) -> Iterator[Record]:
    """One record a line; blank lines are no records."""
    return read_objects(part, source, max_record_bytes, map_record)


def read_objects(part: Input, source: FieldedSource, max_record_bytes: int, make: MapRecord) -> Iterator[Record]:
    """Every line of a range through ``make``."""
    assert isinstance(part, InputRange)
    for line in read_lines(part, max_record_bytes):
        if line.fault is not None or line.data.strip():
            address = f"{part.file.path}@{line.offset}"
            record = _one(line, source, address, make)
            del line  # a large one would stay in memory while its document is written
            yield record


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object; raises :class:`Fault` saying what is wrong with it."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        check_unicode(data)
        if b"\0" in data:
            raise Fault("NUL bytes", f"the first at byte {data.index(0)} of the line") from None
        raise Fault("broken JSON", str(error)) from None
    if not isinstance(value, dict):
        raise Fault("not an object", f"the line holds {type(value).__name__}")
    return value


def _one(line: Line, source: FieldedSource, address: str, make: MapRecord) -> Record:
    if line.fault is not None:
        size = line.size
        if isinstance(line.fault, InputFault):
            size = max(size, line.fault.lost_bytes)
        return reject(source, address, line.fault, line.data, size)
    data = line.data
    if line.offset == 0:
        data = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        return make(parse_object(data), source, address)
    except Fault as fault:
        return reject(source, address, fault, data)
