"""Gopher's quality rules (Rae et al. 2021, arXiv 2112.11446, appendix A1.1) in two passes over the bytes.

datatrove's version runs at 0.3 to 2 MB/s, most of it making Python words. The tests and their order are the same;
what differs is said in the recipe: words are spaced words and single Han characters, there is no upper bound on length
unless the recipe sets one, and the mean word length does not judge text that is mostly Han.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lc_data.quality.judgement import Bound, Judgement, Measures, check_bounds
from lc_data.recipe.filtering import GopherQualityRule
from lc_data.text.buffers import as_text, text_buffers
from lc_data.text.characters import ALPHA, LINE_BREAK, SPACE, SYMBOL, UNSPACED, character_classes
from lc_data.text.compile import Bytes, Counts, Flags, Hashes, kernel
from lc_data.text.words import BLOCK_WORDS, code_point, spaced_words

_ELLIPSIS, _BULLET, _DASH, _DOT, _HASH, _BLANK = 0x2026, 0x2022, 0x2D, 0x2E, 0x23, 0x20
_PLAIN = np.array([0x20 <= byte < 0x7F and byte not in (_DOT, _HASH) for byte in range(256)])
"""Bytes that are neither counted nor the end of a line."""


@dataclass(frozen=True)
class GopherQuality:
    """Judges word counts, word lengths, symbols, bullets, ellipses, letters and stop words."""

    rule: GopherQualityRule

    def judge(self, documents: pa.RecordBatch) -> Judgement:
        """Drop documents that fail a test; the first one failed is the reason."""
        measures = measure_gopher_quality(documents.column("text"), self.rule.stop_words)
        return Judgement(check_bounds(measures, quality_bounds(self.rule)), measures)


def quality_bounds(rule: GopherQualityRule) -> list[Bound]:
    """The tests of a rule, in the order of the paper's list."""
    return [
        Bound("too_few_words", "words", low=rule.min_words),
        Bound("too_many_words", "words", high=rule.max_words),
        Bound("short_words", "mean_word_length", low=rule.min_mean_word_length),
        Bound("long_words", "mean_word_length", high=rule.max_mean_word_length),
        Bound("hashes", "hash_ratio", high=rule.max_hash_ratio),
        Bound("ellipses", "ellipsis_ratio", high=rule.max_ellipsis_ratio),
        Bound("bullet_lines", "bullet_lines_ratio", high=rule.max_bullet_lines_ratio),
        Bound("ellipsis_lines", "ellipsis_lines_ratio", high=rule.max_ellipsis_lines_ratio),
        Bound("few_alpha_words", "alpha_words_ratio", low=rule.min_alpha_words_ratio),
        Bound("few_stop_words", "stop_words", low=rule.min_stop_words),
    ]


def measure_gopher_quality(text: pa.Array, stop_words: tuple[str, ...]) -> Measures:
    """The measures behind the tests, float64 per document.

    ``words`` and ``mean_word_length`` leave out words that are nothing but symbols, as the paper does;
    ``mean_word_length`` is NaN where there are none and where most words are single Han or kana characters. The other
    ratios are over all words or all lines, and NaN where there are none.
    """
    data, offsets = text_buffers(text)
    classes = character_classes()
    words = np.zeros((len(text), 6), np.int64)
    lines = np.zeros((len(text), 5), np.int64)
    _measure_words(data, offsets, classes, _word_hashes(stop_words, classes), words)
    _measure_lines(data, offsets, classes, _PLAIN, lines)
    total, plain, plain_chars, alpha, unspaced, stops = words.T.astype(np.float64)
    line_count, bullets, ellipsis_ends, hashes, ellipses = lines.T.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "words": plain,
            "mean_word_length": np.where(2 * unspaced > total, np.nan, plain_chars / plain),
            "hash_ratio": hashes / total,
            "ellipsis_ratio": ellipses / total,
            "bullet_lines_ratio": bullets / line_count,
            "ellipsis_lines_ratio": ellipsis_ends / line_count,
            "alpha_words_ratio": alpha / total,
            "stop_words": stops,
        }


