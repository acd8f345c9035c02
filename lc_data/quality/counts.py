"""What can be counted in a text, in one pass over its bytes; and the rules made of counts: FineWeb's and your own.

A line here is parted by line feeds, has something in it, and ends before the white space at its end: datatrove keeps
that white space, so that a file with carriage returns has no line that ends in a stop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lc_data.quality.judgement import Bound, Judgement, Measures, check_bounds
from lc_data.recipe.filtering import STOP_CHARS, BoundsRule, FineWebRule
from lc_data.text.buffers import text_buffers
from lc_data.text.characters import ALPHA, SPACE, SYMBOL, UNSPACED, character_classes, lower_case
from lc_data.text.compile import Bytes, Counts, Numbers, kernel
from lc_data.text.hash_table import find_slot, grow, is_crowded
from lc_data.text.words import code_point, count_spaced_words, mix64

_SEED = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x00000100000001B3)
_ONE = np.uint64(1)
_NEW_LINE = 0x0A
_SHORT_LINE_CHARS = 30

CHARACTER_COUNTS = ("chars", "letters", "capitals", "digits", "symbols", "spaces", "han_chars", "new_lines")
LINE_COUNTS = ("lines", "short_lines", "stop_lines", "longest_line", "duplicate_lines", "duplicate_line_chars")


@dataclass(frozen=True)
class FineWeb:
    """Judges how lines end, how short they are, and how many come again."""

    rule: FineWebRule

    def judge(self, documents: pa.RecordBatch) -> Judgement:
        """Drop documents that fail a test; the first one failed is the reason."""
        rule = self.rule
        counts = count_text(documents.column("text"), rule.stop_chars, rule.short_line_chars)
        lines = counts["lines"]
        measures = {
            "lines": lines,
            "stop_lines_ratio": ratio(counts["stop_lines"], lines),
            "short_lines_ratio": ratio(counts["short_lines"], lines),
            "duplicate_line_chars_ratio": ratio(counts["duplicate_line_chars"], counts["chars"] - counts["new_lines"]),
            "new_lines_per_word": ratio(counts["new_lines"], counts["words"]),
        }
        bounds = [
            Bound("empty", "lines", low=1),
            Bound("few_stops", "stop_lines_ratio", low=rule.min_stop_lines_ratio),
            Bound("short_lines", "short_lines_ratio", high=rule.max_short_lines_ratio),
            Bound("duplicate_lines", "duplicate_line_chars_ratio", high=rule.max_duplicate_line_chars_ratio),
            Bound("list", "new_lines_per_word", high=rule.max_new_lines_per_word),
        ]
        return Judgement(check_bounds(measures, bounds), measures)


@dataclass(frozen=True)
class Bounds:
    """Judges one count, or the ratio of two."""

    rule: BoundsRule

    def judge(self, documents: pa.RecordBatch) -> Judgement:
        """Drop documents outside the bounds."""
        rule = self.rule
        counts = count_text(documents.column("text"))
        name = rule.measure if rule.per is None else f"{rule.measure}_per_{rule.per}"
        values = counts[rule.measure] if rule.per is None else ratio(counts[rule.measure], counts[rule.per])
        measures = {name: values}
        bounds = [Bound(f"low_{name}", name, low=rule.min), Bound(f"high_{name}", name, high=rule.max)]
        return Judgement(check_bounds(measures, bounds), measures)


def ratio(count: Counts, total: Counts) -> np.ndarray:
    """One count over another, float64; NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, count / np.maximum(total, 1), np.nan)


def count_text(text: pa.Array, stop_chars: str = STOP_CHARS, short_line_chars: int = _SHORT_LINE_CHARS) -> Measures:
    """All counts of ``CountName``, int64 per document."""
    data, offsets = text_buffers(text)
    classes = character_classes()
    characters = np.zeros((len(text), len(CHARACTER_COUNTS)), np.int64)
    lines = np.zeros((len(text), len(LINE_COUNTS)), np.int64)
    words = np.zeros(len(text), np.int64)
    _count_characters(data, offsets, classes, lower_case(), characters)
    stops = np.array(sorted(map(ord, set(stop_chars))), np.int64)
    _count_lines(data, offsets, classes, stops, short_line_chars, lines)
    count_spaced_words(data, offsets, classes, words)
    return {
        "bytes": np.diff(offsets),
        "words": words,
        **dict(zip(CHARACTER_COUNTS, characters.T, strict=True)),
        **dict(zip(LINE_COUNTS, lines.T, strict=True)),
    }


@kernel
def _count_characters(data: Bytes, offsets: Counts, classes: Bytes, lower: Numbers, out: Counts) -> None:
    """Per row the counts of ``CHARACTER_COUNTS``, in their order."""
    for row in range(len(offsets) - 1):
        at = offsets[row]
        while at < offsets[row + 1]:
            point, width = code_point(data, at)
            kind = classes[point]
            at += width
            out[row, 0] += 1
            out[row, 1] += kind & ALPHA != 0
            out[row, 2] += lower[point] != point
            out[row, 3] += 0x30 <= point <= 0x39
            out[row, 4] += kind & SYMBOL != 0
            out[row, 5] += kind & SPACE != 0
            out[row, 6] += kind & UNSPACED != 0
            out[row, 7] += point == _NEW_LINE


@kernel
def _count_lines(data: Bytes, offsets: Counts, classes: Bytes, stops: Counts, short_chars: int, out: Counts) -> None:
    """Per row the counts of ``LINE_COUNTS``, in their order. Equality of lines is that of a 64-bit hash."""
    for row in range(len(offsets) - 1):
        keys, numbers = np.zeros(256, np.uint64), np.zeros(256, np.uint32)
        used = 0
        at, end = offsets[row], offsets[row + 1]
        while at < end:
            # Chars and hash of the line so far, and as they were after its last character that is not white space.
            length, value = 0, _SEED
            solid, solid_value, last = 0, _SEED, np.int64(0)
            while at < end and data[at] != _NEW_LINE:
                point, width = code_point(data, at)
                at += width
                length += 1
                value = (value ^ np.uint64(point)) * _PRIME
                if not classes[point] & SPACE:
                    solid, solid_value, last = length, value, point
            at += 1
            if solid == 0:
                continue
            out[row, 0] += 1
            out[row, 1] += solid <= short_chars
            for stop in stops:
                out[row, 2] += stop == last
            out[row, 3] = max(out[row, 3], solid)
            if is_crowded(used, keys):
                keys, numbers = grow(keys, numbers)
            key = mix64(solid_value) | _ONE
            slot = find_slot(keys, key)
            if keys[slot] == key:
                out[row, 4] += 1
                out[row, 5] += solid
            else:
                keys[slot] = key
                numbers[slot] = np.uint32(used)
                used += 1
