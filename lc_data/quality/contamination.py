"""Contamination: what documents share with the items of an evaluation, by word n-grams.

One shared 13-gram is the practice since GPT-3 (Brown et al. 2020, arXiv 2005.14165, appendix C). Long-context
evaluations need three things more. Their contexts are public books and reports, so a hit in one is news and no reason
to drop. Their answers quote these contexts, so an n-gram of an answer that also stands in its own context says
nothing about the answer and is left to the context. And their items repeat forms of words (one n-gram in ten of L-Eval
recurs), so an n-gram of more than a few items is not looked for. A Han character is half a word, so that Chinese is
looked for by n-grams twice as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from lc_data.dedup.shingles import shingle_set
from lc_data.failure import Failure
from lc_data.quality.ngram_index import SLOT_BYTES, NgramHits, NgramIndex, build_index, count_slots, locate_words
from lc_data.recipe.decontamination import DecontaminationSection
from lc_data.text.buffers import as_text, text_buffers
from lc_data.text.characters import character_classes
from lc_data.text.words import count_content_words

FIELDS = ("answer", "question", "context")
"""In the order in which they are blamed: an n-gram of several is that of the first."""


class EvaluationText(NamedTuple):
    """A text of an evaluation that is looked for: its address, and the name of its number in the index."""

    evaluation: str
    item: str
    field: str


class Overlap(NamedTuple):
    """A stretch of a document that an evaluation has too."""

    row: int
    number: int
    """Of the text in the index."""
    offset: int
    """Where it begins in the document, in bytes."""
    length: int
    """Its size in bytes."""
    ngrams: int
    """The n-grams of the text found in it."""


@dataclass
class EvaluationIndex:
    """Gathers the texts of evaluations, item by item, into an index."""

    section: DecontaminationSection
    texts: list[EvaluationText] = field(default_factory=list)
    too_short: int = 0
    """Texts of fewer words than ``min_words``, or ``min_han``."""
    quoted: int = 0
    """N-grams of questions and answers left to their own context."""
    common: int = 0
    """Different n-grams of too many items."""
    items: int = 0
    _keys: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    _numbers: list[npt.NDArray[np.uint32]] = field(default_factory=list)
    _items: list[npt.NDArray[np.uint32]] = field(default_factory=list)
    _lengths: set[int] = field(default_factory=set)
    _contexts: set[bytes] = field(default_factory=set)
    _ngrams: int = 0

    def add(self, evaluation: str, item: str, fields: Mapping[str, Sequence[str]]) -> None:
        """Take in the texts of one item; raises :class:`Failure` when the index would be larger than allowed."""
        contexts = [as_text(text) for text in fields.get("context", ())]
        for name in ("question", "answer"):
            for text in map(as_text, fields.get(name, ())):
                if words := self._usable_words(text):
                    ngrams = shingle_set(text, words)
                    asked = _without(ngrams, [shingle_set(context, words) for context in contexts])
                    self.quoted += len(ngrams) - len(asked)
                    self._take(EvaluationText(evaluation, item, name), asked, words)
        for text in contexts:
            digest = xxhash.xxh3_128_digest(text.tobytes())
            # Items that share a context are one as far as it is concerned.
            if digest not in self._contexts and (words := self._usable_words(text)):
                self._contexts.add(digest)
                self._take(EvaluationText(evaluation, item, "context"), self._sample(shingle_set(text, words)), words)
        self.items += 1

    def build(self) -> NgramIndex:
        """The index over all items taken in."""
        keys, numbers = _concatenate(self._keys, np.uint64), _concatenate(self._numbers, np.uint32)
        ranks = np.array([FIELDS.index(text.field) for text in self.texts], np.uint8)
        order = np.lexsort((numbers, ranks[numbers] if len(ranks) else numbers, keys))
        first = order[np.flatnonzero(_begins(keys[order]))]
        common = _count_items(keys, _concatenate(self._items, np.uint32)) > self.section.max_items
        self.common = int(common.sum())
        chosen = first[~common & (keys[first] != 0)]
        return build_index(keys[chosen], numbers[chosen], np.array(sorted(self._lengths), np.int64))

    def _usable_words(self, text: npt.NDArray[np.uint8]) -> int:
        """The n of the n-grams that a text is looked for by; 0 where it is too short to be."""
        words, unspaced = count_content_words(text, character_classes())
        is_han = 2 * unspaced > words
        least = self.section.min_han if is_han else self.section.min_words
        if 0 < words < least:
            self.too_short += 1
        longest = self.section.ngram_han if is_han else self.section.ngram_words
        return min(words, longest) if words >= least else 0

    def _sample(self, ngrams: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        if len(ngrams) == 1:
            return ngrams  # a text that is looked for whole
        return ngrams[ngrams <= np.uint64((2**64 - 1) // self.section.context_sample)]

    def _take(self, text: EvaluationText, ngrams: npt.NDArray[np.uint64], words: int) -> None:
        self._keys.append(ngrams)
        self._numbers.append(np.full(len(ngrams), len(self.texts), np.uint32))
        self._items.append(np.full(len(ngrams), self.items, np.uint32))
        self._lengths.add(words)
        self.texts.append(text)
        self._ngrams += len(ngrams)
        needed = SLOT_BYTES * count_slots(self._ngrams)
        if needed > self.section.max_index_bytes:
            raise Failure(
                f"the index of evaluations needs {needed:,} bytes at {text.item} and filter.decontaminate."
                f"max_index_bytes is {self.section.max_index_bytes:,}; raise it, or context_sample"
            )


def find_overlaps(documents: pa.Array, index: NgramIndex, gaps: npt.NDArray[np.int64]) -> list[Overlap]:
    """The stretches of a column of texts that the index knows, by row, text and place.

    ``gaps`` has for each text how many words may lie between two of its n-grams in one stretch.
    """
    hits = index.find(documents)
    data, offsets = text_buffers(documents)
    overlaps: list[Overlap] = []
    for row in np.unique(hits.rows):
        stretches = _merge(hits, np.flatnonzero(hits.rows == row), gaps)
        wanted = np.unique(np.array([(first, last - 1) for _, first, last, _ in stretches], np.int64))
        places = locate_words(data[offsets[row] : offsets[row + 1]], wanted)
        for number, first, last, ngrams in stretches:
            start = places[np.searchsorted(wanted, first), 0]
            end = places[np.searchsorted(wanted, last - 1), 1]
            overlaps.append(Overlap(int(row), number, int(start), int(end - start), ngrams))
    return overlaps


def sample_gaps(texts: Sequence[EvaluationText], context_sample: int) -> npt.NDArray[np.int64]:
    """How far apart, in words, n-grams of each text may lie in one stretch: int64[texts].

    None are missing of questions and answers. Of a sampled context one in ``context_sample`` was looked for, and of
    gaps in a shared stretch one in 3,000 is longer than eight times that.
    """
    gap = 8 * context_sample if context_sample > 1 else 0
    return np.array([gap if text.field == "context" else 0 for text in texts], np.int64)


def _merge(
    hits: NgramHits, chosen: npt.NDArray[np.int64], gaps: npt.NDArray[np.int64]
) -> list[tuple[int, int, int, int]]:
    """N-grams of the same text that meet as one stretch: number, first word, word after the last, n-grams."""
    stretches: list[tuple[int, int, int, int]] = []
    order = chosen[np.lexsort((hits.first_words[chosen], hits.numbers[chosen]))]
    for number, first, words in zip(
        hits.numbers[order].tolist(), hits.first_words[order].tolist(), hits.words[order].tolist(), strict=True
    ):
        if stretches and stretches[-1][0] == number and first <= stretches[-1][2] + gaps[number]:
            _, start, end, ngrams = stretches[-1]
            stretches[-1] = (number, start, max(end, first + words), ngrams + 1)
        else:
            stretches.append((number, first, first + words, 1))
    return stretches


def _without(ngrams: npt.NDArray[np.uint64], others: list[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    for other in others:
        ngrams = ngrams[~np.isin(ngrams, other, assume_unique=True)]
    return ngrams


def _concatenate(arrays: list[npt.NDArray], dtype: npt.DTypeLike) -> npt.NDArray:
    return np.concatenate([np.zeros(0, dtype), *arrays])


def _begins(ordered: npt.NDArray) -> npt.NDArray[np.bool_]:
    """Which values of a sorted array are the first of their kind."""
    return np.concatenate([np.ones(min(len(ordered), 1), bool), ordered[1:] != ordered[:-1]])


def _count_items(keys: npt.NDArray[np.uint64], items: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """For each different key, ascending, in how many different items it is."""
    order = np.lexsort((items, keys))
    pairs = _begins(keys[order]) | _begins(items[order])
    starts = np.flatnonzero(_begins(keys[order]))
    return np.add.reduceat(pairs.astype(np.int64), starts) if len(starts) else np.zeros(0, np.int64)
