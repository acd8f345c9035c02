"""The same ids faster: the ``gigatoken`` package, 20 MB/s per core on Chinese, 40 and more on English, 60 on papers.

It is young, so nothing is taken on trust: it is used only for a tokenizer on which it agrees with the reference (see
:mod:`lc_data.lengths.agreement`), and whatever it raises, panics included, is an :class:`EngineError` that its caller
answers with the reference. Two of its traits are dealt with here. Its Unicode tables are not those of ``tokenizers``,
so it is given no normalizer: the few lines that are not in normal form are normalised by the reference before. And its
cache of words only grows (6 bytes per byte of random words), so the model is loaded anew when it has taken too much.
Chinese it gets with marks (:mod:`lc_data.lengths.han_marks`).
"""

from __future__ import annotations

import importlib.util
import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lc_data.lengths.han_marks import HanMarks, find_marks
from lc_data.lengths.reference_encoder import ReferenceEncoder, Tokens, bounded

GROWTH_BYTES = 128 << 20
"""What the cache of words may take before the model is loaded anew, where the system tells (``/proc``)."""

_QUOTED_CHARACTERS = 80
_MARKED_RATIO = 1.5
"""Bytes for each character from which on marking pays."""

_CHINESE = "第一章 红楼梦的开始。此开卷第一回也，作者自云：“历过一番梦幻”,数据3个and文字\n天地玄黄" * 3


class EngineError(Exception):
    """gigatoken cannot be used: it is missing, refuses the tokenizer, failed on a text, or gave other ids."""


class GigatokenEncoder:
    """A tokenizer.json as gigatoken understands it, with the policy of :class:`ReferenceEncoder`."""

    def __init__(self, definition: str, reference: ReferenceEncoder, growth_bytes: int = GROWTH_BYTES) -> None:
        """Load; raises :class:`EngineError` where gigatoken is not installed or cannot do what the file asks."""
        if importlib.util.find_spec("gigatoken") is None:
            raise EngineError("gigatoken is not installed")
        self._reference = reference
        self._growth_bytes = growth_bytes
        content, self._normalizes = _without_specials(definition)
        self._marks = find_marks(content, reference.found_tokens)
        self._definition = _dump(content)
        self._found_token = re.compile("|".join(map(re.escape, reference.found_tokens)) or "(?!)")
        self.loads = 0
        """How often the model was loaded."""
        self._load()
        if self._marks is not None and not self._marks_change_nothing():
            self._marks = None

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """The ids of each text, in order; :class:`EngineError`, with the start of a text, for what it fails on."""
        prepared = [self._prepare(text) for text in texts]
        encoded = iter(self._encode_prepared([text for text in prepared if text is not None]))
        return [
            next(encoded) if ready is not None else self._reference.encode([text])[0]
            for text, ready in zip(texts, prepared, strict=True)
        ]

    def _encode_prepared(self, texts: Sequence[str]) -> list[Tokens]:
        arrays: list[Tokens] = []
        for batch in bounded(texts):
            if self._grown_bytes > self._growth_bytes:
                self._load()
            arrays += self._encode_batch(batch)
        return arrays

    def _encode_batch(self, texts: list[str]) -> list[Tokens]:
        marked = [self._mark(text) for text in texts]
        before = _resident_bytes()
        try:
            layout = self._model.encode_batch([data for data, _ in marked], parallel=False).layout
        except BaseException as error:
            _raise_unless_fault(error)
            raise EngineError(f"{_describe(error)}, on {self._failing_text(texts)!r}") from error
        values, offsets = layout.content.data, layout.offsets.data.tolist()
        # Never less: results that fit in memory which was free already say nothing about the cache.
        self._grown_bytes += max(0, _resident_bytes() - before - values.nbytes)
        if len(offsets) != len(texts) + 1:
            raise EngineError(f"gigatoken gave {len(offsets) - 1} results for {len(texts)} texts")
        narrow = values.astype(self._reference.dtype)
        arrays = [narrow[start:end] for start, end in pairwise(offsets)]
        if self._marks is None:
            return arrays
        return [
            self._marks.remove(array) if has_marks else array
            for array, (_, has_marks) in zip(arrays, marked, strict=True)
        ]

    def _mark(self, text: str) -> tuple[bytes, bool]:
        """The text in UTF-8, and whether it has marks: where half of it and more is of more than a byte."""
        data = text.encode()
        marked = self._marks.insert(data) if self._marks and len(data) > _MARKED_RATIO * len(text) else None
        return (data, False) if marked is None else (marked, True)

    def _marks_change_nothing(self) -> bool:
        """Whether a Chinese text has the same ids with marks as without."""
        marks: HanMarks | None = self._marks
        with_marks = self._encode_batch([_CHINESE])[0]
        self._marks = None
        without = self._encode_batch([_CHINESE])[0]
        self._marks = marks
        return np.array_equal(with_marks, without)

    def _failing_text(self, texts: Sequence[str]) -> str:
        """The start of the first text that fails by itself; of the first of all where none does."""
        for text in texts:
            try:
                self._model.encode_batch([self._mark(text)[0]], parallel=False)
            except BaseException as error:
                _raise_unless_fault(error)
                return text[:_QUOTED_CHARACTERS]
        return texts[0][:_QUOTED_CHARACTERS]

    def _prepare(self, text: str) -> str | None:
        """The text in the form that the file's normalizer gives it; None for one that only the reference can do.

        Added tokens are found before anything is normalised, and normalising can make or break their names.
        """
        if not self._normalizes or _is_normal(text):
            return text
        if self._found_token.search(text):
            return None
        lines = text.split("\n")
        return "\n".join(line if _is_normal(line) else self._reference.normalize(line) for line in lines)

    def _load(self) -> None:
        import gigatoken

        self._model: Any = None  # Its memory must be free before the next one takes its own.
        try:
            self._model = gigatoken.Tokenizer.from_json(self._definition).backend
        except BaseException as error:
            _raise_unless_fault(error)
            raise EngineError(f"gigatoken cannot load this tokenizer: {_describe(error)}") from error
        self._grown_bytes = 0
        self.loads += 1


