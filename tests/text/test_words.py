"""Word kernels against the plain reading of the same definition, on any Unicode."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.text.buffers import as_text, each_text, text_buffers
from lc_data.text.characters import ALPHA, SPACE, SYMBOL, UNSPACED, character_classes, lower_case
from lc_data.text.reference import list_content_words, list_spaced_words
from lc_data.text.words import content_words, count_content_words, count_spaced_words, spaced_words

_ANY = st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")
_COMMON = st.sampled_from("ab Zé\n\t \u3000\u2028.,…-'_9٣ß汉字。、のカ々한ไ́🙂")
TEXTS = st.text(_COMMON | _ANY, max_size=200)


def hash_words(words: list[str]) -> list[int]:
    """The published definition of a word's hash, in Python's own integers."""
    mask = (1 << 64) - 1
    found = []
    for word in words:
        value = 0xCBF29CE484222325
        for character in word:
            value = (value ^ ord(character)) * 0x100000001B3 & mask
        value ^= value >> 33
        value = value * 0xFF51AFD7ED558CCD & mask
        value ^= value >> 33
        value = value * 0xC4CEB9FE1A85EC53 & mask
        found.append(value ^ value >> 33)
    return found


def read_content_words(text: str, block: int) -> list[int]:
    data, hashes, found, at = as_text(text), np.empty(block, np.uint64), [], 0
    while at < len(data):
        at, count = content_words(data, at, character_classes(), lower_case(), hashes)
        found += hashes[:count].tolist()
    return found


def read_spaced_words(text: str, block: int) -> list[tuple[int, int, int]]:
    data, found, at = as_text(text), [], 0
    hashes, lengths, kinds = np.empty(block, np.uint64), np.empty(block, np.int64), np.empty(block, np.uint8)
    while at < len(data):
        at, count = spaced_words(data, at, character_classes(), hashes, lengths, kinds)
        found += zip(hashes[:count].tolist(), lengths[:count].tolist(), kinds[:count].tolist(), strict=True)
    return found


@given(TEXTS, st.integers(1, 7))
def test_content_words_are_those_of_the_plain_reading_for_any_block(text, block):
    assert read_content_words(text, block) == hash_words(list_content_words(text))


@given(TEXTS, st.integers(1, 7))
def test_spaced_words_are_those_of_the_plain_reading_for_any_block(text, block):
    words = list_spaced_words(text)
    classes = character_classes()
    found = read_spaced_words(text, block)
    assert [hash_ for hash_, _, _ in found] == hash_words(words)
    assert [length for _, length, _ in found] == [len(word) for word in words]
    for word, (_, _, kind) in zip(words, found, strict=True):
        assert bool(kind & ALPHA) == any(character.isalpha() for character in word)
        assert bool(kind & SYMBOL) == all(classes[ord(character)] & SYMBOL for character in word)
        assert bool(kind & UNSPACED) == bool(len(word) == 1 and classes[ord(word)] & UNSPACED)


@given(st.lists(TEXTS, max_size=5))
def test_counting_a_column_counts_each_row(texts):
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    counts = np.zeros(len(texts), np.int64)
    count_spaced_words(data, offsets, character_classes(), counts)
    assert counts.tolist() == [len(list_spaced_words(text)) for text in texts]


@pytest.mark.parametrize(
    ("text", "content", "spaced"),
    [
        ("Don't stop!", ["don", "t", "stop"], ["Don't", "stop!"]),
        ("学而时习之，不亦说乎？", list("学而时习之不亦说乎"), [*"学而时习之", "，", *"不亦说乎", "？"]),
        ("用Python写code", ["用", "python", "写", "code"], ["用", "Python", "写", "code"]),
        ("snake_case ÉTÉ", ["snake", "case", "été"], ["snake_case", "ÉTÉ"]),
        ("ひらがな", list("ひらがな"), list("ひらがな")),
        (" \u3000\n", [], []),
        ("", [], []),
    ],
)
def test_what_a_word_is(text, content, spaced):
    assert list_content_words(text) == content
    assert list_spaced_words(text) == spaced


@given(st.text("aé1汉カ🙂 ,_\n\u0301", max_size=40))
def test_content_words_are_counted_and_those_of_one_character(text):
    words, unspaced = count_content_words(as_text(text), character_classes())
    assert words == len(list_content_words(text))
    assert unspaced == sum(character in "汉カ" for character in text)


def test_white_space_is_what_python_says():
    spaces = np.flatnonzero(character_classes() & SPACE)
    assert [point for point in range(0x110000) if chr(point).isspace()] == spaces.tolist()


def test_sliced_and_narrow_columns_give_their_own_rows():
    column = pa.array(["one", "zwei", "三", ""], pa.string())
    assert [bytes(row).decode() for row in each_text(column.slice(1))] == ["zwei", "三", ""]
    with pytest.raises(ValueError, match="1 of 2 texts are null"):
        text_buffers(pa.array(["a", None], pa.large_string()))
    with pytest.raises(TypeError, match="int64 holds no text"):
        text_buffers(pa.array([1]))
