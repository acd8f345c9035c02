"""Likely pairs compared by their texts: which of the two can stand for which, by what measure, and where.

The same for pairs that signatures proposed and for those that samples did. What is written of a pair is who goes if the
other one stays: of two that can stand for each other that is the one that comes later in the order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches
from lc_data.dedup.containment import measure_coverage
from lc_data.dedup.decision import order_documents
from lc_data.dedup.shingles import shingle_set
from lc_data.dedup.spans import IndexedText, Span, shared_spans
from lc_data.dedup.verification import TEXT_BYTES, count_pairs, count_sets, jaccard
from lc_data.engine.task import Task, TaskRecord
from lc_data.recipe.dedupe import Containment, NearDuplicates
from lc_data.stages.dedupe.likely import read_pairs
from lc_data.stages.dedupe.sketch import Sketches
from lc_data.stages.dedupe.slices import write_sorted
from lc_data.text.buffers import text_buffers

VERIFIED_SCHEMA = pa.schema([
    ("document", pa.int64()), ("keeper", pa.int64()), ("similarity", pa.float64()), ("reason", pa.string()),
    ("keeper_id", pa.string()), ("keeper_rank", pa.int64()), ("keeper_bytes", pa.int64()),
    ("detail", pa.large_string()),
])  # fmt: skip
"""What can stand for a document and comes before it. Similarity is the Jaccard similarity of near-duplicates and the
coverage of what is contained; the detail is JSON; the rest of the keeper's columns say where it stands in the order."""

_NEAR = "near_duplicate"
_NAMED_SPANS = 16


@dataclass(frozen=True)
class VerifyPairs:
    """The payload of a task: one run of likely pairs, where their documents lie, and what is asked of them."""

    pairs_uri: str
    number: int
    sketches: Sketches
    shard_uris: tuple[str, ...]
    span_words: int
    near: NearDuplicates | None
    containment: Containment | None
    output: str
    """The kind of work file that is written."""


@dataclass(frozen=True)
class _Match:
    """Why one document of a pair can stand for the other one."""

    reason: str
    similarity: float
    measures: dict[str, float]


