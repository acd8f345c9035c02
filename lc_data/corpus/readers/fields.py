"""From a record's fields to a document, as the recipe maps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from lc_data.corpus.readers.record import Document, Fault, Labels, check_text, make_id
from lc_data.recipe.sources import ArrowSource, ChatSource, FieldNames, JsonlSource, ParquetSource

FieldedSource = JsonlSource | ParquetSource | ArrowSource | ChatSource
"""Sources whose records have fields."""


def map_record(record: Mapping[str, Any], source: FieldedSource, address: str) -> Document:
    """The document of a record; raises :class:`Fault` naming the field that is wrong."""
    labels = map_labels(record, source, address)
    return Document(labels, map_text(record, source), address)


def map_text(record: Mapping[str, Any], source: FieldedSource) -> bytes:
    """The text of a record."""
    name = source.fields.text
    if name not in record:
        raise Fault(
            "missing text", f"no field {name!r}; there are {', '.join(sorted(map(str, record))[:20]) or 'none'}"
        )
    text = record[name]
    if text is None:
        raise Fault("null text", f"field {name!r}")
    if not isinstance(text, str | bytes):
        raise Fault("wrong type", f"field {name!r} is {_type_name(text)}, not a string")
    return check_text(text, source.max_document_bytes)


def map_labels(record: Mapping[str, Any], source: FieldedSource, address: str) -> Labels:
    """Everything of a record but its text."""
    fields = source.fields
    made = make_id(source, address)
    return Labels(
        id=_identifier(record, fields.id) or made,
        domain=_string(record, fields.domain) or source.domain,
        source=_string(record, fields.source) or made,
        license=_string(record, fields.license) or source.license,
        language=_string(record, fields.language) or source.language,
        metadata=_metadata(record, fields),
    )


def _identifier(record: Mapping[str, Any], name: str | None) -> str | None:
    """An id may be a number; it is kept as its decimal digits."""
    value = record.get(name) if name is not None else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _string(record, name)


def _string(record: Mapping[str, Any], name: str | None) -> str | None:
    value = record.get(name) if name is not None else None
    if value is None:
        return None
    if not isinstance(value, str):
        raise Fault("wrong type", f"field {name!r} is {_type_name(value)}, not a string")
    if not value.strip():
        raise Fault("empty field", f"field {name!r} is there and says nothing; leave it out or make it null")
    return value


def _metadata(record: Mapping[str, Any], fields: FieldNames) -> str | None:
    there = {name: record[name] for name in fields.metadata if name in record}
    if not there:
        return None
    try:
        return orjson.dumps(there, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str).decode()
    except orjson.JSONEncodeError as error:
        raise Fault("metadata is not JSON", str(error)) from None


def _type_name(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object", bytes: "binary"}
    return names.get(type(value), type(value).__name__)
