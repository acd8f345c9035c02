"""Gopher's measures with Python strings and lists: slow, short, and meant to be read."""

from __future__ import annotations

import math
import re
from collections import Counter

from lc_data.text.characters import SYMBOL, UNSPACED, character_classes
from lc_data.text.reference import list_spaced_words


def quality(text: str, stop_words: tuple[str, ...]) -> dict[str, float]:
    classes = character_classes()
    words = list_spaced_words(text)
    plain = [word for word in words if not all(classes[ord(c)] & SYMBOL for c in word)]
    unspaced = sum(len(word) == 1 and bool(classes[ord(word)] & UNSPACED) for word in words)
    lines = text.splitlines()
    ratio = lambda count, total: count / total if total else math.nan  # noqa: E731
    return {
        "words": len(plain),
        "mean_word_length": math.nan if 2 * unspaced > len(words) else ratio(sum(map(len, plain)), len(plain)),
        "hash_ratio": ratio(text.count("#"), len(words)),
        "ellipsis_ratio": ratio(text.count("...") + text.count("…"), len(words)),
        "bullet_lines_ratio": ratio(sum(line.lstrip().startswith(("•", "-")) for line in lines), len(lines)),
        "ellipsis_lines_ratio": ratio(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
        "alpha_words_ratio": ratio(sum(any(c.isalpha() for c in word) for word in words), len(words)),
        "stop_words": len(set(stop_words) & set(words)),
    }


def repetition(text: str, longest: int) -> dict[str, float]:
    words = list_spaced_words(text)
    classes = character_classes()
    unspaced = sum(len(word) == 1 and bool(classes[ord(word)] & UNSPACED) for word in words)
    scale, space = (2, "") if 2 * unspaced > len(words) else (1, " ")
    chars = max(len(text), 1)
    found = {}
    for name, segments in (("paragraph", re.split(r"\n{2,}", text.strip())), ("line", re.split(r"\n+", text))):
        again = [segment for index, segment in enumerate(segments) if segment in segments[:index]]
        found[f"duplicate_{name}s"] = len(again) / len(segments)
        found[f"duplicate_{name}_chars"] = sum(map(len, again)) / chars
    for n in range(2, longest + 1):
        size = scale * n
        grams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
        top, count = Counter(grams).most_common(1)[0] if grams else ((), 0)
        found[f"top_{n}gram_chars"] = len(space.join(top)) * count / chars
        seen, repeated, at = set(), 0, 0
        while at < len(grams):
            if grams[at] in seen:
                repeated += sum(map(len, grams[at]))
                at += size
            else:
                seen.add(grams[at])
                at += 1
        found[f"duplicate_{n}gram_chars"] = repeated / chars
    return found
