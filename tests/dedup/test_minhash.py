"""Shingles and signatures from Arrow text against sets of Python words, and against datasketch."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup.minhash import band_keys, estimate_jaccard, permutations, sign
from lc_data.dedup.shingles import shingle_set
from lc_data.text.buffers import as_text
from lc_data.text.reference import list_content_words
from tests.dedup.prose import edit, exact_jaccard, ngram_set, prose

TEXTS = st.lists(st.sampled_from(["a ", "b ", "Word, ", "漢", "字", "\n", "é-", "the cat ", "…"]), max_size=60).map(
    "".join
)


def shingle_hash(words: tuple[str, ...]) -> int:
    """The published definition of a shingle's hash, in Python's own integers."""
    mask = (1 << 64) - 1

    def mix(value: int) -> int:
        value ^= value >> 33
        value = value * 0xFF51AFD7ED558CCD & mask
        value ^= value >> 33
        value = value * 0xC4CEB9FE1A85EC53 & mask
        return value ^ value >> 33

    rolling = 0
    for word in words:
        value = 0xCBF29CE484222325
        for character in word:
            value = (value ^ ord(character)) * 0x100000001B3 & mask
        rolling = (rolling * 0x9E3779B97F4A7C15 + mix(value)) & mask
    return mix(rolling)


@given(TEXTS, st.integers(1, 6))
def test_shingles_are_the_ngrams_of_the_plain_reading(text, n):
    found = shingle_set(as_text(text), n)
    assert found.tolist() == sorted(shingle_hash(gram) for gram in ngram_set(text, n))


def test_shingles_go_on_across_blocks():
    text = " ".join(f"w{number}" for number in range(10_000))
    assert len(shingle_set(as_text(text), 5)) == 9_996


@given(TEXTS, st.integers(1, 6), st.integers(1, 5))
def test_parts_of_the_shingles_are_ranges_that_make_up_all_of_them(text, n, parts):
    found = [shingle_set(as_text(text), n, part, parts) for part in range(parts)]
    assert np.concatenate(found).tolist() == shingle_set(as_text(text), n).tolist()
    for part, shingles in enumerate(found):
        assert all(value * parts >> 64 == part for value in shingles.tolist())


@given(st.lists(TEXTS, min_size=1, max_size=4), st.integers(1, 5))
def test_signatures_are_those_of_datasketch(texts, n):
    datasketch = pytest.importorskip("datasketch")
    found = sign(pa.array(texts, pa.large_string()), n, 64)
    for row, text in enumerate(texts):
        theirs = datasketch.MinHash(64, hashfunc=lambda value: value & 0xFFFFFFFF, scheme="affine32")
        for gram in ngram_set(text, n):
            theirs.update(shingle_hash(gram))
        assert found.values[row].tolist() == theirs.hashvalues.tolist()
        assert found.shingles[row] == max(len(list_content_words(text)) - n + 1, 0)


def test_estimates_are_unbiased_and_as_precise_as_the_theory_says():
    rng = random.Random(0)
    originals = [prose(rng, 400) for _ in range(150)]
    edited = [edit(rng, text, rng.choice([0.0, 0.01, 0.05, 0.1, 0.3])) for text in originals]
    signatures = sign(pa.array(originals + edited, pa.large_string()), 5, 128).values
    estimates = estimate_jaccard(signatures[:150], signatures[150:])
    errors = estimates - [exact_jaccard(a, b) for a, b in zip(originals, edited, strict=True)]
    assert abs(errors.mean()) < 0.01
    assert np.sqrt((errors**2).mean()) < 0.045


def test_the_layout_of_a_text_changes_nothing():
    text = prose(random.Random(1), 300)
    wrapped = text.upper().replace(" ", "\n  ", 50).replace(" ", ", ", 20)
    assert (sign(pa.array([text]), 5, 128).values == sign(pa.array([wrapped]), 5, 128).values).all()


def test_bands_of_equal_rows_share_keys_and_no_two_bands_of_a_text_do():
    signatures = sign(pa.array([prose(random.Random(2), 100)] * 2), 5, 128).values.copy()
    signatures[1, :8] += 1
    keys = band_keys(signatures, 16, 8)
    assert keys[0, 0] != keys[1, 0]
    assert (keys[0, 1:] == keys[1, 1:]).all()
    constant = band_keys(np.full((1, 128), 7, np.uint32), 16, 8)
    assert len(set(constant[0].tolist())) == 16


def test_factors_are_odd_so_that_each_permutation_is_one():
    factors, shifts = permutations(128)
    assert (factors % 2 == 1).all()
    assert len(set(factors.tolist())) == len(set(shifts.tolist())) == 128


def test_texts_without_a_shingle_have_no_signature():
    found = sign(pa.array(["", "four words are few", "…", "一二三四"]), 5, 16)
    assert found.shingles.tolist() == [0, 0, 0, 0]
    assert (found.values == 0xFFFFFFFF).all()
