"""The quality of a document as a fastText classifier sees it, from windows spread over all of it.

A head of good prose must not vouch for a body of lists, so every window is scored by itself and the recipe says whether
their mean counts or the share of good ones. fastText scores 5 to 10 MB/s a core; with 16 windows a long book costs no
more than 32 KB of text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from lc_data.quality.judgement import Failure, Judgement
from lc_data.quality.language import windows
from lc_data.recipe.classification import ClassifierRule
from lc_data.recipe.errors import RecipeError, nearest
from lc_data.text.buffers import as_text, each_text
from lc_data.text.characters import SPACE, UNSPACED, character_classes
from lc_data.text.compile import Bytes, kernel
from lc_data.text.words import code_point

LABEL_PREFIX = "__label__"
_BLANK = np.uint8(32)
_LARGEST = 2.0**64


class Scorer(Protocol):
    """Gives the probability of each label for a line."""

    def score(self, line: str) -> dict[str, float]:
        """Probabilities by label, without the prefix of labels."""
        ...


@dataclass(frozen=True)
class Classifier:
    """Scores documents, writes the score down, and drops by it."""

    rule: ClassifierRule
    scorer: Scorer

    def judge(self, documents: pa.RecordBatch) -> Judgement:
        """Score every document; one without a word has no score (NaN) and stays."""
        name = self.rule.name or self.rule.rule
        scores = np.array([self._score(text) for text in each_text(documents.column("text"))], np.float64)
        notes: dict[int, dict[str, Any]] = {int(row): {name: scores[row]} for row in np.flatnonzero(~np.isnan(scores))}
        failures = {}
        for row, document_id in enumerate(documents.column("id").to_pylist()):
            if failure := self._fail(document_id, float(scores[row])):
                failures[row] = failure
                del notes[row]
        return Judgement(failures, {"score": scores}, notes=notes)

    def _score(self, text: npt.NDArray[np.uint8]) -> float:
        label = self.rule.label.removeprefix(LABEL_PREFIX)
        scores = [self.scorer.score(line)[label] for line in each_line(text, self.rule.windows, self.rule.window_bytes)]
        if not scores:
            return float("nan")
        if self.rule.window_score is not None:
            scores = [float(score >= self.rule.window_score) for score in scores]
        return round(sum(scores) / len(scores), 6)

    def _fail(self, document_id: str, score: float) -> Failure | None:
        if np.isnan(score):
            return None
        if self.rule.min_score is not None and score < self.rule.min_score:
            return Failure("low_score", score, self.rule.min_score)
        if self.rule.sample == "pareto":
            drawn = draw_pareto(document_id, self.rule.pareto_alpha, self.rule.seed)
            if drawn <= 1 - score:
                return Failure("not_drawn", score, None, {"drawn": round(drawn, 6)})
        return None


def draw_pareto(document_id: str, alpha: float, seed: int) -> float:
    """The Pareto variate (Lomax, from 0) of a document: a function of its id and the seed."""
    uniform = (xxhash.xxh3_64_intdigest(document_id, seed) + 0.5) / _LARGEST
    return float(max(uniform, 1 / _LARGEST) ** (-1 / alpha) - 1)


def each_line(text: npt.NDArray[np.uint8], count: int | None, size_bytes: int) -> Iterator[str]:
    """The windows of a text (all of it without a ``count``) as lines for a classifier; blank ones are left out."""
    count = count if count is not None else max(1, -(-len(text) // size_bytes))
    for window in windows(text, count, size_bytes):
        if line := separate(window):
            yield line


def separate(text: str) -> str:
    """A text as one line: words parted by one space, each Han or kana character a word of its own.

    What fastText takes for the end of a line or for a label is broken up, wherever it stands.
    """
    data = as_text(text)
    out = np.empty(2 * len(data) + 1, np.uint8)
    line = out[: _separate(data, character_classes(), out)].tobytes()
    return line.replace(b"</s>", b"< /s>").replace(b"__label__", b"__ label__").decode()


@cache
def open_classifier(model: str) -> Scorer:
    """The model of a recipe, loaded once a process. Raises :class:`RecipeError` when it cannot be had."""
    if not Path(model).is_file():
        raise RecipeError(f"classifier model {model!r} is not a file; give a local fastText model or `train` one")
    return load_classifier(model)


def load_classifier(path: str) -> Scorer:
    """A fastText file as it stands now. Raises :class:`RecipeError` where it is none."""
    import fasttext

    try:
        return _FastText(fasttext.load_model(path))
    except ValueError as error:
        raise RecipeError(f"classifier model {path!r} is not a fastText model: {error}") from None


def check_label(rule: ClassifierRule, scorer: Scorer) -> None:
    """Raises :class:`RecipeError` when the model does not have the label of the rule."""
    labels, wanted = sorted(scorer.score("a")), rule.label.removeprefix(LABEL_PREFIX)
    if wanted not in labels:
        raise RecipeError(
            f"filter rule {rule.name or rule.rule!r}: the model {rule.model!r} has no label {wanted!r}"
            f"{nearest(wanted, labels)}; it has {', '.join(labels[:10])}"
        )


class _FastText:
    def __init__(self, model: Any) -> None:
        self._model = model

    def score(self, line: str) -> dict[str, float]:
        labels, scores = self._model.predict(line, k=-1)
        # fastText adds a hundred-thousandth to every probability.
        return {
            label.removeprefix(LABEL_PREFIX): min(max(float(score) - 1e-5, 0.0), 1.0)
            for label, score in zip(labels, scores, strict=True)
        }


@kernel
def _separate(text: Bytes, classes: Bytes, out: Bytes) -> int:
    """Fill ``out`` (twice the text and one byte at least) with the words of a text; returns their size."""
    at = size = 0
    due = False
    while at < len(text):
        point, width = code_point(text, at)
        kind = classes[point]
        if kind & SPACE:
            due = True
        else:
            if size and (due or kind & UNSPACED):
                out[size] = _BLANK
                size += 1
            for place in range(at, at + width):
                out[size] = text[place]
                size += 1
            due = kind & UNSPACED != 0
        at += width
    return size
