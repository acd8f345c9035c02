"""The document: what every stage before tokenising reads and writes.

Text stays in Arrow buffers with 64-bit offsets: 32-bit ones break at 2 GiB of text in one batch, which a few thousand
books reach.
"""

from __future__ import annotations

import pyarrow as pa

PART_TYPE = pa.struct([pa.field("source", pa.string(), nullable=False),
                       pa.field("offset", pa.int64(), nullable=False),
                       pa.field("length", pa.int64(), nullable=False)])  # fmt: skip
"""A piece of a joined document: where it came from, and where it lies in the text, in UTF-8 bytes."""

DOCUMENT_SCHEMA = pa.schema([
    pa.field("id", pa.string(), nullable=False),
    pa.field("text", pa.large_string(), nullable=False),
    pa.field("domain", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("license", pa.string()),
    pa.field("language", pa.string()),
    pa.field("parts", pa.list_(PART_TYPE)),
    pa.field("metadata", pa.string()),
])  # fmt: skip
"""One row per document. ``text`` is NUL-free Unicode, kept as it came; ``metadata`` is a JSON object."""

DROPPED_SCHEMA = pa.schema([
    pa.field("id", pa.string(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("domain", pa.string(), nullable=False),
    pa.field("bytes", pa.int64(), nullable=False),
    pa.field("detail", pa.string()),
])  # fmt: skip
"""One row per document that a stage removed: by which rule, and what the rule measured (JSON)."""

QUARANTINE_SCHEMA = pa.schema([
    pa.field("source", pa.string(), nullable=False),
    pa.field("domain", pa.string(), nullable=False),
    pa.field("address", pa.string(), nullable=False),
    pa.field("bytes", pa.int64(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("detail", pa.string()),
    pa.field("sample", pa.binary()),
])  # fmt: skip
"""One row per input that could not be read: its file and address, its size, why, and its first bytes."""

MESSAGE_PART_PREFIX = "message/"


def message_part(index: int, role: str) -> str:
    """The part name of one message of a dialogue."""
    return f"{MESSAGE_PART_PREFIX}{index}/{role}"


def is_target_part(source: str) -> bool:
    """Whether a part is what the assistant said, where SFT takes its loss."""
    return source.startswith(MESSAGE_PART_PREFIX) and source.endswith("/assistant")


def text_lengths_bytes(table: pa.Table) -> pa.ChunkedArray:
    """The UTF-8 size of each document's text, int64."""
    import pyarrow.compute as pc

    return pc.binary_length(table["text"]).cast(pa.int64())