def _word_hashes(stop_words: tuple[str, ...], classes: Bytes) -> Hashes:
    """The hash of each stop word, which must be one word in our reading."""
    hashes, lengths, kinds = np.zeros(2, np.uint64), np.zeros(2, np.int64), np.zeros(2, np.uint8)
    found = np.zeros(len(stop_words), np.uint64)
    for index, word in enumerate(stop_words):
        _, count = spaced_words(as_text(word), 0, classes, hashes, lengths, kinds)
        if count != 1:
            raise ValueError(f"the stop word {word!r} is {count} words here; each must be one")
        found[index] = hashes[0]
    return found


@kernel
def _measure_words(data: Bytes, offsets: Counts, classes: Bytes, stop_hashes: Hashes, out: Counts) -> None:
    """Per row: all words, words that are not only symbols, their characters, words with a letter, Han words, stops."""
    hashes = np.empty(BLOCK_WORDS, np.uint64)
    lengths = np.empty(BLOCK_WORDS, np.int64)
    kinds = np.empty(BLOCK_WORDS, np.uint8)
    # A 4096-bit sieve answers "no" for nearly every word before the list of stop words is walked.
    sieve = np.zeros(4096, np.bool_)
    for stop in stop_hashes:
        sieve[stop & np.uint64(4095)] = True
    seen = np.zeros(len(stop_hashes), np.bool_)
    for row in range(len(offsets) - 1):
        text = data[offsets[row] : offsets[row + 1]]
        at = 0
        seen[:] = False
        while at < len(text):
            at, count = spaced_words(text, at, classes, hashes, lengths, kinds)
            out[row, 0] += count
            for index in range(count):
                kind = kinds[index]
                if not kind & SYMBOL:
                    out[row, 1] += 1
                    out[row, 2] += lengths[index]
                out[row, 3] += kind & ALPHA != 0
                out[row, 4] += kind & UNSPACED != 0
                if sieve[hashes[index] & np.uint64(4095)]:
                    for stop in range(len(stop_hashes)):
                        if stop_hashes[stop] == hashes[index]:
                            seen[stop] = True
        out[row, 5] = seen.sum()


@kernel
def _measure_lines(data: Bytes, offsets: Counts, classes: Bytes, plain: Flags, out: Counts) -> None:
    """Per row: lines, lines that begin with a bullet, lines that end with an ellipsis, hash signs, ellipses."""
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        blank, empty, gap, previous = True, True, False, np.int64(0)
        dots, run, last = 0, 0, np.int64(0)
        while at < end:
            if not blank and plain[data[at]]:
                start = at
                at, solid = _skip_plain(data, at, end, plain)
                dots, last = (0, np.int64(data[solid])) if solid >= start else (dots, last)
                gap, run, previous = solid < at - 1, 0, np.int64(data[at - 1])
                continue
            point, width = code_point(data, at)
            kind = classes[point]
            at += width
            out[row, 3] += point == _HASH
            # Three dots make an ellipsis; a longer run holds as many as fit, wherever lines end.
            run = run + 1 if point == _DOT else 0
            if point == _ELLIPSIS or (run > 0 and run % 3 == 0):
                out[row, 4] += 1
            if kind & LINE_BREAK:
                if not (point == 0x0A and previous == 0x0D):
                    out[row, 0] += 1
                    out[row, 2] += dots >= 3 or last == _ELLIPSIS
                blank, empty, gap, dots, last = True, True, False, 0, np.int64(0)
            else:
                empty = False
                if kind & SPACE:
                    gap = True
                else:
                    dots = (1 if gap else dots + 1) if point == _DOT else 0
                    last, gap = point, False
                    if blank:
                        out[row, 1] += point in (_BULLET, _DASH)
                        blank = False
            previous = point
        if not empty:
            out[row, 0] += 1
            out[row, 2] += dots >= 3 or last == _ELLIPSIS


@kernel
def _skip_plain(data: Bytes, at: int, end: int, plain: Flags) -> tuple[int, int]:
    """The end of the bytes that change only what the last character is, nine in ten of English; the last but blanks."""
    start = at
    while at < end and plain[data[at]]:
        at += 1
    solid = at - 1
    while solid >= start and data[solid] == _BLANK:
        solid -= 1
    return at, solid
