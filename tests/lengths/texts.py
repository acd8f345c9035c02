"""Generated bilingual text with everything that pre-tokenizers look at, and a small tokenizer trained on it."""

from __future__ import annotations

import random
from functools import lru_cache

from lc_data.lengths.train import train_bpe

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

_WORDS = (
    "the",
    "of",
    "river",
    "don't",
    "we'll",
    "Anna",
    "HTTP",
    "x1",
    "naïve",
    "cafe\u0301",
    "3",
    "42",
    "1,024",
    "e.g.",
    "(or)",
)
_HAN = "天地玄黄宇宙洪荒日月盈昃辰宿列张，。“”"
_GAPS = (" ", " ", " ", " ", "  ", "\n", "\n\n", "\r\n", "\t", ". ", ".\n", "", "\u3000", "\u00a0")
_ODD = (
    "<|endoftext|>",
    "<|im_end|>\n",
    "def f(x):\n\treturn x",
    "====",
    "http://a.b/c?d=e",
    "\u200b",
    "🙂",
    "한국어",
    "$x^2$",
)


def mixed_text(seed: int, words: int) -> str:
    """Words, Chinese, code, numbers, odd spaces and control tokens' names."""
    rng = random.Random(seed)
    parts = []
    for _ in range(words):
        kind = rng.random()
        if kind < 0.75:
            parts.append(rng.choice(_WORDS))
        elif kind < 0.95:
            parts.append("".join(rng.choice(_HAN) for _ in range(rng.randint(1, 12))))
        else:
            parts.append(rng.choice(_ODD))
        parts.append(rng.choice(_GAPS))
    return "".join(parts)


@lru_cache(maxsize=2)
def small_tokenizer(vocab_size: int = 700) -> str:
    """A byte-level BPE."""
    return train_bpe([mixed_text(seed, 400) for seed in range(20)], vocab_size, SPECIALS)
