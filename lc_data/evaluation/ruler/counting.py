"""Common and frequent words: which words of a long list occur most often."""

from __future__ import annotations

import random
from collections.abc import Iterable

from lc_data.evaluation.ruler.retrieval import Riddle
from lc_data.evaluation.ruler.words import draw_words

COMMON, OFTEN, SELDOM = 10, 30, 3
_ROOMY = 4096
ZETA = 2.0
"""The exponent of the word frequencies: the word of rank r occurs in proportion to r ** -ZETA."""
_TOP = 3
_VOCABULARY = 2000
_ZETA_SUM = 1.6449340668482264
"""Of all r ** -2: pi ** 2 / 6."""


def common_words(source: random.Random, length: int) -> Riddle:
    """Ten words thirty times each, among words three times each; the size is the number of the latter.

    A list below 4,096 tokens has no room for that: there the ten occur once for each 128 tokens, the others once.
    """
    seed = source.getrandbits(62)
    common = draw_words(COMMON, source)
    often, seldom = (OFTEN, SELDOM) if length >= _ROOMY else (length // 128, 1)

    def build(size: int, padding: str) -> str:
        draw = random.Random(seed)
        others = [word for word in draw_words(size + COMMON, draw) if word not in common][:size]
        listed = [word for word in common for _ in range(often)] + [word for word in others for _ in range(seldom)]
        draw.shuffle(listed)
        text = " ".join(f"{place}. {word}" for place, word in enumerate(listed, start=1)) + padding
        return (
            f"The numbered list below repeats some words far more often than others.\n\n{text}\n\nWhich {COMMON} words "
            f"are in the list most often?\nAnswer: The {COMMON} words that are in the list most often are:"
        )

    return Riddle(build, tuple(common), 6.0 * seldom)


def frequent_words(source: random.Random) -> Riddle:
    """Words that occur by rank ** -2, after the most frequent, which is dots; the size is the number of words."""
    words = ["...", *draw_words(_VOCABULARY - 1, source)]
    seed = source.getrandbits(62)

    def build(size: int, padding: str) -> str:
        counts = _counts(size)
        listed = [word for word, count in zip(words, counts, strict=False) for _ in range(count)]
        random.Random(seed).shuffle(listed)
        text = " ".join(listed) + padding
        return (
            "The text below is written in a code of invented words; the dots are noise. Count how often each word "
            f"occurs.\n\n{text}\n\nWhich {_TOP} words occur most often, leaving the dots aside?\n"
            f"Answer: The {_TOP} words that occur most often are:"
        )

    return Riddle(build, tuple(words[1 : _TOP + 1]), 3.0)


def _counts(size: int) -> Iterable[int]:
    """How often each rank occurs among so many words: the three that are asked for differ, whatever the size."""
    counts = [round(size * rank**-ZETA / _ZETA_SUM) for rank in range(1, _VOCABULARY + 1)]
    floor = counts[_TOP + 1] + 1
    for place in range(_TOP, 0, -1):
        counts[place] = max(counts[place], floor)
        floor = counts[place] + 1
    return counts
