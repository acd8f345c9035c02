"""Text to plant copies in, made by a seed: the same on every machine and with every Python.

Text of the installed packages gave other figures with every release of theirs. What counts for finding copies is how
often n-grams repeat: words are drawn as Zipf has them, some in stock phrases that all documents share, and one part in
six is a table or a listing, in which few different words come again and again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_CONSONANTS = (*"bcdfghjklmnprstvwz", "th", "st", "ch", "sh", "tr", "qu")
_VOWELS = (*"aeiouy", "ea", "ou")
_ENDINGS = ("", "n", "r", "s")
_VOCABULARY = 20_000
_PHRASES = 3_000
_PHRASE_SHARE = 0.04
_LISTING_SHARE = 1 / 6
_PARAGRAPH_WORDS = 120
_LINE_WORDS = 11
_MARGIN = "    "


def make_vocabulary(words: int = _VOCABULARY) -> list[str]:
    """Different made-up words, the same for every seed, the most common and shortest first."""
    rng, found = np.random.default_rng(1), dict[str, None]()

    def pick(parts: tuple[str, ...]) -> str:
        return parts[int(rng.integers(len(parts)))]

    while len(found) < words:
        syllables = 1 + int(np.log10(1 + len(found) / 20) + rng.random())
        found.setdefault("".join(pick(_CONSONANTS) + pick(_VOWELS) for _ in range(syllables)) + pick(_ENDINGS))
    return list(found)


def make_documents(size: int, count: int, seed: int) -> list[str]:
    """So many texts of ``size`` characters that share words and phrases and nothing else."""
    maker = _Maker()
    return [maker.write(size, np.random.default_rng([seed, number])) for number in range(count)]


class _Maker:
    """The language that all documents are written in."""

    def __init__(self) -> None:
        self.words = np.array(make_vocabulary())
        weights = 1 / (np.arange(_VOCABULARY) + 2.7)
        self._cumulative = np.cumsum(weights / weights.sum())
        rng = np.random.default_rng(2)
        self._phrases = [" ".join(self.draw(rng, int(rng.integers(3, 8)))) for _ in range(_PHRASES)]

    def draw(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.str_]:
        """Words by their frequency."""
        places = np.searchsorted(self._cumulative, rng.random(count))
        found: npt.NDArray[np.str_] = self.words[np.minimum(places, _VOCABULARY - 1)]
        return found

    def write(self, size: int, rng: np.random.Generator) -> str:
        """One document, cut at ``size`` characters."""
        parts: list[str] = []
        written = 0
        while written < size:
            part = self._list(rng) if rng.random() < _LISTING_SHARE else self._tell(rng)
            parts.append(part)
            written += len(part) + 2
        return "\n\n".join(parts)[:size]

    def _tell(self, rng: np.random.Generator) -> str:
        """A paragraph of sentences."""
        words = self.draw(rng, int(rng.integers(20, 2 * _PARAGRAPH_WORDS))).astype(object)
        for place in np.flatnonzero(rng.random(len(words)) < _PHRASE_SHARE).tolist():
            words[place] = self._phrases[min(int(rng.pareto(0.7) * 20), _PHRASES - 1)]
        sentences, at = [], 0
        while at < len(words):
            length = int(rng.integers(5, 30))
            sentence = " ".join(words[at : at + length])
            sentences.append(sentence[0].upper() + sentence[1:] + ".")
            at += length
        flowing = " ".join(sentences).split(" ")
        # Set in lines with a margin, as plain books are: an edition that is wrapped anew is shorter than its book.
        return _MARGIN + f"\n{_MARGIN}".join(
            " ".join(flowing[at : at + _LINE_WORDS]) for at in range(0, len(flowing), _LINE_WORDS)
        )

    def _list(self, rng: np.random.Generator) -> str:
        """A table or a listing: rows of a few cells, of which most are alike."""
        cells, names = self.draw(rng, 4), self.draw(rng, 60)
        rows = []
        for row in range(int(rng.integers(10, 80))):
            name = names[int(rng.integers(len(names)))]
            rows.append(f"{name}: {row}; {', '.join(cells[: 2 + int(rng.random() < 0.2)])}")
        return "\n".join(rows)
