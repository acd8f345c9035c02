"""Marks that split Chinese text into pieces which gigatoken has met before.

gigatoken is fast by remembering the ids of words, and a Chinese clause, which pre-tokenizers take for one word, is
hardly ever met twice: 12 MB/s against 50 for English. Between two Han characters that no token of the vocabulary joins,
no merge can ever reach, so that both sides have the same ids apart as together. Where such a pair stands, a numeral
that is no part of the text is put between, which ends the word, and its token is taken out of the result: 1.3 to 2
times as fast (13 to 22 MB/s on documentation, 13 to 27 on laws), with the same ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

from lc_data.lengths.reference_encoder import Tokens

MARKERS = "½¼¾³²¹"
"""Numerals: letters beside them never become one word with them. The first one that is a single token is taken."""

FIRST_HAN, LAST_HAN = 0x4E00, 0x9FA5
"""What every version of Unicode has as letters."""

HASH_BITS = 20
FIRST_FACTOR, SECOND_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


@dataclass(frozen=True)
class HanMarks:
    """Where a vocabulary allows marks, and which mark."""

    marker: bytes
    marker_id: int
    is_joined: np.ndarray
    """bool [2 ** HASH_BITS]: by the hash of a pair, whether some token may join it; true too often does no harm."""

    def insert(self, data: bytes) -> bytes | None:
        """The UTF-8 text with marks between Han characters that nothing joins; None where the marker is in it."""
        from lc_data.lengths.han_kernel import insert_marks  # numba: half a second, for who has Chinese text

        if self.marker in data:
            return None
        marked = np.empty(len(data) * (3 + len(self.marker)) // 3 + 1, np.uint8)
        marker = np.frombuffer(self.marker, np.uint8)
        size = insert_marks(np.frombuffer(data, np.uint8), self.is_joined, marker, marked)
        return marked[:size].tobytes()

    def remove(self, ids: Tokens) -> Tokens:
        """The ids of a marked text without those of the marks."""
        return ids[ids != self.marker_id]


def find_marks(content: dict[str, Any], found_tokens: Iterable[str]) -> HanMarks | None:
    """The marks for a tokenizer.json's content; None for one that is no byte-level BPE, or has no numeral to spare.

    ``found_tokens`` are added tokens that are looked for in texts.
    """
    model = content["model"]
    if model.get("type") != "BPE" or model.get("byte_fallback") or model.get("dropout"):
        return None
    vocabulary, codes = model["vocab"], _byte_codes()
    spelling = {byte: letter for letter, byte in codes.items()}
    followed, leads = ("".join(spelling[byte] for byte in span) for span in (range(0x80, 0xC0), range(0xE4, 0xEA)))
    may_join = re.compile(f"[{re.escape(followed)}][{re.escape(leads)}]").search
    words = (
        bytes(codes[letter] for letter in word) for word in vocabulary if may_join(word) and codes.keys() >= set(word)
    )
    joined = _joined_pairs([*words, *(token.encode() for token in found_tokens)])
    markers = ((mark.encode(), "".join(spelling[byte] for byte in mark.encode())) for mark in MARKERS)
    single = next(((mark, vocabulary[word]) for mark, word in markers if word in vocabulary), None)
    if joined is None or single is None:
        return None
    table = np.zeros(1 << HASH_BITS, np.bool_)
    table[hash_pairs(joined[:, 0], joined[:, 1])] = True
    return HanMarks(*single, table)


def hash_pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Places in ``HanMarks.is_joined`` of pairs of code points, uint64 [n]."""
    mixed = (first.astype(np.uint64) * FIRST_FACTOR) ^ (second.astype(np.uint64) * SECOND_FACTOR)
    return mixed >> np.uint64(64 - HASH_BITS)


def _joined_pairs(words: Iterable[bytes]) -> np.ndarray | None:
    """Pairs of Han characters that lie in a word, uint64 [n, 2], the characters cut by its ends filled in every way.

    None where a word holds no more than the end of one character and the beginning of another: that is too many ways.
    """
    borders: set[tuple[bytes, bytes]] = set()
    for word in words:
        for place in range(1, len(word)):
            if 0xE4 <= word[place] <= 0xE9 and 0x80 <= word[place - 1] < 0xC0:
                borders.add((word[max(0, place - 3) : place], word[place : place + 3]))
    han = np.frombuffer("".join(map(chr, range(FIRST_HAN, LAST_HAN + 1))).encode(), np.uint8).reshape(-1, 3)
    numbers = {row.tobytes(): (FIRST_HAN + place,) for place, row in enumerate(han)}
    pairs: list[tuple[int, int]] = []
    for left, right in sorted(borders):
        if len(left) < 3 and len(right) < 3:
            return None
        firsts = numbers.get(left, ()) if len(left) == 3 else _matching(han[:, 3 - len(left) :], left)
        seconds = numbers.get(right, ()) if len(right) == 3 else _matching(han[:, : len(right)], right)
        pairs += [(first, second) for first in firsts for second in seconds]
    return np.array(pairs, np.uint64).reshape(-1, 2)


def _matching(parts: np.ndarray, part: bytes) -> list[int]:
    """The Han characters whose part, a row of uint8 [n, bytes], is a given one."""
    found: list[int] = (FIRST_HAN + np.flatnonzero((parts == np.frombuffer(part, np.uint8)).all(axis=1))).tolist()
    return found


def _byte_codes() -> dict[str, int]:
    """The letters with which byte-level vocabularies spell bytes: printable bytes as themselves, others from U+0100."""
    alphabet = set(ByteLevel.alphabet())
    plain = {chr(byte): byte for byte in range(256) if chr(byte) in alphabet}
    rest = (byte for byte in range(256) if chr(byte) not in alphabet)
    return plain | {chr(256 + number): byte for number, byte in enumerate(rest)}
