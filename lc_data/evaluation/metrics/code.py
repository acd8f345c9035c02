"""Similarity of one line of code, in whole percent, by either of the two libraries that published scores come from.

The scores are not comparable: on the same predictions LongBench's lcc is 57.61 by difflib (its own requirements) and
59.82 by Levenshtein (OpenCompass's). So the backend is part of a score's name.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Literal

from lc_data.evaluation.metrics.subsequence import common_length

Backend = Literal["difflib", "levenshtein"]

_NOT_CODE = ("`", "#", "//")


def code_similarity(prediction: str, reference: str, backend: Backend = "difflib") -> float:
    """Similarity of the first line of code in a prediction with a reference line, rounded to whole percent.

    The first line of code is the first one without a backtick, ``#`` or ``//``; empty where there is none.
    """
    lines = prediction.lstrip("\n").split("\n")
    line = next((line for line in lines if not any(mark in line for mark in _NOT_CODE)), "")
    if line == reference:
        return 1.0
    if backend == "difflib":
        ratio = SequenceMatcher(None, line, reference).ratio()
    else:
        ratio = 2 * common_length(line, reference) / (len(line) + len(reference))
    return round(100 * ratio) / 100
