"""Rows of Arrow batches as documents: what Parquet and Arrow sources share.

Text is taken from the column's buffers value by value; only the small fields become Python objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from lc_data.corpus.readers.fields import map_record
from lc_data.corpus.readers.record import Fault, InputFault, Record, reject
from lc_data.recipe.sources import ArrowSource, ParquetSource

ColumnSource = ParquetSource | ArrowSource

BATCH_BYTES = 8 << 20
"""How much of a file is decoded at a time, as far as its rows allow."""


def wanted_columns(schema: pa.Schema, source: ColumnSource) -> list[str]:
    """The columns that the recipe maps; raises :class:`InputFault` when the text is not among them or is no text."""
    fields = source.fields
    if fields.text not in schema.names:
        there = ", ".join(sorted(schema.names)[:20])
        raise InputFault("missing text", f"there is no column {fields.text!r}; there are {there}")
    kind = schema.field(fields.text).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (_is_text(kind) or pa.types.is_null(kind)):
        raise InputFault("wrong type", f"column {fields.text!r} holds {kind}, not strings")
    named = {fields.id, fields.domain, fields.license, fields.language, fields.source, *fields.metadata}
    return [fields.text, *(name for name in schema.names if name in named and name != fields.text)]


def read_rows(batch: pa.RecordBatch, source: ColumnSource, stem: str, first: int = 0) -> Iterator[Record]:
    """A record for every row, addressed by ``stem`` and its number, counted from ``first``."""
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    texts = columns.pop(source.fields.text)
    for row in range(batch.num_rows):
        address = f"{stem}{first + row}"
        text = _text(texts[row])
        try:
            record = {name: _field(name, column[row]) for name, column in columns.items()}
            record[source.fields.text] = text
            yield map_record(record, source, address)
        except Fault as fault:
            yield reject(source, address, fault, text or b"")


def _text(cell: Any) -> bytes | None:
    """The bytes of a text cell, not yet known to be UTF-8."""
    if isinstance(cell, pa.DictionaryScalar) and cell.is_valid:
        cell = cell.value
    return cell.as_buffer().to_pybytes() if cell.is_valid else None


def _field(name: str, cell: Any) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError as error:
        raise Fault("invalid UTF-8", f"field {name!r}: {error.reason} at byte {error.start}") from None


def _is_text(kind: pa.DataType) -> bool:
    checks = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_binary,
        pa.types.is_large_binary,
    )
    return any(check(kind) for check in checks)
