"""Derived documents: what each was made of, in a table beside its shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.augment.parts import SOURCE, KnotTokens, Parts
from lc_data.corpus.manifest import FileEntry, Manifest
from lc_data.corpus.run import RunFolder, StageFolder
from lc_data.corpus.shard import read_table, write_table
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.packing.column_view import view_column

PARTS_SCHEMA = pa.schema([
    pa.field("row", pa.int32(), nullable=False),
    pa.field("role", pa.uint8(), nullable=False),
    pa.field("source", pa.int64(), nullable=False),
    pa.field("start", pa.int64(), nullable=False),
    pa.field("length", pa.int32(), nullable=False),
])  # fmt: skip
"""One row per part, in the order of the shard's documents and of their tokens. row: the document's in its shard; role:
see ``lc_data.augment.parts.ROLES``; source: number of the document that the part is of, -1 for made tokens; start: its
first token there, or the chunk id that made tokens carry."""


def parts_file(shard_file: str) -> str:
    """Where the parts of a shard's documents stand, below the stage's folder."""
    return shard_file.replace("shards/", "parts/", 1)


def write_parts(folder: StageFolder, shard_file: str, documents: Sequence[Parts]) -> FileEntry:
    """Write the parts of a shard's documents."""
    rows = np.repeat(np.arange(len(documents), dtype=np.int32), [len(parts.role) for parts in documents])
    columns = [np.concatenate([getattr(parts, name) for parts in documents]) for name in PARTS_SCHEMA.names[1:]]
    table = pa.table([pa.array(rows), *map(pa.array, columns)], schema=PARTS_SCHEMA)
    tokens = sum(int(parts.length.sum()) for parts in documents)
    return write_table(folder.uri, parts_file(shard_file), table, tokens)


class PartsTable:
    """The parts of all documents of one shard."""

    def __init__(self, folder: StageFolder, shard_file: str) -> None:
        table = read_table(folder.file(parts_file(shard_file))).combine_chunks()
        batch = (table.to_batches() or [pa.RecordBatch.from_pylist([], schema=PARTS_SCHEMA)])[0]
        self.row: npt.NDArray[np.int32] = view_column(batch["row"])
        """The document of each part: its row in the shard."""
        self.all = Parts(*(view_column(batch[name]) for name in PARTS_SCHEMA.names[1:]))
        """Document after document."""

    def of(self, row: int) -> Parts:
        """The parts of one document."""
        first, stop = np.searchsorted(self.row, [row, row + 1]).tolist()
        return self.all.take(slice(first, stop))


def knot_tokens(manifest: Manifest) -> KnotTokens | None:
    """What the knots of an augment stage are made of; None where it made none."""
    facts = manifest.facts.get("knots")
    return KnotTokens(**facts | {"digits": tuple(facts["digits"])}) if facts else None


def derived_from(run: RunFolder, manifest: Manifest, marks: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The numbers of derived documents that hold a part of a marked document (bool [documents]), ascending."""
    found = [np.empty(0, np.int64)]
    for entry in manifest.shards:
        table = read_table(run.stage("augment").file(parts_file(entry.file)))
        source = table["source"].to_numpy()
        rows = table["row"].to_numpy()[(source >= 0) & marks[source]]
        found.append(entry.facts["first_document"] + np.unique(rows).astype(np.int64))
    return np.concatenate(found)


def parts_of(run: RunFolder, corpus: TokenizedCorpus, document: int) -> Parts:
    """The parts of one derived document."""
    shard, row = corpus.locate(document)
    return PartsTable(run.stage("augment"), corpus.shards[shard].file).of(row)


def find_derived(run: RunFolder, corpus: TokenizedCorpus, document: int) -> Iterator[tuple[int, Parts]]:
    """Every derived document that holds parts of a document, with these parts: a scan of all tables."""
    if corpus.document_count == corpus.bucketed_count:
        return
    for entry in corpus.shards:
        if entry.facts["first_document"] < corpus.bucketed_count:
            continue
        table = PartsTable(run.stage("augment"), entry.file)
        rows = np.flatnonzero((table.all.source == document) & (table.all.role == SOURCE))
        for row in np.unique(table.row[rows]).tolist():
            yield entry.facts["first_document"] + row, table.all.take(rows[table.row[rows] == row])
