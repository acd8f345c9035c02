"""Labels and numbers named in a free answer: LongBench's classification, counting and retrieval metrics."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"\d+")


def classification(prediction: str, reference: str, labels: Sequence[str]) -> float:
    """1 over the number of labels that a prediction names, if the right one is among them.

    A label is named where it is a substring. Labels inside the right one do not count, but the published scorer
    removes them from the list that it is walking through, so the label after a removed one is never looked at; that
    is kept.
    """
    named = [label for label in labels if label in prediction]
    place = 0
    while place < len(named):
        label = named[place]
        if label in reference and label != reference:
            named.remove(label)
        place += 1
    return 1.0 / len(named) if reference in named else 0.0


def count(prediction: str, reference: str) -> float:
    """Share of the numbers in a prediction that are the right one, compared as strings."""
    numbers = _NUMBER.findall(prediction)
    return numbers.count(reference) / len(numbers) if numbers else 0.0


def retrieval(prediction: str, reference: str) -> float:
    """:func:`count` of the number after ``Paragraph`` in the reference."""
    return _retrieved(prediction, reference, "Paragraph ")


def retrieval_zh(prediction: str, reference: str) -> float:
    """:func:`count` of the number after ``段落`` in the reference."""
    return _retrieved(prediction, reference, "段落")


def _retrieved(prediction: str, reference: str, word: str) -> float:
    found = re.search(rf"{word}(\d+)", reference)
    if found is None:
        raise ValueError(f"a reference of this task names {word.strip()!r} and a number, got {reference!r}")
    return count(prediction, found[1])
