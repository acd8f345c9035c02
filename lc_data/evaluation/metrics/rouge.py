"""ROUGE-1, 2, L and Lsum as Google's ``rouge_score`` 0.1.2 computes them, without stemming (Lin 2004).

Words are runs of ASCII letters and digits in lower case; everything else, Chinese included, is a gap.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from lc_data.evaluation.metrics.subsequence import common_length, common_pairs, places_of

Kind = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]

_WORD = re.compile(r"[a-z0-9]+")


class Rouge(NamedTuple):
    """Precision, recall and their harmonic mean, from 0 to 1."""

    precision: float
    recall: float
    f: float


def rouge(prediction: str, reference: str, kind: Kind) -> Rouge:
    """One of the four, of a prediction and one reference."""
    if kind == "rougeLsum":
        return _summary_level(prediction, reference)
    predicted, wanted = _words(prediction), _words(reference)
    if kind == "rougeL":
        return _of(common_length(wanted, predicted), len(predicted), len(wanted))
    size = int(kind.removeprefix("rouge"))
    left, right = _grams(predicted, size), _grams(wanted, size)
    return _of((left & right).total(), left.total(), right.total())


def rouge_1_f(prediction: str, reference: str) -> float:
    """F of ROUGE-1."""
    return rouge(prediction, reference, "rouge1").f


def rouge_l_f(prediction: str, reference: str) -> float:
    """F of ROUGE-L over the whole text."""
    return rouge(prediction, reference, "rougeL").f


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _grams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + size]) for i in range(len(words) - size + 1))


def _of(hits: int, predicted: int, wanted: int) -> Rouge:
    precision, recall = hits / max(predicted, 1), hits / max(wanted, 1)
    total = precision + recall
    return Rouge(precision, recall, 2 * precision * recall / total if total else 0.0)


def _summary_level(prediction: str, reference: str) -> Rouge:
    """Sentences are lines; a word counts at most as often as both texts have it."""
    predicted = [_words(line) for line in prediction.split("\n") if line]
    wanted = [_words(line) for line in reference.split("\n") if line]
    left = Counter(word for words in predicted for word in words)
    right = Counter(word for words in wanted for word in words)
    sizes = left.total(), right.total()
    hits = 0
    for sentence in wanted:
        places = places_of(sentence)
        # The package goes back in the reference first, so the reference is on the right.
        union = {place for words in predicted for _, place in common_pairs(words, sentence, places)}
        for word in (sentence[place] for place in sorted(union)):
            if left[word] > 0 and right[word] > 0:
                hits += 1
                left[word] -= 1
                right[word] -= 1
    return _of(hits, *sizes)
