"""The language of a document, from windows spread over it.

Judging windows costs the same for a tweet and a novel, and each window votes, so that a preface in another language
does not name the book. Two identifiers: fastText where the recipe gives a model file (5 MB/s), otherwise py3langid,
which ships its model (140 languages, 2.5 MB/s) and needs neither network nor compiler. Their labels are close but not
the same; the recipe's fingerprint knows which was used.

A model is memory that the rules after this one need for a long document: py3langid's takes 73 MB, half a second to load
and 65 MB less at the peak of a 50 MB document when it is given back in between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.quality.judgement import Failure, Judgement
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.filtering import LanguageRule
from lc_data.text.buffers import each_text

_WRITTEN_CHINESE = frozenset({"yue", "wuu", "lzh"})
"""Labels that py3langid gives to one in twenty windows of classical Chinese; fastText calls all of it ``zh``."""

_LARGE_TEXT_BYTES = 32_000_000
"""A text from this size on costs the other rules ten seconds and hundreds of MB: the model makes room for them."""


class Identifier(Protocol):
    """Names the language of a short text."""

    def identify(self, text: str) -> tuple[str, float]:
        """The likeliest language code and its probability."""
        ...

    def release(self) -> None:
        """Give the model's memory back; the next text loads it again."""
        ...


@dataclass(frozen=True)
class Language:
    """Writes the language of documents that state none, and drops those in languages that are not kept."""

    rule: LanguageRule
    identifier: Identifier

    def judge(self, documents: pa.RecordBatch) -> Judgement:
        """Identify every document; a stated language is believed, with no score."""
        stated = documents.column("language").to_pylist()
        names = list(stated)
        scores = np.full(len(stated), np.nan)
        notes = {}
        for row, text in enumerate(each_text(documents.column("text"))):
            if stated[row] is None:
                shares, scores[row] = self._identify(text)
                if len(text) >= _LARGE_TEXT_BYTES:
                    self.identifier.release()
                names[row] = next(iter(shares), None)
                if self._is_mixed(shares):
                    notes[row] = {"languages": shares}
        found = {row: name for row, name in enumerate(names) if stated[row] is None and name is not None}
        failures = {
            row: failure
            for row, name in enumerate(names)
            if (failure := self._fail(name, scores[row], notes.get(row, {})))
        }
        return Judgement(failures, {"score": scores}, languages=found, notes=notes)

    def _is_mixed(self, shares: dict[str, float]) -> bool:
        return len(shares) > 1 and list(shares.values())[1] >= self.rule.mixed_share

    def _identify(self, text: npt.NDArray[np.uint8]) -> tuple[dict[str, float], float]:
        """Each language's share of the votes, the likeliest first, and the mean confidence in that one."""
        votes: dict[str, float] = defaultdict(float)
        count = 0
        for window in windows(text, self.rule.windows, self.rule.window_bytes):
            name, score = self.identifier.identify(window)
            votes[name] += score
            count += 1
        if not votes:
            return {}, 0.0
        total = sum(votes.values())
        ranked = sorted(votes, key=lambda candidate: (-votes[candidate], candidate))
        return {name: round(votes[name] / total, 3) for name in ranked}, votes[ranked[0]] / count

    def _fail(self, name: str | None, score: float, found: dict[str, Any]) -> Failure | None:
        if self.rule.keep is not None and name not in self.rule.keep:
            return Failure("other_language", name or "none", ",".join(self.rule.keep), found)
        if score < self.rule.min_score:
            return Failure("low_score", float(score), self.rule.min_score, found)
        return None


def windows(text: npt.NDArray[np.uint8], count: int, size_bytes: int) -> Iterator[str]:
    """At most ``count`` windows of about ``size_bytes``, the first at the start and the last at the end of a text.

    They are cut between characters, line ends become spaces, and windows of white space are left out.
    """
    needed = min(count, -(-len(text) // size_bytes))
    for number in range(needed):
        start = (len(text) - size_bytes) * number // (needed - 1) if needed > 1 else 0
        piece = text[max(start, 0) : start + size_bytes].tobytes()
        # Cutting a character leaves incomplete bytes at either end; the rest of the window is whole.
        window = " ".join(piece.decode("utf-8", errors="ignore").split())
        if window:
            yield window


@cache
def open_identifier(model: str | None) -> Identifier:
    """The identifier of a recipe, loaded once a process. Raises :class:`RecipeError` when it cannot be had."""
    return _FastText(model) if model is not None else _Langid()


class _FastText:
    def __init__(self, model: str) -> None:
        if not Path(model).is_file():
            raise RecipeError(
                f"language model {model!r} is not a file; give a local fastText model or leave `model` out"
            )
        self._path = model
        self._model: Any = self._load()

    def _load(self) -> Any:
        import fasttext

        try:
            return fasttext.load_model(self._path)
        except ValueError as error:
            raise RecipeError(f"language model {self._path!r} is not a fastText model: {error}") from None

    def identify(self, text: str) -> tuple[str, float]:
        if self._model is None:
            self._model = self._load()
        labels, scores = self._model.predict(text)
        return labels[0].removeprefix("__label__"), min(float(scores[0]), 1.0)

    def release(self) -> None:
        self._model = None


class _Langid:
    def __init__(self) -> None:
        self._model: Any = self._load()

    def _load(self) -> Any:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def identify(self, text: str) -> tuple[str, float]:
        if self._model is None:
            self._model = self._load()
        name, score = self._model.classify(text)
        return "zh" if name in _WRITTEN_CHINESE else name, float(score)

    def release(self) -> None:
        self._model = None
