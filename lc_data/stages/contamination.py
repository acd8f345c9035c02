"""Decontamination in the filter stage: the evaluations' index, made once, and what it says about each shard.

The index is built by one task, written as three small Arrow files of the stage's working folder, and mapped by every
process that filters, so that ten workers hold it once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.listing import FoundFile, find_files
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.readers.inputs import InputFile, InputRange
from lc_data.corpus.readers.jsonl import EXTENSIONS, parse_object
from lc_data.corpus.readers.lines import read_lines
from lc_data.corpus.readers.record import Fault
from lc_data.corpus.rows import RowFile
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_table, write_table
from lc_data.engine.stage import StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.failure import Failure
from lc_data.quality.chain import FilterResult
from lc_data.quality.contamination import FIELDS, EvaluationIndex, EvaluationText, find_overlaps, sample_gaps
from lc_data.quality.ngram_index import NgramIndex
from lc_data.recipe.decontamination import DecontaminationSection, EvaluationFiles
from lc_data.recipe.errors import RecipeError, nearest

_MAX_LINE_BYTES = 1 << 30

CONTAMINATION_SCHEMA = pa.schema([
    pa.field("document", pa.string(), nullable=False),
    pa.field("action", pa.string(), nullable=False),
    pa.field("evaluation", pa.string(), nullable=False),
    pa.field("item", pa.string(), nullable=False),
    pa.field("field", pa.string(), nullable=False),
    pa.field("span_offset", pa.int64(), nullable=False),
    pa.field("span_bytes", pa.int64(), nullable=False),
    pa.field("ngrams", pa.int64(), nullable=False),
    pa.field("beginning", pa.string(), nullable=False),
])  # fmt: skip
"""One row per stretch that a document shares with an evaluation: what became of the document (``dropped`` or
``reported``), whose text it is (evaluation, ``file#row`` of the item, question, answer or context), where it lies in
the document (UTF-8 bytes), how many n-grams of it were found, and how it begins."""

_QUOTED_BYTES = 200


@dataclass(frozen=True)
class EvaluationFile:
    """One file of an evaluation."""

    evaluation: EvaluationFiles
    uri: str
    path: str
    size_bytes: int


@dataclass(frozen=True)
class IndexFiles:
    """Where the index lies, as a task's payload names it."""

    uri: str
    fingerprint: str
    """Of the stage: the next recipe's index lies at the same place."""
    context_sample: int

    @property
    def slots(self) -> str:
        """The table: keys and numbers."""
        return f"{self.uri}/slots.arrow"

    @property
    def lengths(self) -> str:
        """The different n of the n-grams in it."""
        return f"{self.uri}/lengths.arrow"

    @property
    def texts(self) -> str:
        """The texts, by their numbers."""
        return f"{self.uri}/texts.arrow"


def list_evaluations(section: DecontaminationSection) -> list[EvaluationFile]:
    """The files of all evaluations, sorted within each; raises :class:`RecipeError` where there are none."""
    files = []
    for evaluation in section.evaluations:
        for path in evaluation.paths:
            found = find_files(path, lambda name: name.lower().endswith(EXTENSIONS))
            if not any(isinstance(item, FoundFile) for item in found):
                raise RecipeError(
                    f"filter.decontaminate.evaluations.{evaluation.name}: {path!r} leads to no file; give JSON Lines "
                    "files, a folder of them or a glob"
                )
            files += [
                EvaluationFile(evaluation, item.uri, item.path, item.size_bytes)
                for item in found
                if isinstance(item, FoundFile)
            ]
    return files


def check_evaluations(section: DecontaminationSection) -> None:
    """Read the first item of every file. Raises :class:`RecipeError` when a file is not of the stated layout."""
    for file in list_evaluations(section):
        try:
            next(_read_items(file), None)
        except Failure as error:
            raise RecipeError(f"filter.decontaminate.evaluations.{file.evaluation.name}: {error}") from None


def evaluation_checksums(section: DecontaminationSection) -> dict[str, str]:
    """What the output depends on: the bytes of every file."""
    return {f"{file.evaluation.name}/{file.path}": file_checksum(file.uri) for file in list_evaluations(section)}


def index_evaluations(context: StageContext, section: DecontaminationSection) -> tuple[IndexFiles, dict[str, Any]]:
    """Build the index in a task; returns where it lies and what is in it."""
    weight = sum(file.size_bytes for file in list_evaluations(section))
    (record,) = context.map("evaluations", build_index_task, [Task("index", section, max(weight, 1))])
    return IndexFiles(_index_uri(context.folder), context.fingerprint, section.context_sample), record.facts


def build_index_task(task: Task, folder: StageFolder) -> TaskRecord:
    """Read all evaluations into the files of an index."""
    gathered = EvaluationIndex(task.payload)
    for file in list_evaluations(task.payload):
        for item, fields in _read_items(file):
            gathered.add(file.evaluation.name, item, fields)
    index = gathered.build()
    where = IndexFiles(_index_uri(folder), "", task.payload.context_sample)
    slots = pa.table({"keys": pa.array(index.keys), "numbers": pa.array(index.numbers)})
    texts = pa.Table.from_pylist(
        [text._asdict() for text in gathered.texts], pa.schema([(name, pa.string()) for name in EvaluationText._fields])
    )
    tables = {where.slots: slots, where.lengths: pa.table({"words": pa.array(index.lengths)}), where.texts: texts}
    for uri, table in tables.items():
        parent, _, name = uri.rpartition("/")
        write_table(parent, name, table)
    return TaskRecord(
        facts={
            "items": gathered.items,
            "texts": len(gathered.texts),
            "ngrams": int((index.keys != 0).sum()),
            "too_short": gathered.too_short,
            "quoted_ngrams": gathered.quoted,
            "common_ngrams": gathered.common,
        }
    )


def sum_documents(records: Sequence[TaskRecord]) -> dict[str, int]:
    """How many documents share something with each ``evaluation/field``, over all shards."""
    total = Counter[str]()
    for record in records:
        total.update(record.facts["decontaminate"])
    return dict(sorted(total.items()))


class Decontamination:
    """Drops and reports the documents of one shard; the rows go to ``contamination/<key>.arrow``."""

    def __init__(self, files: IndexFiles, folder: StageFolder, key: str) -> None:
        self._index, self._texts, self._gaps = _open_index(files)
        self._rows = RowFile(folder.uri, f"contamination/{key}.arrow", CONTAMINATION_SCHEMA)
        self.documents: Counter[str] = Counter()
        """How many documents were dropped or reported, by ``evaluation/field``."""

    def __enter__(self) -> Decontamination:
        self._rows.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._rows.__exit__(*error)

    @property
    def entries(self) -> list[FileEntry]:
        """The file of hits, once the block has ended."""
        return [self._rows.entry] if self._rows.entry else []

    def apply(self, result: FilterResult) -> FilterResult:
        """What the rules left, without the documents that hold a question or an answer."""
        rows = np.flatnonzero(result.kept)
        texts = result.documents.column("text").take(pa.array(rows))
        by_row: dict[int, list[tuple[EvaluationText, Any]]] = {}
        for overlap in find_overlaps(texts, self._index, self._gaps):
            text = self._texts[overlap.number]
            by_row.setdefault(int(rows[overlap.row]), []).append((text, overlap))
        kept, dropped = result.kept.copy(), dict(result.dropped)
        for row, hits in by_row.items():
            blamed, overlap = min(hits, key=lambda hit: (FIELDS.index(hit[0].field), hit[1].offset))
            if blamed.field != "context":
                kept[row] = False
                detail = blamed._asdict() | {"offset": overlap.offset, "length": overlap.length}
                dropped[row] = f"decontaminate/{blamed.field}", json.dumps(detail, ensure_ascii=False)
            self._note(result.documents, row, hits, "reported" if kept[row] else "dropped")
        return replace(result, kept=kept, dropped=dropped)

    def _note(self, documents: pa.RecordBatch, row: int, hits: list[tuple[EvaluationText, Any]], action: str) -> None:
        text = documents.column("text")[row].as_buffer()
        for each, (_, _, offset, length, ngrams) in hits:
            begin = text.slice(offset, min(length, _QUOTED_BYTES)).to_pybytes().decode(errors="ignore")
            self._rows.add(documents.column("id")[row].as_py(), action, *each, offset, length, ngrams, begin)
        self.documents.update({f"{each.evaluation}/{each.field}" for each, _ in hits})


def _index_uri(folder: StageFolder) -> str:
    return storage.join(folder.work_uri, "evaluations")


def _read_items(file: EvaluationFile) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """The items of a file: address, and the texts of each field. Raises :class:`Failure` naming a bad row."""
    whole = InputRange(InputFile(file.uri, file.path, file.size_bytes, ""), 0, file.size_bytes, file.size_bytes)
    for number, line in enumerate(read_lines(whole, _MAX_LINE_BYTES)):
        if line.fault is None and not line.data.strip():
            continue
        item = f"{file.path}#{number}"
        try:
            if line.fault is not None:
                raise line.fault
            row = parse_object(line.data.removeprefix(b"\xef\xbb\xbf"))
            fields = {
                field: [text for key in keys for text in _texts_of(row, key)]
                for field, keys in file.evaluation.keys.items()
            }
        except Fault as fault:
            raise Failure(f"{item}: {fault}") from None
        yield item, fields


def _texts_of(row: dict[str, Any], key: str) -> list[str]:
    """The texts under a key: a string, a number, nothing, or a list of these."""
    if key not in row:
        raise Fault("missing field", f"{key!r}{nearest(key, row)}")
    values = row[key] if isinstance(row[key], list) else [row[key]]
    wrong = [value for value in values if not isinstance(value, str | int | float | None)]
    if wrong:
        raise Fault("not text", f"{key!r} holds {type(wrong[0]).__name__}")
    return [str(value) for value in values if value is not None]


@lru_cache(maxsize=1)
def _open_index(files: IndexFiles) -> tuple[NgramIndex, list[EvaluationText], npt.NDArray[np.int64]]:
    """The index, mapped once a process."""
    slots = read_table(files.slots)
    keys, numbers = (slots[name].combine_chunks().to_numpy() for name in ("keys", "numbers"))
    lengths = read_table(files.lengths)["words"].combine_chunks().to_numpy()
    texts = [EvaluationText(**row) for row in read_table(files.texts).to_pylist()]
    return NgramIndex(keys, numbers, lengths), texts, sample_gaps(texts, files.context_sample)
