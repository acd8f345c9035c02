"""Long documents judged window by window: a good head no longer vouches for a bad body.

Windows are slices of the same Arrow buffer, so any rule judges them as if they were documents and no text is copied. A
rule takes the same time for all windows of a text as for the whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.quality.columns import replace_values
from lc_data.quality.judgement import Failure, Judgement, Rule
from lc_data.recipe.filtering import Windows
from lc_data.text.buffers import text_buffers
from lc_data.text.compile import Bytes, Counts, kernel

_NEW_LINE = 10
_NAMED_WINDOWS = 16
"""Windows that a detail or the metadata names; a 50 MB document of noise has thousands."""


@dataclass(frozen=True)
class Cut:
    """The texts of a batch, cut into windows."""

    windows: pa.Array
    """The windows of all rows, in order: large_string."""
    borders: npt.NDArray[np.int64]
    """Where each window begins in the bytes of the column, and where the last one ends."""
    first: npt.NDArray[np.int64]
    """The first window of each row, and the number of windows."""


@dataclass(frozen=True)
class FailedWindow:
    """A window that fails: its place in the document, in bytes, and why."""

    offset: int
    length: int
    failure: Failure

    def detail(self) -> dict[str, Any]:
        """The window as JSON, for details and metadata."""
        return {"offset": self.offset, "length": self.length, "test": self.failure.test, **self.failure.detail()}


@dataclass(frozen=True)
class Windowed:
    """A rule that judges the windows of documents, and, where the recipe says so, the whole of each."""

    name: str
    """The rule's name, under which windows are flagged."""
    rule: Rule
    windows: Windows

    def judge(self, documents: pa.RecordBatch) -> Judgement:
        """Judge windows first, so that what trimming leaves is the whole that is judged."""
        cut = cut_windows(documents.column("text"), self.windows.size_bytes)
        verdicts = self._judge_windows(cut)
        failures: dict[int, Failure] = {}
        ranges: dict[int, tuple[int, int]] = {}
        notes: dict[int, dict[str, Any]] = {}
        shares = np.full(documents.num_rows, np.nan)
        for row, (size, failed) in enumerate(_failed_windows(cut, verdicts)):
            if failed is None:
                continue
            start, end = _trim(size, failed) if self.windows.on_fail == "trim" else (0, size)
            inside = [window for window in failed if start <= window.offset < end]
            shares[row] = sum(window.length for window in inside) / (end - start) if end > start else 1.0
            if inside:
                notes[row] = {"failed_share": {self.name: round(shares[row].item(), 6)}}
            if self.windows.on_fail == "flag":
                if failed:
                    notes[row]["failed_windows"] = {self.name: _named(failed)}
            elif shares[row] > self.windows.max_failed:
                found = {"windows": _named(inside or failed)}
                failures[row] = Failure("windows", shares[row].item(), self.windows.max_failed, found)
            elif (start, end) != (0, size):
                ranges[row] = (start, end)
        rewritten = {row: trim_document(documents, row, *ranges[row]) for row in ranges}
        judgement = Judgement(failures, {"failed_windows": shares}, rewritten=rewritten, notes=notes)
        return self._judge_whole(documents, judgement, cut)

    def _judge_windows(self, cut: Cut) -> dict[int, Failure]:
        """The windows that fail, of documents that have more than one: in short text there is nothing to do."""
        counts = np.diff(cut.first)
        judged = np.flatnonzero(np.repeat(counts > 1, counts))
        if not len(judged):
            return {}
        windows = cut.windows if len(judged) == len(cut.windows) else cut.windows.take(pa.array(judged))
        failures = self.rule.judge(pa.record_batch({"text": windows})).failures
        return {int(judged[index]): failure for index, failure in failures.items()}

    def _judge_whole(self, documents: pa.RecordBatch, judgement: Judgement, cut: Cut) -> Judgement:
        single = np.diff(cut.first) == 1
        judged = np.ones(len(single), bool) if self.windows.whole else single
        judged[list(judgement.failures)] = False
        rows = np.flatnonzero(judged)
        text = replace_values(documents.column("text"), {row: text for row, (text, _) in judgement.rewritten.items()})
        whole = self.rule.judge(pa.record_batch({"text": text.take(pa.array(rows)) if len(rows) < len(text) else text}))
        measures = dict(judgement.measures)
        for name, values in whole.measures.items():
            measures[name] = np.full(len(text), np.nan)
            measures[name][rows] = values
        failures = judgement.failures | {int(rows[index]): failure for index, failure in whole.failures.items()}
        rewritten = {row: text for row, text in judgement.rewritten.items() if row not in failures}
        notes = {row: note for row, note in judgement.notes.items() if row not in failures}
        return Judgement(failures, measures, rewritten=rewritten, notes=notes)


