"""Words, numbers and identifiers that mean nothing, so that no model has seen which belongs to which."""

from __future__ import annotations

import random

_ONSETS = "b br c cl d dr f fl g gr h j k l m n p pl r s sl st t tr v w z"
_VOWELS = "a e i o u ai ea ou"
_CODAS = "b ck d g l m n nd p r rk s st t x"


def draw_words(count: int, source: random.Random, syllables: int = 2) -> list[str]:
    """Different words of so many syllables, such as ``clanstour``."""
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(_syllable(source) for _ in range(syllables))] = None
    return list(words)


def draw_numbers(count: int, source: random.Random) -> list[str]:
    """Different numbers of seven digits."""
    return [str(number) for number in source.sample(range(1_000_000, 10_000_000), count)]


def draw_identifiers(count: int, source: random.Random) -> list[str]:
    """Different identifiers in the form of a UUID."""
    drawn: dict[str, None] = {}
    while len(drawn) < count:
        digits = f"{source.getrandbits(128):032x}"
        drawn["-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))] = None
    return list(drawn)


def draw_names(count: int, source: random.Random) -> list[str]:
    """Different names of variables: five capital letters."""
    names: dict[str, None] = {}
    while len(names) < count:
        names["".join(source.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=5))] = None
    return list(names)


def _syllable(source: random.Random) -> str:
    return "".join(source.choice(part.split()) for part in (_ONSETS, _VOWELS, _CODAS))
