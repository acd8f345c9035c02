"""Phases four and seven: candidates compared by their texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.dedup.containment import measure_coverage
from lc_data.dedup.shingles import shingle_set
from lc_data.dedup.spans import IndexedText, Span, shared_spans
from lc_data.dedup.verification import TEXT_BYTES, count_pairs, measure_pairs
from lc_data.engine.task import Task, TaskRecord
from lc_data.recipe.dedupe import Containment, DedupeSection
from lc_data.stages.dedupe.join import read_pairs
from lc_data.stages.dedupe.sketch import Sketches
from lc_data.text.buffers import text_buffers

VERIFIED_SCHEMA = pa.schema([
    ("document", pa.int64()), ("keeper", pa.int64()), ("similarity", pa.float64()), ("reason", pa.string()),
    ("detail", pa.string()),
])  # fmt: skip
"""What can stand for a document: one row for each direction in which it holds. Similarity is the Jaccard similarity of
near-duplicates and the coverage of what is contained; the detail is JSON."""

_NAMED_SPANS = 16


@dataclass(frozen=True)
class VerifyPairs:
    """The payload of a task: one batch of likely pairs, and where their documents lie."""

    pairs_uri: str
    number: int
    sketches: Sketches
    shard_uris: tuple[str, ...]
    section: DedupeSection


class _Texts:
    """The documents of a batch of pairs: their texts, and their sets of shingles until those have been compared."""

    def __init__(self, span_words: int) -> None:
        self.texts: dict[int, npt.NDArray[np.uint8]] = {}
        self.shingles: dict[int, npt.NDArray[np.uint64]] = {}
        self._span_words = span_words
        self._indexed: tuple[int, IndexedText] | None = None

    def shingles_of(self, document: int, ngram_words: int) -> npt.NDArray[np.uint64]:
        """The n-grams of a document, kept for the next pair; of books only those of one at a time."""
        if document not in self.shingles:
            if sum(len(text) for text in self.texts.values()) > TEXT_BYTES:
                self.shingles.clear()
            self.shingles[document] = shingle_set(self.texts[document], ngram_words)
        return self.shingles[document]

    def spans(self, left: int, right: int) -> list[Span]:
        """What a pair shares, from the left one's view. The index of the right one is kept for the next pair."""
        if self._indexed is None or self._indexed[0] != right:
            self._indexed = right, IndexedText(self.texts[right], self._span_words)
        return shared_spans(self.texts[left], self._indexed[1])


