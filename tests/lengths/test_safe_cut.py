from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, pre_tokenizers

from lc_data.lengths.safe_cut import PLACES, cut, verified_places
from tests.lengths.texts import mixed_text, small_tokenizer


def encode_with(tokenizer: Tokenizer):
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


@pytest.mark.parametrize("place", PLACES)
def test_cutting_at_every_safe_place_changes_no_id(place):
    encode = encode_with(Tokenizer.from_str(small_tokenizer()))
    for seed in range(20):
        text = mixed_text(seed, 500)
        pieces = re.split(place, text)
        assert len(pieces) > 5
        assert [token for ids in encode(pieces) for token in ids] == encode([text])[0]


def test_both_kinds_of_places_hold_for_our_own_tokenizer_and_for_gpt2_words():
    ours = Tokenizer.from_str(small_tokenizer())
    assert verified_places(encode_with(ours)).pattern == "|".join(PLACES)
    ours.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert verified_places(encode_with(ours)).pattern == "|".join(PLACES)


def test_a_tokenizer_whose_tokens_reach_over_words_is_not_cut_there():
    definition = json.loads(small_tokenizer())
    definition["pre_tokenizer"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    vocabulary, merges = definition["model"]["vocab"], definition["model"]["merges"]
    # A token that joins "e" with the space after it, ahead of every other merge.
    vocabulary["eĠ"] = len(vocabulary)
    merges.insert(0, ["e", "Ġ"])
    places = verified_places(encode_with(Tokenizer.from_str(json.dumps(definition))))
    assert places is None or PLACES[0] not in places.pattern


def test_a_tokenizer_that_puts_a_space_first_is_cut_only_where_one_stands():
    spaced = Tokenizer.from_str(small_tokenizer())
    spaced.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    assert verified_places(encode_with(spaced)).pattern == PLACES[0]


def test_an_added_token_that_reaches_over_a_place_forbids_it():
    ours = Tokenizer.from_str(small_tokenizer())
    ours.add_tokens([AddedToken("once upon", normalized=False)])
    assert PLACES[0] not in verified_places(encode_with(ours), ["once upon"]).pattern


@given(st.text(alphabet="ab .\n好", max_size=200), st.integers(1, 20))
def test_pieces_join_to_the_text_and_are_long_enough(text, piece_characters):
    pieces = cut(text, re.compile("|".join(PLACES)), piece_characters)
    assert "".join(pieces) == text
    assert all(len(piece) >= piece_characters for piece in pieces[:-1])
    for end in [sum(map(len, pieces[: i + 1])) for i in range(len(pieces) - 1)]:
        assert re.compile("|".join(PLACES)).match(text, end)


def test_a_text_without_safe_places_stays_whole():
    text = "好" * 1000
    assert cut(text, re.compile("|".join(PLACES)), 10) == [text]
    assert cut("a b" * 1000, None, 10) == ["a b" * 1000]
