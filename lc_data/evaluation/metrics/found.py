"""Whether planted facts are in an answer: the metrics of NeedleBench and RULER."""

from __future__ import annotations

import re
from collections.abc import Sequence


def needle(prediction: str, sentence: str, keyword: str, trim: bool = False) -> float:
    """NeedleBench v1, single: 1 where the keyword is in the answer, else a fifth of the likeness to the needle.

    Likeness is 1 minus the edit distance over the longer length, both texts without white space. A wrong answer thus
    keeps up to 0.2: a grid of zeros means silence, not error.

    Args:
        prediction: the answer.
        sentence: the planted sentence.
        keyword: what the question asks for.
        trim: cut the answer to about the needle's length before it is compared.

    """
    if keyword in prediction:
        return 1.0
    given, wanted = re.sub(r"\s+", "", prediction), re.sub(r"\s+", "", sentence)
    if trim:
        given = _trimmed(given, wanted)
    longest = max(len(given), len(wanted))
    return 0.2 * (1 - edit_distance(given, wanted) / longest) if longest else 0.2


def needle_v2(prediction: str, keyword: str) -> float:
    """NeedleBench v2, single: whether the keyword is in the answer."""
    return float(keyword in prediction)


def needle_reasoning(prediction: str, answer: str) -> float:
    """NeedleBench, several needles that lead to one answer: the share of its words in the prediction, in any case."""
    words = answer.lower().split()
    text = prediction.lower()
    return sum(word in text for word in words) / len(words) if words else 0.0


def boxed(text: str) -> str | None:
    r"""What stands in the last ``\boxed{...}`` of a text, without its own braces balanced; None where there is none."""
    found = re.findall(r"\\boxed\{([^{}]*)\}", text)
    return found[-1].strip() if found else None


def match_all(prediction: str, references: Sequence[str]) -> float:
    """RULER: the share of the references that are in the prediction, in any case."""
    text = prediction.lower()
    return sum(reference.lower() in text for reference in references) / len(references)


def match_part(prediction: str, references: Sequence[str]) -> float:
    """RULER's questions: whether any of the references is in the prediction, in any case."""
    text = prediction.lower()
    return float(any(reference.lower() in text for reference in references))


def edit_distance(left: str, right: str) -> int:
    """Insertions, deletions and replacements from one text to the other (Myers 1999: one integer per column)."""
    if not left:
        return len(right)
    places: dict[str, int] = {}
    for place, letter in enumerate(left):
        places[letter] = places.get(letter, 0) | 1 << place
    full, last = (1 << len(left)) - 1, 1 << (len(left) - 1)
    rises, falls, distance = full, 0, len(left)
    for letter in right:
        same = places.get(letter, 0)
        steady = (((same & rises) + rises) ^ rises) | same | falls
        up, down = falls | ~(steady | rises) & full, rises & steady
        distance += bool(up & last) - bool(down & last)
        up, down = up << 1 | 1, down << 1
        rises, falls = (down | ~(steady | up)) & full, up & steady & full
    return distance


def _trimmed(given: str, wanted: str) -> str:
    """Up to 1.2 times the needle's length, or to its last character where that comes after 0.8 times it."""
    shortest, longest = int(0.8 * len(wanted)), int(1.2 * len(wanted))
    cut = given[:longest]
    end = cut.find(wanted[-1], shortest) if wanted else -1
    return cut[: end + 1] if end >= 0 else cut
