"""Made-up prose, edited copies of it, and the similarity of two texts by the plain definition."""

from __future__ import annotations

import random

from lc_data.text.reference import list_content_words

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def word(rng: random.Random) -> str:
    return "".join(rng.choice(_LETTERS) for _ in range(rng.randint(2, 9)))


def prose(rng: random.Random, words: int) -> str:
    """Words that hardly any other text has in this order."""
    return " ".join(word(rng) for _ in range(words))


def han(rng: random.Random, characters: int) -> str:
    return "".join(chr(0x4E00 + rng.randrange(4000)) for _ in range(characters))


def edit(rng: random.Random, text: str, rate: float) -> str:
    """The text with a share of its words replaced."""
    return " ".join(word(rng) if rng.random() < rate else old for old in text.split(" "))


def exact_jaccard(left: str, right: str, n: int = 5) -> float:
    return set_jaccard(ngram_set(left, n), ngram_set(right, n))


def ngram_set(text: str, n: int = 5) -> set[tuple[str, ...]]:
    words = list_content_words(text)
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def set_jaccard(left: set, right: set) -> float:
    shared = len(left & right)
    union = len(left) + len(right) - shared
    return shared / union if union else 0.0
