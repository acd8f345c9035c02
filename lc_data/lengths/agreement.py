"""Whether gigatoken gives the reference's ids: asked of every tokenizer on hard texts, and of every part on a sample.

Encoding everything twice would cost what the faster engine saves (the reference takes 10 to 100 times as long). So a
tokenizer is tried on texts that stress pre-tokenizers, and of every part of a shard a few documents are encoded by
both: those with the smallest id keys, the same whoever runs the part, and the longest, in windows of a few KB. At 16 MB
a part that is at most 0.5% of its text.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from lc_data.lengths.gigatoken_encoder import EngineError
from lc_data.lengths.reference_encoder import ReferenceEncoder, Tokens

SAMPLED_DOCUMENTS = 16
WINDOW_BYTES = 4 << 10
"""A sampled document longer than this is compared on one window of this size, from a place that its key picks."""
LONGEST_WINDOW_BYTES = 16 << 10
"""The window of the longest document."""

HARD_TEXTS = (
    "",
    " ",
    "\n",
    "a",
    "The quick brown fox isn't there; we'll see what they've done, I'm sure. IT'S DON'T WE'LL",
    "it\u2019s don\u2019t '\u017f 's 'S 'll 'LL 'Re",
    "  two  spaces   three    four\t\ttabs \t mixed\t ",
    "line\nline\n\nparagraph\n\n\n\nfar\r\nwindows\r\n\r\nold\rmac\n \n  \n\t\n",
    "trailing spaces   \nand then   \n\n  indented\n    more\n",
    "ends in spaces   ",
    "   begins with spaces",
    "1 12 123 1234 12345 1,024 3.14159 1e-9 0xFF v2.0.1 2nd ½ ² ٣٤ ৪২ Ⅷ 三",
    "def f(x: int) -> None:\n\treturn {'a': [1, 2], \"b\": x**2}  # comment\n\n\nclass A(B):\n    pass\n",
    "if (a&&b||!c) { d->e[f] += g::h<i>(); } // ===== ----- #### ____ ~~~~ ```\n",
    '<div class="x">&nbsp;</div><!-- c --> https://example.org/a_b/c?d=e&f=%20g#h user@example.org',
    r"$\frac{\partial^2 u}{\partial x^2} = \sum_{i=1}^{n} \alpha_i$ \begin{align} x &= y \\ \end{align}",
    "第一章 红楼梦的开始。此开卷第一回也，作者自云：“因曾历过一番梦幻之后”……（未完）",
    "中英mixed文字with数字123和symbols！？；：、《》【】",
    "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏" * 8,
    "𠀀𠮷𡈽 㐀㐁 ー々〆〇 ｆｕｌｌｗｉｄｔｈ １２３",
    "日本語のテキスト、カタカナとひらがな。한국어 문장과 조사. ภาษาไทย ไม่มีช่องว่าง",
    "Ελληνικά καὶ ἀρχαία; русский текст, українська; עִבְרִית; العَرَبِيَّة; हिन्दी में देवनागरी; தமிழ்",
    "naïve café Straße İstanbul ﬁ ﬂ Ǆ ß ŉ",
    "e\u0301 o\u0308 n\u0303 a\u0323\u0302 q\u0307\u0323 \u1e9b\u0323 \u212b \u2126 \u0344",
    "\u1100\u1161\u11a8 \uac00\u11a8 \u0915\u093c \u0958 \ufa0e \uf900 \u2f800",
    "🙂 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️ ☃︎ \U0001fae8",
    "zero\u200bwidth\u200cnon\u200djoiner \ufeffbom soft\u00adhyphen",
    "spaces\u00a0nbsp\u3000ideographic\u2003em\u2028line\u2029paragraph\u0085next\u180e",
    "control\u0001\u0007\u001b[0m\u007f\u0000end",
    "private \ue000\uf8ff unassigned \u0378 \U000e0fff last \U0010ffff \ufffd\ufffe",
    "x" * 1000,
    " " * 300 + "a" + "\n" * 300 + "b" + "\t" * 100,
    "ab" * 500 + "1" * 500 + "!" * 500 + "-" * 300,
    "AAAAAaaaaaAAAAA aAaAaA camelCaseIdentifier SCREAMING_SNAKE_CASE kebab-case-name",
    "QmFzZTY0IGVuY29kZWQgdGV4dCwgd2hpY2ggbG9va3MgbGlrZSBub2lzZQ== 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
)
"""What pre-tokenizers get wrong: contractions, runs of white space, digits, scripts, marks, emoji, control codes."""


class Encoder(Protocol):
    """What turns texts into ids."""

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """The ids of each text, in order."""
        ...


def check_engine(engine: Encoder, reference: ReferenceEncoder) -> None:
    """Raise :class:`EngineError` unless the engine agrees on the hard texts and around every added token."""
    texts = [*HARD_TEXTS, *(text for token in reference.found_tokens for text in _around(token))]
    texts += [f"a {token}b\n{token}" for token in reference.special_tokens]
    compare(engine, reference, [(f"the text {text[:60]!r}", text) for text in texts])


def compare(engine: Encoder, reference: ReferenceEncoder, texts: Sequence[tuple[str, str]]) -> None:
    """Raise :class:`EngineError`, naming the first text on which the two differ; ``texts`` are (name, text)."""
    contents = [text for _, text in texts]
    pairs = zip(engine.encode(contents), reference.encode(contents), strict=True)
    for (name, _), (ours, expected) in zip(texts, pairs, strict=True):
        if not np.array_equal(ours, expected):
            size = min(len(ours), len(expected))
            first = next((place for place in range(size) if ours[place] != expected[place]), size)
            raise EngineError(
                f"gigatoken's ids of {name} differ from those of `tokenizers` at token {first}: "
                f"{ours[first : first + 4].tolist()} for {expected[first : first + 4].tolist()}"
            )


class AgreementSample:
    """Collects the documents of a part that both engines encode. Holds one window of each, and no more."""

    def __init__(self) -> None:
        self._smallest: list[tuple[int, str, str]] = []
        self._longest: tuple[int, str, str] = (-1, "", "")

    def offer(self, key: int, document_id: str, text: str) -> None:
        """Consider a document; ``key`` is a 64-bit hash of its id."""
        size = len(text)
        if size > self._longest[0] or (size == self._longest[0] and document_id < self._longest[1]):
            self._longest = (size, document_id, _window(text, key, LONGEST_WINDOW_BYTES))
        is_full = len(self._smallest) == SAMPLED_DOCUMENTS
        if is_full and -key <= self._smallest[0][0]:
            return
        entry = (-key, document_id, _window(text, key, WINDOW_BYTES))
        if is_full:
            heapq.heapreplace(self._smallest, entry)
        else:
            heapq.heappush(self._smallest, entry)

    def texts(self) -> Iterator[tuple[str, str]]:
        """The sample as (name, text), by key; the longest document last."""
        chosen = [(document_id, text) for _, document_id, text in sorted(self._smallest, reverse=True)]
        if self._longest[0] >= 0:
            chosen.append(self._longest[1:])
        for document_id, text in chosen:
            yield f"document {document_id}", text


def _window(text: str, key: int, size_bytes: int) -> str:
    """At most so many bytes of a text, from a character that the key picks."""
    start = key % max(1, len(text) - size_bytes + 1)
    part = text[start : start + size_bytes]
    return part if part.isascii() else part.encode()[:size_bytes].decode(errors="ignore")


def _around(token: str) -> tuple[str, ...]:
    """An added token alone, inside words, between spaces, at lines, twice, cut short, and beside combining marks."""
    return (
        token,
        f"word{token}word {token} word\n{token}\n  {token}  x",
        f"{token}{token} {token[:-1]} {token[1:]}",
        f"中{token}文 e\u0301 {token}\u0301",
    )