def verify_near(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the pairs that reach the Jaccard threshold, in both directions."""
    payload: VerifyPairs = task.payload
    near = payload.section.near
    if near is None:
        raise ValueError("near-duplicates are not searched for")
    pairs = read_pairs(payload.pairs_uri, payload.number)
    read = _read(np.unique(pairs), payload)
    # All are measured before any is followed through the texts: shingles and indexes of books are never held together.
    similarities = measure_pairs(pairs, read.texts, near.ngram_words)
    rows: list[tuple[Any, ...]] = []
    for (left, right), similarity in zip(pairs.tolist(), similarities.tolist(), strict=True):
        if similarity >= near.threshold:
            spans = read.spans(left, right)
            measure = {"jaccard": round(similarity, 6)}
            rows.append((left, right, similarity, "near_duplicate", _detail(measure, spans)))
            rows.append((right, left, similarity, "near_duplicate", _detail(measure, _from_other_side(spans))))
    _write(f"{folder.work_uri}/verified/{task.key}.arrow", rows)
    return TaskRecord(facts={"verified": len(rows) // 2})


def verify_contained(task: Task, folder: StageFolder) -> TaskRecord:
    """Write which documents stand in which other ones, by as much as the recipe asks and with a span in common."""
    payload: VerifyPairs = task.payload
    containment = payload.section.containment
    if containment is None:
        raise ValueError("containment is not searched for")
    pairs = read_pairs(payload.pairs_uri, payload.number)
    read = _read(np.unique(pairs), payload)
    shared, sizes = count_pairs(pairs, read.texts, containment.ngram_words)
    shares = (shared[:, None] / np.maximum(sizes, 1)).tolist()
    measured_pairs = [
        [_measure(left, right, mine, read, containment), _measure(right, left, others, read, containment)]
        for (left, right), (mine, others) in zip(pairs.tolist(), shares, strict=True)
    ]
    read.shingles.clear()
    rows: list[tuple[Any, ...]] = []
    verified = 0
    for (left, right), measures in zip(pairs.tolist(), measured_pairs, strict=True):
        left_stands, right_stands = (measured["coverage"] >= containment.coverage for measured in measures)
        spans = read.spans(left, right) if left_stands or right_stands else []
        if not spans:
            continue
        verified += 1
        reason = "edition" if left_stands and right_stands else "contained"
        for stands, document, keeper, (mine, keepers), seen in (
            (left_stands, left, right, measures, spans),
            (right_stands, right, left, measures[::-1], _from_other_side(spans)),
        ):
            if stands:
                detail = _detail({**mine, "keeper_containment": keepers["containment"]}, seen)
                rows.append((document, keeper, mine["coverage"], reason, detail))
    _write(f"{folder.work_uri}/covered/{task.key}.arrow", rows)
    return TaskRecord(facts={"verified": verified})


def _measure(document: int, other: int, share: float, read: _Texts, containment: Containment) -> dict[str, float]:
    """How much of a document stands in another one; the coverage is 0 where the containment is too small already."""
    coverage = 0.0
    if share >= containment.threshold:
        ngram_words = containment.ngram_words
        coverage = measure_coverage(read.texts[document], read.shingles_of(other, ngram_words), ngram_words)
    return {"containment": round(share, 6), "coverage": round(coverage, 6)}


def _detail(measures: dict[str, Any], spans: list[Span]) -> str:
    """The measures, all that the spans come to, and the longest of them in the order of the text."""
    longest = sorted(spans, key=lambda span: (span.start - span.end, span.start))[:_NAMED_SPANS]
    total = {"span_bytes": sum(span.end - span.start for span in spans), "spans_found": len(spans)}
    return json.dumps(measures | total | {"spans": sorted(longest)})


def _from_other_side(spans: list[Span]) -> list[Span]:
    return sorted(Span(span.other_start, span.other_end, span.start, span.end) for span in spans)


def _write(uri: str, rows: Sequence[tuple[Any, ...]]) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * len(VERIFIED_SCHEMA)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, VERIFIED_SCHEMA, strict=True)]
    write_batches(uri, VERIFIED_SCHEMA, [pa.RecordBatch.from_arrays(arrays, schema=VERIFIED_SCHEMA)])


def _read(documents: npt.NDArray[np.int64], payload: VerifyPairs) -> _Texts:
    """Sorted documents; each batch of text is read once."""
    where = payload.sketches.look_up(documents, "batch", "row")
    batches, rows = where.column("batch").to_numpy(), where.column("row").to_numpy()
    found = _Texts(payload.section.span_words)
    for shard, _, part in payload.sketches.shards_of(documents):
        numbers = np.unique(batches[part]).tolist()
        for number, batch in zip(numbers, pick_batches(payload.shard_uris[shard], numbers, ("text",)), strict=True):
            here = np.arange(part.start, part.stop)[batches[part] == number]
            found.texts |= dict(zip(documents[here].tolist(), _pick_texts(batch, rows[here]), strict=True))
    # What decompressing took, 30 MB for two books, stays with Arrow otherwise while they are compared.
    pa.default_memory_pool().release_unused()
    return found


def _pick_texts(batch: pa.RecordBatch, rows: npt.NDArray[np.int32]) -> list[npt.NDArray[np.uint8]]:
    """The texts of some rows: views where they are most of the batch, as a book is, else copies that let it go."""
    data, offsets = text_buffers(batch.column("text"))
    texts = [data[offsets[row] : offsets[row + 1]] for row in rows.tolist()]
    if 2 * sum(len(text) for text in texts) >= len(data):
        return texts
    return [text.copy() for text in texts]
