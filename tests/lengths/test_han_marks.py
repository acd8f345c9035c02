"""Marks stand only where no token of the vocabulary could: checked against a plain search of the vocabulary."""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lc_data.lengths.gigatoken_encoder import GigatokenEncoder
from lc_data.lengths.han_marks import FIRST_HAN, LAST_HAN, HanMarks, find_marks, hash_pairs
from lc_data.lengths.reference_encoder import ReferenceEncoder
from lc_data.lengths.train import train_bpe

HAN = "天地玄黄宇宙洪荒日月盈昃辰宿列张"


@lru_cache
def definition() -> str:
    """A tokenizer that joins some pairs of Han characters, cuts others, and has the numeral ½."""
    texts = [f"{HAN[i]}{HAN[(3 * i) % 16]} 天地玄黄 ½ 一二三，" * 3 for i in range(16)]
    return train_bpe(texts, 700, ())


@lru_cache
def marks() -> HanMarks:
    found = find_marks(json.loads(definition()), ["日月"])
    assert found is not None
    return found


TEXTS = st.text(st.sampled_from([*HAN, "一", "龥", "䷀", "㐀", "a", " ", "，", "\n", "1", "🙂", "é"]), max_size=40)


@given(TEXTS)
def test_marks_stand_between_han_characters_that_nothing_joins(text):
    marked = marks().insert(text.encode()).decode()
    assert marked.replace("½", "") == text
    for place in [place for place, letter in enumerate(marked) if letter == "½"]:
        pair = marked[place - 1] + marked[place + 1]
        assert all(FIRST_HAN <= ord(letter) <= LAST_HAN for letter in pair)
        assert pair not in ("天地", "地玄", "玄黄", "日月")


@given(TEXTS)
def test_marked_text_has_the_ids_of_the_text(text):
    reference = ReferenceEncoder(definition())
    [marked, plain] = reference.encode([marks().insert(text.encode()).decode(), text])
    assert marks().remove(marked).tolist() == plain.tolist()


def test_some_pairs_are_joined_and_most_are_not():
    assert marks().insert("黄天黄天".encode()).decode() == "黄½天½黄½天"
    assert marks().insert("天地玄黄日月".encode()).decode() == "天地玄黄½日月"


def test_a_text_that_holds_the_marker_is_left_alone():
    assert marks().insert("黄天½".encode()) is None
    engine = GigatokenEncoder(definition(), ReferenceEncoder(definition()))
    texts = ["黄天½" * 20, "黄天" * 20]
    for ours, expected in zip(engine.encode(texts), ReferenceEncoder(definition()).encode(texts), strict=True):
        assert ours.tolist() == expected.tolist()


def test_a_token_of_two_halves_of_characters_forbids_marks():
    content = json.loads(definition())
    assert find_marks(content, []) is not None
    content["model"]["vocab"]["¤å"] = len(content["model"]["vocab"])
    assert find_marks(content, []) is None


def test_a_token_that_ends_inside_a_character_joins_all_that_it_may_become():
    content = json.loads(definition())
    spelled = Tokenizer.from_str(definition()).pre_tokenizer.pre_tokenize_str("黄宇")[0][0]
    content["model"]["vocab"][spelled[:5]] = len(content["model"]["vocab"])
    found = find_marks(content, [])
    begun = [number for number in range(FIRST_HAN, LAST_HAN + 1) if chr(number).encode()[:2] == "宇".encode()[:2]]
    assert len(begun) == 64
    assert all(found.insert(f"黄{chr(number)}".encode()).decode() == f"黄{chr(number)}" for number in begun)


def test_a_vocabulary_without_a_numeral_or_of_another_kind_has_no_marks():
    content = json.loads(definition())
    content["model"]["vocab"].pop("Â½")
    assert find_marks(content, []) is None
    assert find_marks(json.loads(definition()) | {"model": {"type": "Unigram", "vocab": []}}, []) is None


def test_hashes_of_pairs_lie_in_the_table():
    numbers = np.arange(FIRST_HAN, LAST_HAN + 1)
    assert hash_pairs(numbers, numbers[::-1]).max() < len(marks().is_joined)
