"""Batches of documents for tests."""

from __future__ import annotations

import pyarrow as pa

from lc_data.corpus.document import DOCUMENT_SCHEMA


def batch_of(texts: list[str], **columns: list) -> pa.RecordBatch:
    """One document for each text; other columns as given, or the same for all."""
    rows = [
        {"id": f"d{number}", "text": text, "domain": "web", "source": "test"}
        | {name: values[number] for name, values in columns.items()}
        for number, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=DOCUMENT_SCHEMA)
