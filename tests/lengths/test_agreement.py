"""A sample that depends on the documents alone, and engines that lie about one of them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from lc_data.lengths.agreement import (
    HARD_TEXTS,
    LONGEST_WINDOW_BYTES,
    SAMPLED_DOCUMENTS,
    WINDOW_BYTES,
    AgreementSample,
    check_engine,
    compare,
)
from lc_data.lengths.gigatoken_encoder import EngineError, GigatokenEncoder
from lc_data.lengths.reference_encoder import ReferenceEncoder
from tests.lengths.texts import small_tokenizer


class LyingEngine:
    """The reference with one id changed in texts that hold a word."""

    def __init__(self, reference: ReferenceEncoder, word: str) -> None:
        self.reference, self.word = reference, word

    def encode(self, texts):
        arrays = self.reference.encode(texts)
        for text, array in zip(texts, arrays, strict=True):
            if self.word in text:
                array[-1] += 1
        return arrays


@pytest.fixture(scope="module")
def reference() -> ReferenceEncoder:
    whole = Tokenizer.from_str(small_tokenizer())
    whole.add_tokens([AddedToken("<think>", normalized=False)])
    return ReferenceEncoder(whole.to_str())


DOCUMENTS = st.lists(
    st.tuples(st.integers(0, 2**64 - 1), st.text("ab", max_size=9)), max_size=40, unique_by=lambda d: d[0]
)


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_the_sample_is_the_smallest_keys_and_the_longest_in_any_order(documents, rng):
    sample = AgreementSample()
    for key, text in rng.sample(documents, len(documents)):
        sample.offer(key, f"{key:020}", text)
    smallest = sorted(documents)[:SAMPLED_DOCUMENTS]
    longest = sorted(documents, key=lambda document: (-len(document[1]), document[0]))[:1]
    assert list(sample.texts()) == [(f"document {key:020}", text) for key, text in [*smallest, *longest]]


@pytest.mark.parametrize("alphabet", ["abcdef ", "天地玄黄"])
def test_long_documents_give_one_window(alphabet):
    text = "".join(random.Random(0).choices(alphabet, k=100_000))
    sample = AgreementSample()
    sample.offer(123_456_789, "long", text)
    sample.offer(5, "short", "short")
    (_, short), (_, window), (_, longest) = sample.texts()
    assert short == "short"
    assert window in text
    assert longest in text
    assert WINDOW_BYTES - 4 < len(window.encode()) <= WINDOW_BYTES
    assert LONGEST_WINDOW_BYTES - 4 < len(longest.encode()) <= LONGEST_WINDOW_BYTES


def test_a_difference_names_the_document_and_the_place(reference):
    engine = LyingEngine(reference, "Anna")
    compare(engine, reference, [("document a", "the river")])
    with pytest.raises(EngineError, match=r"ids of document b differ from those of `tokenizers` at token [0-9]+: "):
        compare(engine, reference, [("document a", "the river"), ("document b", "Anna don't")])


def test_an_id_too_few_is_a_difference(reference):
    class Short:
        def encode(self, texts):
            return [np.array(ids[:-1]) for ids in reference.encode(texts)]

    with pytest.raises(EngineError, match="document a"):
        compare(Short(), reference, [("document a", "the river")])


@pytest.mark.parametrize("word", ["<think>\u0301", "<|im_end|>b", *HARD_TEXTS[4:12]])
def test_every_hard_text_and_every_added_token_is_asked_for(reference, word):
    with pytest.raises(EngineError, match="the text "):
        check_engine(LyingEngine(reference, word), reference)


def test_gigatoken_passes(reference):
    check_engine(
        GigatokenEncoder(small_tokenizer(), ReferenceEncoder(small_tokenizer())), ReferenceEncoder(small_tokenizer())
    )
