"""Long texts that needles are hidden in, measured and cut in the model's own tokens.

A place in a text is found from the tokens of the whole text and the characters that they begin at, so a cut never
splits a character, whatever the tokenizer. What is asked is text again, and its tokens at a seam may be others; the
size is therefore corrected against the finished prompt until that has exactly the tokens it should have, or as few
below them as can be.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lc_data.evaluation.suite import Tokens
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

_HAN = re.compile(r"[\u3400-\u9fff]")
_KINDS = (".txt", ".md", ".jsonl")
_TRIES = 12


@dataclass(frozen=True)
class Haystack:
    """A text and the character at which each of its tokens begins."""

    text: str
    starts: tuple[int, ...]

    def cut(self, tokens: int) -> str:
        """The text of its first tokens."""
        return self.text[: self.starts[tokens]] if tokens < len(self.starts) else self.text

    def hide(self, tokens: int, needles: Sequence[str], depths: Sequence[float]) -> str:
        """The text of its first tokens with sentences in it, each on a line of its own.

        Args:
            tokens: length of the text around them.
            needles: the sentences.
            depths: where each stands, in percent of ``tokens``; those at one place keep their order.

        """
        size = min(tokens, len(self.starts))
        whole = self.cut(size)
        places = [self.starts[place] if (place := int(size * d / 100)) < size else len(whole) for d in depths]
        pieces, position = [], 0
        for place, needle in sorted(zip(places, needles, strict=True), key=lambda pair: pair[0]):
            pieces += [whole[position:place], f"\n{needle}\n"]
            position = place
        return "".join([*pieces, whole[position:]])


def build_haystack(texts: Sequence[str], tokens: Tokens, at_least: int, seed: int) -> Haystack:
    """Texts in a seeded order, one after another, over and over where they are not enough."""
    order = list(texts)
    random.Random(seed).shuffle(order)
    pieces: list[str] = []
    starts: list[int] = []
    position = 0
    while len(starts) < at_least:
        before = len(starts)
        for text in order:
            piece = text.strip() + "\n"
            starts += [position + start for start in tokens.starts(piece)]
            pieces.append(piece)
            position += len(piece)
            if len(starts) >= at_least:
                break
        if len(starts) == before:
            raise Failure("the texts to hide needles in are empty")
    return Haystack("".join(pieces), tuple(starts))


def fill(build: Callable[[int, str], str], length_of: Callable[[str], int], budget: int, guess: int) -> str:
    """The text with ``budget`` tokens, of those that grow with a size.

    Where no size has exactly so many (a character may be several tokens), the largest below is padded with dots; where
    these do not give the number either, the text stays the few tokens shorter.

    Args:
        build: a text of a size, with some padding at the end of what grows.
        length_of: tokens of a text.
        budget: tokens that it may have.
        guess: the likely size.

    Raises:
        Failure: where not even size 0 fits.

    """
    size, best, length = _largest(lambda size: build(size, ""), length_of, budget, guess)
    for padding in _paddings(budget - length):
        padded = build(size, padding)
        if length_of(padded) == budget:
            return padded
    return best


def _paddings(gap: int) -> list[str]:
    """Dots that may be so many tokens, the likeliest first: one token each, with the space before them or without."""
    counts = sorted(range(1, 2 * gap + 1), key=lambda count: abs(count - gap))
    return [dot * count for count in counts for dot in (" .", ".", ". ")]


def _largest(
    build: Callable[[int], str], length_of: Callable[[str], int], budget: int, guess: int
) -> tuple[int, str, int]:
    """The largest size whose text fits, as far as a few tries tell, with the text and its length."""
    found: tuple[int, str, int] | None = None
    too_long: int | None = None
    size = max(guess, 0)
    for _ in range(_TRIES):
        text = build(size)
        length = length_of(text)
        if length <= budget:
            found = size, text, length
        else:
            too_long = size
        fits = found[0] if found else -1
        if length == budget or (too_long is not None and too_long - fits <= 1):
            break
        size = _next_size(size, length, budget, fits, too_long)
    if found is None:
        raise Failure(f"a prompt needs more than the {budget} tokens that it may have: ask for greater lengths")
    return found


def _next_size(size: int, length: int, budget: int, fits: int, too_long: int | None) -> int:
    """Where a text that grows by the same amount everywhere would fit, kept between what is known."""
    wanted = size + round((budget - length) * max(size, 1) / length) if length else size + 1
    wanted = max(wanted, fits + 1)
    if too_long is None:
        return max(wanted, size + 1)
    return min(wanted, too_long - 1) if wanted < too_long else (fits + too_long) // 2


def read_texts(paths: Sequence[Path]) -> list[str]:
    """The texts of files, and of the files in folders: ``.txt`` and ``.md`` whole, ``.jsonl`` by its key ``text``.

    Raises:
        RecipeError: for a path that is not there, or that holds none of these.

    """
    texts: list[str] = []
    for path in paths:
        files = sorted(file for file in path.rglob("*") if file.suffix in _KINDS) if path.is_dir() else [path]
        if not path.exists() or not files:
            raise RecipeError(f"haystacks: {path} is no text: name files {', '.join(_KINDS)}, or folders of them")
        for file in files:
            texts += _texts_of(file)
    return [text for text in texts if text.strip()]


def language_of(text: str) -> Language:
    """Chinese where three in ten of the characters that are not space are Han."""
    return "zh" if 10 * len(_HAN.findall(text)) >= 3 * len("".join(text.split())) else "en"


def _texts_of(file: Path) -> Iterator[str]:
    content = file.read_text(encoding="utf-8")
    if file.suffix != ".jsonl":
        yield content
        return
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError, TypeError) as error:
                raise RecipeError(f"{file}:{number}: a line is a JSON object with the key text ({error!r})") from error
            yield str(text)