def _without_specials(definition: str) -> tuple[dict[str, Any], bool]:
    """The file for gigatoken, and whether texts must be brought to NFC before."""
    import orjson

    content = orjson.loads(definition)
    normalizer = content.get("normalizer")
    if normalizer is not None and normalizer != {"type": "NFC"}:
        raise EngineError(f"its normalizer {normalizer.get('type')!r} is left to `tokenizers`; only NFC is known here")
    content["added_tokens"] = [token for token in content.get("added_tokens") or () if not token["special"]]
    content |= dict.fromkeys(("normalizer", "post_processor", "truncation", "padding"))
    return content, normalizer is not None


def _dump(content: dict[str, Any]) -> bytes:
    import orjson  # It writes a vocabulary of 150,000 in a tenth of the time; whoever has gigatoken has it.

    return orjson.dumps(content)


def _is_normal(text: str) -> bool:
    """Whether NFC surely leaves a text as it is, by whichever version of Unicode."""
    if text.isascii():
        return True
    if not unicodedata.is_normalized("NFC", text):
        return False
    return all(unicodedata.category(found) != "Cn" for found in set(_suspects().findall(text)))


@lru_cache(maxsize=1)
def _suspects() -> re.Pattern[str]:
    """What may be a character that Python's Unicode does not know: another version may know it as a combining mark.

    All combining marks that may move stand below U+20000. Above U+FFFF every character is matched, because a class of
    many ranges there reads 2 MB/s of text, and one of a single range 200.
    """
    numbers = np.array([number for number in range(0x300, 0x10000) if unicodedata.category(chr(number)) == "Cn"])
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    ranges = "".join(f"{re.escape(chr(run[0]))}-{re.escape(chr(run[-1]))}" for run in runs)
    return re.compile(f"[{ranges}\U00010000-\U0001ffff]")


def _raise_unless_fault(error: BaseException) -> None:
    """Raise again what is not gigatoken's own failure. A panic of Rust code is no Exception."""
    is_panic = type(error).__name__ == "PanicException"
    if isinstance(error, MemoryError) or not (is_panic or isinstance(error, Exception)):
        raise error


def _describe(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def _resident_bytes() -> int:
    """Memory of this process; 0 where the system does not say, so that the cache is not bounded there."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * _page_bytes()


@lru_cache(maxsize=1)
def _page_bytes() -> int:
    import os

    return os.sysconf("SC_PAGE_SIZE")
