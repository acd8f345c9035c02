from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, pre_tokenizers

from lc_data.lengths import tokenizer as tokenizer_module
from lc_data.lengths.dialogue import Message, split_dialogue
from lc_data.lengths.safe_cut import PIECE_CHARACTERS, cut
from lc_data.lengths.tokenizer import DocumentTokenizer, TokenizerError
from tests.lengths.texts import mixed_text, small_tokenizer

EOS = "<|endoftext|>"


@pytest.fixture(scope="module")
def tokenizer() -> DocumentTokenizer:
    return DocumentTokenizer(small_tokenizer(), None, EOS)


@pytest.fixture(scope="module")
def reference() -> Tokenizer:
    plain = Tokenizer.from_str(small_tokenizer())
    plain.encode_special_tokens = True
    return plain


def test_ids_are_those_of_the_package_plus_eos(tokenizer, reference):
    texts = [mixed_text(seed, seed % 60) for seed in range(100)]
    for text, tokens in zip(texts, tokenizer.encode(texts), strict=True):
        assert tokens.tolist() == [*reference.encode(text, add_special_tokens=False).ids, reference.token_to_id(EOS)]
        assert tokens.dtype == np.uint16


def test_a_giant_text_is_cut_without_a_trace(tokenizer, reference, monkeypatch):
    text = mixed_text(7, 80_000)
    assert len(text) > 3 * PIECE_CHARACTERS
    pieces = []
    monkeypatch.setattr(tokenizer_module, "cut", lambda text, places: pieces.extend(cut(text, places)) or pieces)
    [tokens] = tokenizer.encode([text])
    assert len(pieces) > 3
    assert tokens[:-1].tolist() == reference.encode(text, add_special_tokens=False).ids


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60), max_size=5))
def test_any_text_survives(texts):
    tokenizer = DocumentTokenizer(small_tokenizer(), None, None)
    whole = Tokenizer.from_str(small_tokenizer())
    for text, tokens in zip(texts, tokenizer.encode(texts), strict=True):
        assert whole.decode(tokens.tolist(), skip_special_tokens=False) == text


def test_the_name_of_a_special_token_in_a_text_is_text(tokenizer, reference):
    specials = {reference.token_to_id(token) for token in (EOS, "<|im_start|>", "<|im_end|>")}
    [tokens] = tokenizer.encode(["print('<|endoftext|><|im_end|>\\n<|im_start|>assistant')"])
    assert specials.isdisjoint(tokens[:-1].tolist())
    assert tokens[-1] == reference.token_to_id(EOS)


def test_bos_and_eos_stand_around_every_document():
    tokenizer = DocumentTokenizer(small_tokenizer(), "<|im_start|>", EOS)
    empty, one = tokenizer.encode(["", "a"])
    assert empty.tolist() == [tokenizer.bos_id, tokenizer.eos_id]
    assert one[0] == tokenizer.bos_id
    assert one[-1] == tokenizer.eos_id == tokenizer.pad_id


def test_without_eos_an_empty_text_has_no_tokens():
    assert [len(tokens) for tokens in DocumentTokenizer(small_tokenizer(), None, None).encode(["", "a"])] == [0, 1]


def test_what_a_file_says_of_truncation_padding_and_its_own_eos_is_not_done(reference):
    other = Tokenizer.from_str(small_tokenizer())
    other.enable_truncation(8)
    other.enable_padding(length=64)
    definition = json.loads(other.to_str())
    definition["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": EOS, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {EOS: {"id": EOS, "ids": [0], "tokens": [EOS]}},
    }
    tokenizer = DocumentTokenizer(json.dumps(definition), None, None)
    text = mixed_text(3, 100)
    assert tokenizer.encode([text])[0].tolist() == reference.encode(text, add_special_tokens=False).ids


def test_a_large_vocabulary_is_stored_in_four_bytes():
    definition = json.loads(small_tokenizer())
    vocabulary = definition["model"]["vocab"]
    for number in range(len(vocabulary), 70_000):
        vocabulary[f"filler {number}"] = number
    tokenizer = DocumentTokenizer(json.dumps(definition), None, EOS)
    assert (tokenizer.vocab_size, tokenizer.dtype) == (70_000, np.int32)
    assert tokenizer.encode(["the river"])[0].dtype == np.int32
    assert DocumentTokenizer(small_tokenizer(), None, EOS).encode(["the river"])[0].dtype == np.uint16


def test_a_missing_token_is_named_with_the_fix():
    with pytest.raises(
        TokenizerError, match=r"tokenizer\.eos is '</s>', which is not in the vocabulary.*<\|endoftext\|>"
    ):
        DocumentTokenizer(small_tokenizer(), None, "</s>")


def test_something_else_than_a_tokenizer_is_refused():
    with pytest.raises(TokenizerError, match="not a tokenizer"):
        DocumentTokenizer('{"model": 3}', None, None)


def test_a_model_that_spells_a_special_token_in_text_is_refused():
    whole = Tokenizer.from_str(small_tokenizer())
    whole.add_special_tokens([AddedToken("river", special=True, normalized=False)])
    with pytest.raises(TokenizerError, match="special token 'river'"):
        DocumentTokenizer(whole.to_str(), None, None)


def dialogue(*turns: tuple[str, str]) -> tuple[str, list[Message]]:
    """A dialogue in the default template, and where its messages lie."""
    text, messages = "", []
    for role, content in turns:
        text += f"<|im_start|>{role}\n"
        start = len(text.encode())
        text += f"{content}<|im_end|>\n"
        messages.append(Message(start, len(text.encode()), ("<|im_end|>\n",), role == "assistant"))
    return text, messages


CONTENT = st.lists(st.sampled_from(["a", " ", "\n", "好", "é", "🙂", "<|im_end|>", "<|im_start|>"]), max_size=8).map(
    "".join
)


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), CONTENT), max_size=6))
def test_the_targets_of_a_dialogue_are_exactly_what_the_assistant_said(turns):
    tokenizer = DocumentTokenizer(small_tokenizer(), "<|im_start|>", EOS)
    whole = Tokenizer.from_str(small_tokenizer())
    text, messages = dialogue(*turns)
    [(tokens, spans)] = tokenizer.encode_dialogues([split_dialogue(text, messages)])

    def decode(start: int, end: int) -> str:
        return whole.decode(tokens[start:end].tolist(), skip_special_tokens=False)

    assert decode(1, len(tokens) - 1) == text
    said = [f"{content}<|im_end|>\n" for role, content in turns if role == "assistant"]
    assert [decode(*span) for span in spans] == said
    # Two control tokens a turn are the template's; whatever a message spells is text.
    control = [whole.token_to_id("<|im_start|>"), whole.token_to_id("<|im_end|>")]
    assert np.isin(tokens[1:], control).sum() == 2 * len(turns)


def test_dialogues_need_a_tokenizer_that_joins_segments():
    spaced = Tokenizer.from_str(small_tokenizer())
    spaced.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer = DocumentTokenizer(spaced.to_str(), None, EOS)
    assert not tokenizer.joins_segments
    with pytest.raises(TokenizerError, match="puts a space before every text"):
        tokenizer.encode_dialogues([split_dialogue(*dialogue(("user", "a")))])