def cut_windows(text: pa.Array, size_bytes: int) -> Cut:
    """Cut each text into about ``len / size_bytes`` windows of about equal size, always after a line end.

    Each border is the first line end at or after its even share, so a text without line ends stays one window.
    """
    data, offsets = text_buffers(text)
    counts = np.maximum(np.rint(np.diff(offsets) / size_bytes), 1).astype(np.int64)
    first = np.zeros(len(text) + 1, np.int64)
    borders = np.empty(int(counts.sum()) + 1, np.int64)
    borders = borders[: _find_borders(data, offsets, counts, borders, first) + 1]
    borders[-1] = offsets[-1]
    buffers = [None, pa.py_buffer(borders), pa.py_buffer(data)]
    windows = pa.Array.from_buffers(pa.large_string(), len(borders) - 1, buffers)
    return Cut(windows, borders, first)


@kernel
def _find_borders(data: Bytes, offsets: Counts, counts: Counts, borders: Counts, first: Counts) -> int:
    """Fill in where each window begins, and the first window of each row; returns the number of windows.

    Looking only at the bytes behind each even share finds the line ends without a list of all of them, which took 450
    MB for a document of 50 MB.
    """
    total = 0
    for row in range(len(counts)):
        start, end = offsets[row], offsets[row + 1]
        borders[total] = start
        total += 1
        for number in range(1, counts[row]):
            at = max(start + (end - start) * number // counts[row], borders[total - 1] + 1)
            while at < end and data[at - 1] != _NEW_LINE:
                at += 1
            if at >= end:
                break
            borders[total] = at
            total += 1
        first[row + 1] = total
    return total


def trim_document(documents: pa.RecordBatch, row: int, start: int, end: int) -> tuple[str, list[dict] | None]:
    """The bytes from ``start`` to ``end`` of a document's text, and its parts as they lie in what is left."""
    data, offsets = text_buffers(documents.column("text"))
    text = data[offsets[row] + start : offsets[row] + end].tobytes().decode()
    parts = documents.column("parts")[row].as_py()
    return text, None if parts is None else list(_clip(parts, start, end))


def _clip(parts: list[dict], start: int, end: int) -> Iterator[dict]:
    """Parts within a range, moved to begin with it; those outside it are gone."""
    for part in parts:
        low, high = max(part["offset"], start), min(part["offset"] + part["length"], end)
        if low < high or (part["length"] == 0 and low == high):
            yield {"source": part["source"], "offset": low - start, "length": high - low}


def _failed_windows(cut: Cut, verdicts: dict[int, Failure]) -> Iterator[tuple[int, list[FailedWindow] | None]]:
    """For each row its size in bytes and its windows that fail; ``None`` where it is one window."""
    for low, high in itertools.pairwise(cut.first.tolist()):
        begin, end = int(cut.borders[low]), int(cut.borders[high])
        failed = [
            FailedWindow(
                int(cut.borders[window]) - begin, int(cut.borders[window + 1] - cut.borders[window]), verdicts[window]
            )
            for window in range(low, high)
            if window in verdicts
        ]
        yield end - begin, failed if high - low > 1 else None


def _trim(size: int, failed: list[FailedWindow]) -> tuple[int, int]:
    """What is left when the failed windows at both ends are cut off; nothing when all fail."""
    start, end = 0, size
    for window in failed:
        if window.offset == start:
            start += window.length
    for window in reversed(failed):
        if window.offset + window.length == end and end > start:
            end -= window.length
    return start, end


def _named(failed: list[FailedWindow]) -> list[dict[str, Any]]:
    return [window.detail() for window in failed[:_NAMED_WINDOWS]]
