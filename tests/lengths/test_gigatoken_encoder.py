"""The faster engine gives the reference's ids, on any text, and whatever it fails on is a fault with the text in it."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

from lc_data.lengths import gigatoken_encoder
from lc_data.lengths.agreement import HARD_TEXTS
from lc_data.lengths.gigatoken_encoder import EngineError, GigatokenEncoder
from lc_data.lengths.reference_encoder import ReferenceEncoder
from tests.lengths.texts import SPECIALS, mixed_text, small_tokenizer

FOUND = "<think>"


@lru_cache
def definition(normal: bool) -> str:
    """The small tokenizer with a token that is found in texts; with NFC or without."""
    tokenizer = Tokenizer.from_str(small_tokenizer())
    tokenizer.add_tokens([AddedToken(FOUND, normalized=False, special=False)])
    if normal:
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer.to_str()


@lru_cache
def encoders(normal: bool) -> tuple[GigatokenEncoder, ReferenceEncoder]:
    reference = ReferenceEncoder(definition(normal))
    return GigatokenEncoder(definition(normal), reference), reference


def assert_same(texts: list[str], normal: bool) -> None:
    engine, reference = encoders(normal)
    for text, ours, expected in zip(texts, engine.encode(texts), reference.encode(texts), strict=True):
        assert ours.tolist() == expected.tolist(), text
        assert ours.dtype == expected.dtype == np.uint16


MARKS = st.sampled_from(["e", "a", "\u0301", "\u0323", "\u0338", "\u1100", "\u1161", "\u11a8", "\u0897", "\U00010efd"])
PIECES = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), MARKS, st.sampled_from([FOUND, "\n"]))


@pytest.mark.parametrize("normal", [False, True])
@given(texts=st.lists(st.lists(PIECES, max_size=10).map("".join), max_size=4))
def test_ids_are_those_of_the_reference(normal, texts):
    assert_same(texts, normal)


@pytest.mark.parametrize("normal", [False, True])
def test_ids_of_hard_and_of_long_texts_are_those_of_the_reference(normal):
    assert_same([*HARD_TEXTS, mixed_text(1, 40_000)], normal)


def test_only_what_is_out_of_normal_form_goes_through_the_reference(monkeypatch):
    engine, reference = encoders(True)
    normalised = []
    real = ReferenceEncoder.normalize
    monkeypatch.setattr(ReferenceEncoder, "normalize", lambda self, text: normalised.append(text) or real(self, text))
    engine.encode(["plain", "caf\u00e9 天地", "one\ncafe\u0301\nthree", "new \u0897"])
    # Python 3.14 knows U+0897; before, it might be anything.
    unknown = ["new \u0897"] if unicodedata.category("\u0897") == "Cn" else []
    assert normalised == ["cafe\u0301", *unknown]
    whole = []
    monkeypatch.setattr(reference, "encode", lambda texts: whole.extend(texts) or [np.zeros(0)] * len(texts))
    engine.encode([f"caf\u00e9 {FOUND}", f"e\u0301{FOUND}\u0338"])
    assert whole == [f"e\u0301{FOUND}\u0338"], "normalising would break the added token's name"


def test_names_of_special_tokens_are_text():
    engine, reference = encoders(False)
    [ids] = engine.encode(["".join(SPECIALS)])
    assert set(reference.special_tokens.values()).isdisjoint(ids.tolist())


def test_the_model_is_loaded_anew_when_it_has_grown(monkeypatch):
    sizes = iter(range(0, 1 << 40, 1 << 20))
    monkeypatch.setattr(gigatoken_encoder, "_resident_bytes", lambda: next(sizes))
    reference = ReferenceEncoder(definition(False))
    engine = GigatokenEncoder(definition(False), reference, growth_bytes=3 << 20)
    texts = [mixed_text(seed, 20) for seed in range(20)]
    for text, expected in zip(texts, reference.encode(texts), strict=True):
        assert engine.encode([text])[0].tolist() == expected.tolist()
    # A megabyte each time, less the ids: more than three after four calls.
    assert engine.loads == 1 + 4


def test_a_normalizer_that_it_is_not_trusted_with_is_refused():
    tokenizer = Tokenizer.from_str(small_tokenizer())
    tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(EngineError, match="'Lowercase' is left to `tokenizers`"):
        GigatokenEncoder(tokenizer.to_str(), ReferenceEncoder(tokenizer.to_str()))


def test_a_tokenizer_that_it_does_not_know_is_refused():
    tokenizer = Tokenizer.from_str(small_tokenizer())
    tokenizer.pre_tokenizer = pre_tokenizers.Split("x", behavior="isolated")
    with pytest.raises(EngineError, match="gigatoken cannot load this tokenizer: RuntimeError: "):
        GigatokenEncoder(tokenizer.to_str(), ReferenceEncoder(tokenizer.to_str()))


def test_gigatoken_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(gigatoken_encoder.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="not installed"):
        GigatokenEncoder(definition(False), ReferenceEncoder(definition(False)))


class PanicException(BaseException):
    """What a panic of Rust code becomes."""


class FailingModel:
    """Fails on texts with a certain word."""

    def __init__(self, model, error: type[BaseException]) -> None:
        self.model, self.error = model, error

    def encode_batch(self, texts, parallel):
        if any(b"poison" in text for text in texts):
            raise self.error("index out of bounds\nbacktrace")
        return self.model.encode_batch(texts, parallel=parallel)


@pytest.mark.parametrize("error", [PanicException, ValueError])
def test_a_panic_is_a_fault_that_quotes_the_text(error):
    engine = GigatokenEncoder(definition(False), ReferenceEncoder(definition(False)))
    engine._model = FailingModel(engine._model, error)
    assert len(engine.encode(["good"])) == 1
    with pytest.raises(EngineError, match=rf"{error.__name__}: index out of bounds, on 'some poison here'"):
        engine.encode(["good", "some poison here", "good"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_no_fault_of_the_engine_passes(error):
    engine = GigatokenEncoder(definition(False), ReferenceEncoder(definition(False)))
    engine._model = FailingModel(engine._model, error)
    with pytest.raises(error):
        engine.encode(["poison"])


def test_the_file_it_gets_has_no_special_tokens_and_no_template():
    plain, normalizes = gigatoken_encoder._without_specials(definition(True))
    assert [token["content"] for token in plain["added_tokens"]] == [FOUND]
    assert plain["normalizer"] is plain["post_processor"] is None
    assert normalizes
