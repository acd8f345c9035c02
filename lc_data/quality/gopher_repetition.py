"""Gopher's repetition rules (Rae et al. 2021, arXiv 2112.11446, table A1) without building a single n-gram.

Each word becomes a small number, and each n-gram the number of the pair (its first n-1 words, its last word). An n-gram
can occur twice only where its first n-1 words occur twice, so after two or three lengths hardly any position of
ordinary text is looked at again: nine passes in datatrove become little more than one. Equality is exact but for the
64-bit hash of a word or a line. Memory is at most 12 bytes a word and 12 to 36 bytes for each n-gram that occurs twice.

The thresholds were made for words. A Chinese word has about two characters, so where Han and kana characters are most
of the words an n-gram is 2n characters long; with n characters, 17% of our Chinese technical documentation would go,
with 2n 6%, against 7% of the English.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lc_data.quality.judgement import Bound, Judgement, Measures, check_bounds
from lc_data.quality.repeats import duplicate_lines, duplicate_paragraphs, ngram_chars
from lc_data.recipe.filtering import GopherRepetitionRule
from lc_data.text.buffers import text_buffers
from lc_data.text.characters import character_classes

_BLOCKS = ("duplicate_paragraphs", "duplicate_paragraph_chars", "duplicate_lines", "duplicate_line_chars")


@dataclass(frozen=True)
class GopherRepetition:
    """Judges repeated lines, paragraphs and word n-grams."""

    rule: GopherRepetitionRule

    def judge(self, documents: pa.RecordBatch) -> Judgement:
        """Drop documents that fail a test; the first one failed is the reason."""
        rule = self.rule
        measures = measure_gopher_repetition(
            documents.column("text"), rule.max_top_ngram_chars, rule.max_duplicate_ngram_chars
        )
        return Judgement(check_bounds(measures, repetition_bounds(rule)), measures)


def repetition_bounds(rule: GopherRepetitionRule) -> list[Bound]:
    """The tests of a rule: paragraphs, lines, top n-grams, duplicate n-grams."""
    bounds = [Bound(name, name, high=getattr(rule, f"max_{name}")) for name in _BLOCKS]
    bounds += [Bound(f"top_{n}gram", f"top_{n}gram_chars", high=limit) for n, limit in rule.max_top_ngram_chars.items()]
    bounds += [
        Bound(f"duplicate_{n}grams", f"duplicate_{n}gram_chars", high=limit)
        for n, limit in rule.max_duplicate_ngram_chars.items()
    ]
    return bounds


def measure_gopher_repetition(text: pa.Array, top: Iterable[int], duplicate: Iterable[int]) -> Measures:
    """The shares behind the tests, float64 per document, 0 for an empty one.

    Lines and paragraphs: the share that occurred before, of their number and of the characters. ``top_Ngram_chars``:
    the commonest n-gram's length times its count, over the characters. ``duplicate_Ngram_chars``: the characters of
    n-grams that occurred before, read from the left without overlap, over the characters.
    """
    top, duplicate = list(top), list(duplicate)
    data, offsets = text_buffers(text)
    classes = character_classes()
    longest = max([*top, *duplicate, 1])
    blocks = np.zeros((len(text), 7), np.int64)
    tops = np.zeros((len(text), longest + 1), np.int64)
    duplicates = np.zeros((len(text), longest + 1), np.int64)
    duplicate_paragraphs(data, offsets, classes, blocks[:, 0:3])
    duplicate_lines(data, offsets, blocks[:, 3:7])
    if longest > 1:
        ngram_chars(data, offsets, classes, tops, duplicates)
    paragraphs, same_paragraphs, paragraph_chars, lines, same_lines, line_chars, chars = blocks.T.astype(np.float64)
    measures = {
        "duplicate_paragraphs": same_paragraphs / np.maximum(paragraphs, 1),
        "duplicate_paragraph_chars": paragraph_chars / np.maximum(chars, 1),
        "duplicate_lines": same_lines / np.maximum(lines, 1),
        "duplicate_line_chars": line_chars / np.maximum(chars, 1),
    }
    measures |= {f"top_{n}gram_chars": tops[:, n] / np.maximum(chars, 1) for n in top}
    measures |= {f"duplicate_{n}gram_chars": duplicates[:, n] / np.maximum(chars, 1) for n in duplicate}
    return measures