class _Texts:
    """The documents of a batch of pairs: their texts, and their sets of shingles until those have been compared."""

    def __init__(self, texts: dict[int, npt.NDArray[np.uint8]], span_words: int) -> None:
        self.texts = texts
        self.shingles: dict[int, npt.NDArray[np.uint64]] = {}
        self.sampled: dict[int, int] = {}
        """How many n-grams of each are in the sample."""
        self._large = sum(len(text) for text in texts.values()) > TEXT_BYTES
        self._span_words = span_words
        self._indexed: tuple[int, IndexedText] | None = None

    def count(
        self, pairs: npt.NDArray[np.int64], ngram_words: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """What pairs share and what each has, as :func:`count_pairs`; sets that fit are kept for what comes after."""
        if self._large:
            return count_pairs(pairs, self.texts, ngram_words)
        self.shingles = {document: shingle_set(text, ngram_words) for document, text in self.texts.items()}
        return count_sets(pairs, self.shingles)

    def shingles_of(self, document: int, ngram_words: int) -> npt.NDArray[np.uint64]:
        """The n-grams of a document, kept for the next pair; of books only those of one at a time."""
        if document not in self.shingles:
            if self._large:
                self.shingles.clear()
            self.shingles[document] = shingle_set(self.texts[document], ngram_words)
        return self.shingles[document]

    def spans(self, left: int, right: int) -> list[Span]:
        """What a pair shares, from the left one's view. The index of the right one is kept for the next pair."""
        if self._indexed is None or self._indexed[0] != right:
            self._indexed = right, IndexedText(self.texts[right], self._span_words)
        return shared_spans(self.texts[left], self._indexed[1])


def verify_pairs(task: Task, folder: StageFolder) -> TaskRecord:
    """Write who can stand for whom among the pairs of a run."""
    payload: VerifyPairs = task.payload
    pairs = read_pairs(payload.pairs_uri, payload.number)
    documents = np.unique(pairs)
    known = payload.sketches.look_up(documents, "id", "rank", "bytes", "sampled").to_pydict()
    places = order_documents(np.array(known["bytes"], np.int64), known["id"], np.array(known["rank"], np.int64))
    read = _read(documents, payload)
    read.sampled = dict(zip(documents.tolist(), known["sampled"], strict=True))
    numbers = np.searchsorted(documents, pairs)
    later = places[numbers].argmax(axis=1).tolist()
    # All are measured before any is followed through the texts: shingles and indexes of books are never held together.
    matches = list(_match_pairs(pairs, later, read, payload))
    read.shingles.clear()
    rows: list[tuple[Any, ...]] = []
    for pair, number, goes, match in zip(pairs.tolist(), numbers.tolist(), later, matches, strict=True):
        spans = read.spans(*pair) if match is not None else []
        # An excerpt or an edition without a span is no such thing; near-duplicates may be too short for one.
        if match is None or (match.reason != _NEAR and not spans):
            continue
        detail = _detail(match.measures, _from_other_side(spans) if goes else spans)
        keeper = [known[name][number[1 - goes]] for name in ("id", "rank", "bytes")]
        rows.append((pair[goes], pair[1 - goes], match.similarity, match.reason, *keeper, detail))
    _write(f"{folder.work_uri}/{payload.output}/{task.key}.arrow", rows)
    near = sum(row[3] == _NEAR for row in rows)
    return TaskRecord(facts={"near": near, "contained": len(rows) - near})


def _match_pairs(
    pairs: npt.NDArray[np.int64], later: Sequence[int], read: _Texts, payload: VerifyPairs
) -> Iterator[_Match | None]:
    """For each pair whether its earlier document can stand for its later one, and why."""
    near, containment = payload.near, payload.containment
    counts = {}
    # Those of containment last: their sets are kept for the coverage.
    for question in (near, containment):
        if question is not None and question.ngram_words not in counts:
            counts[question.ngram_words] = read.count(pairs, question.ngram_words)
    similarities, shares = np.zeros(len(pairs)), np.zeros((len(pairs), 2))
    if near is not None:
        similarities = jaccard(*counts[near.ngram_words])
    if containment is not None:
        shared, sizes = counts[containment.ngram_words]
        shares = shared[:, None] / np.maximum(sizes, 1)
    for pair, goes, similarity, share in zip(
        pairs.tolist(), later, similarities.tolist(), shares.tolist(), strict=True
    ):
        if near is not None and similarity >= near.threshold:
            yield _Match(_NEAR, similarity, {"jaccard": round(similarity, 6)})
        elif containment is not None and share[goes] >= containment.threshold:
            yield _match_contained((pair[goes], pair[1 - goes]), (share[goes], share[1 - goes]), read, containment)
        else:
            yield None


def _match_contained(
    pair: tuple[int, int], shares: tuple[float, float], read: _Texts, containment: Containment
) -> _Match | None:
    """Whether the first of a pair stands in the second one, and whether that also stands in it: then it is an edition.

    ``shares`` are those of their n-grams that the other one has.
    """
    document, keeper = pair
    coverage = _cover(document, keeper, read, containment)
    short = read.sampled[document] < containment.min_keys
    if coverage < (containment.short_coverage if short else containment.coverage):
        return None
    back = _cover(keeper, document, read, containment) if shares[1] >= containment.threshold else 0.0
    measures = {"containment": shares[0], "coverage": coverage, "keeper_containment": shares[1]}
    reason = "edition" if back >= containment.coverage else "contained"
    return _Match(reason, round(coverage, 6), {name: round(value, 6) for name, value in measures.items()})


def _cover(document: int, other: int, read: _Texts, containment: Containment) -> float:
    ngram_words = containment.ngram_words
    return measure_coverage(read.texts[document], read.shingles_of(other, ngram_words), ngram_words)


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
    write_sorted(uri, pa.RecordBatch.from_arrays(arrays, schema=VERIFIED_SCHEMA), "document")


def _read(documents: npt.NDArray[np.int64], payload: VerifyPairs) -> _Texts:
    """Sorted documents; each batch of text is read once."""
    where = payload.sketches.look_up(documents, "batch", "row")
    batches, rows = where.column("batch").to_numpy(), where.column("row").to_numpy()
    texts: dict[int, npt.NDArray[np.uint8]] = {}
    for shard, _, part in payload.sketches.shards_of(documents):
        numbers = np.unique(batches[part]).tolist()
        for number, batch in zip(numbers, pick_batches(payload.shard_uris[shard], numbers, ("text",)), strict=True):
            here = np.arange(part.start, part.stop)[batches[part] == number]
            texts |= dict(zip(documents[here].tolist(), _pick_texts(batch, rows[here]), strict=True))
    # What decompressing took, 30 MB for two books, stays with Arrow otherwise while they are compared.
    pa.default_memory_pool().release_unused()
    return _Texts(texts, payload.span_words)


def _pick_texts(batch: pa.RecordBatch, rows: npt.NDArray[np.int32]) -> list[npt.NDArray[np.uint8]]:
    """The texts of some rows: views where they are most of the batch, as a book is, else copies that let it go."""
    data, offsets = text_buffers(batch.column("text"))
    texts = [data[offsets[row] : offsets[row + 1]] for row in rows.tolist()]
    if 2 * sum(len(text) for text in texts) >= len(data):
        return texts
    return [text.copy() for text in texts]
