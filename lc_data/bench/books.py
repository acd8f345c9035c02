"""Long documents: excerpts and editions that are to be found, and unrelated books that are to stay."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lc_data.bench.dedupe_text import make_documents, make_vocabulary
from lc_data.bench.text import edit

_EXCERPTS = {"2% excerpt": 0.02, "10% excerpt": 0.1, "40% excerpt": 0.4}
_EDITIONS = {"edition, 1% edited": 0.01, "edition, 5% edited": 0.05, "edition, 10% edited": 0.1}
_EDITED_EXCERPT = "10% excerpt, 3% edited"
_VOCABULARY = 100
_LINE_WORDS = 12


@dataclass(frozen=True)
class Planted:
    """Books and what was made of them, in one list."""

    texts: list[str]
    kinds: dict[str, list[int]]
    """Rows of what was planted, by kind. Every row that is in none is a book."""


def plant_books(books: int, chars: int, seed: int) -> Planted:
    """Made-up books, and of each every kind of excerpt and edition. Edited ones are wrapped anew."""
    rng = random.Random(seed)
    texts = make_documents(chars, books, seed)
    kinds: dict[str, Callable[[str], str]] = {
        **{kind: partial(_excerpt, rng, share) for kind, share in _EXCERPTS.items()},
        _EDITED_EXCERPT: lambda text: _edition(rng, 0.03, _excerpt(rng, 0.1, text)),
        **{kind: partial(_edition, rng, rate) for kind, rate in _EDITIONS.items()},
    }
    planted: dict[str, list[int]] = {}
    originals = list(texts)
    for kind, make in kinds.items():
        planted[kind] = list(range(len(texts), len(texts) + books))
        texts += [make(text) for text in originals]
    return Planted(texts, planted)


def make_books(books: int, words: int, seed: int) -> list[str]:
    """Books that have their hundred words in common and nothing else: the most common ones, drawn evenly."""
    rng, vocabulary = random.Random(seed), make_vocabulary(_VOCABULARY)
    return [_wrap(" ".join(rng.choices(vocabulary, k=words))) for _ in range(books)]


def _excerpt(rng: random.Random, share: float, text: str) -> str:
    size = int(len(text) * share)
    start = rng.randrange(len(text) - size)
    return text[start : start + size]


def _edition(rng: random.Random, rate: float, text: str) -> str:
    return _wrap(edit(text, rate, rng))


def _wrap(text: str) -> str:
    words = text.split()
    return "\n".join(" ".join(words[start : start + _LINE_WORDS]) for start in range(0, len(words), _LINE_WORDS))
