"""The documents of the corpus as numbers: through the shards in order, and cut into ranges that one task decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lc_data.corpus.manifest import FileEntry
from lc_data.dedup.buckets import require_numbers
from lc_data.engine.stage import StageContext
from lc_data.stages.dedupe import bounds
from lc_data.stages.dedupe.sketch import Sketches
from lc_data.stages.dedupe.slices import Range


@dataclass(frozen=True)
class Corpus:
    """The upstream shards, numbered through."""

    entries: tuple[FileEntry, ...]
    uris: tuple[str, ...]
    sketches: Sketches
    borders: tuple[int, ...]
    """The first document of each range of documents, and after the last one the number of documents."""

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return self.sketches.first_documents[-1]

    @property
    def ranges(self) -> list[Range]:
        """The ranges of documents, each of whole shards."""
        return [Range(first, last) for first, last in pairwise(self.borders)]

    def __iter__(self) -> Iterator[tuple[int, str, Range, FileEntry]]:
        """The number, address, documents and manifest entry of each shard."""
        documents = (Range(first, last) for first, last in pairwise(self.sketches.first_documents))
        return zip(range(len(self.uris)), self.uris, documents, self.entries, strict=True)

    def work_files(self, context: StageContext, kind: str) -> tuple[str, ...]:
        """The work files of one kind that sketching left, one for each shard."""
        return tuple(f"{context.folder.work_uri}/{kind}/{number:05d}.arrow" for number in range(len(self.uris)))


def number_corpus(context: StageContext) -> Corpus:
    """Number the documents that the filter passed on; more than can be numbered are refused."""
    entries = tuple(context.upstream("filter").shards)
    upstream, work = context.run.stage("filter"), context.folder.work_uri
    first = tuple(np.concatenate([[0], np.cumsum([entry.rows for entry in entries], dtype=np.int64)]).tolist())
    require_numbers(first[-1])
    sketches = Sketches(tuple(f"{work}/sketches/{number:05d}.arrow" for number in range(len(entries))), first)
    return Corpus(entries, tuple(upstream.file(entry.file) for entry in entries), sketches, _cut_ranges(first))


def _cut_ranges(first_documents: tuple[int, ...]) -> tuple[int, ...]:
    """The borders of runs of shards of at most ``RANGE_DOCUMENTS`` documents together; a larger shard is one alone."""
    borders = [0]
    for first, last in pairwise(first_documents):
        if first > borders[-1] and last - borders[-1] > bounds.RANGE_DOCUMENTS:
            borders.append(first)
    return (*borders, first_documents[-1])


def partitions(keys: int) -> int:
    """How many partitions so many keys are joined in: a power of two that depends on the corpus alone."""
    return 1 << max(0, (-(-keys // bounds.PARTITION_KEYS) - 1).bit_length())


def band_partitions(context: StageContext, corpus: Corpus) -> int:
    """How many partitions the band keys are joined in."""
    near = context.recipe.dedupe.near
    return partitions(corpus.documents * near.bands) if near is not None else 1


def sample_partitions(context: StageContext, corpus: Corpus) -> int:
    """How many partitions the sampled n-grams are joined in: a word has three bytes at least on average.

    Short documents have more than one in so many, up to a number of their own.
    """
    containment = context.recipe.dedupe.containment
    if containment is None:
        return 1
    sampled = sum(entry.text_bytes for entry in corpus.entries) // (3 * containment.one_in)
    return partitions(sampled + corpus.documents * containment.min_keys)
