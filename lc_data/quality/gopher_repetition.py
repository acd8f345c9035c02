"""Gopher's repetition rules (Rae et al. 2021, arXiv 2112.11446, table A1) without building a single n-gram.

An n-gram is a number, that of a pair of shorter ones (see :mod:`lc_data.quality.ngrams`): nine passes in datatrove
become little more than one. Equality is exact but for the 64-bit hash of a word or a line.

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
from lc_data.quality.ngrams import Limits, ngram_chars
from lc_data.quality.repeats import duplicate_lines, duplicate_paragraphs
from lc_data.recipe.filtering import GopherRepetitionRule
from lc_data.text.buffers import text_buffers
from lc_data.text.characters import character_classes

_BLOCKS = ("duplicate_paragraphs", "duplicate_paragraph_chars", "duplicate_lines", "duplicate_line_chars")
_LIMITS = Limits()


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


def measure_gopher_repetition(
    text: pa.Array, top: Iterable[int], duplicate: Iterable[int], limits: Limits = _LIMITS
) -> Measures:
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
    ngrams = np.zeros((len(text), 2, longest + 1), np.int64)
    duplicate_paragraphs(data, offsets, classes, blocks[:, 0:3])
    duplicate_lines(data, offsets, blocks[:, 3:7])
    if longest > 1:
        wanted = np.isin(np.arange(longest + 1), duplicate)
        ngram_chars(data, offsets, classes, wanted, limits, ngrams)
    paragraphs, same_paragraphs, paragraph_chars, lines, same_lines, line_chars, chars = blocks.T.astype(np.float64)
    measures = {
        "duplicate_paragraphs": same_paragraphs / np.maximum(paragraphs, 1),
        "duplicate_paragraph_chars": paragraph_chars / np.maximum(chars, 1),
        "duplicate_lines": same_lines / np.maximum(lines, 1),
        "duplicate_line_chars": line_chars / np.maximum(chars, 1),
    }
    measures |= {f"top_{n}gram_chars": ngrams[:, 0, n] / np.maximum(chars, 1) for n in top}
    measures |= {f"duplicate_{n}gram_chars": ngrams[:, 1, n] / np.maximum(chars, 1) for n in duplicate}
    return measures
