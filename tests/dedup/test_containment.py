"""Overlaps of samples against sets, coverage against the plain reading, and how good the sample is."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup.buckets import Keyed, group_repeated, pack_pairs
from lc_data.dedup.containment import (
    Overlaps,
    add_up,
    count_overlaps,
    gather_pairs,
    least_shared,
    may_contain,
    measure_coverage,
    spread_pairs,
)
from lc_data.dedup.minhash import sign
from lc_data.dedup.shingles import shingle_set
from lc_data.text.buffers import as_text
from lc_data.text.reference import list_content_words
from tests.dedup.prose import edit, ngram_set, prose


def set_containment(shingles: np.ndarray, others: np.ndarray) -> float:
    """The share of a document's n-grams that another has too; both as sets."""
    return len(np.intersect1d(shingles, others)) / len(shingles) if len(shingles) else 0.0


ROWS = st.sets(st.tuples(st.integers(0, 8), st.integers(0, 9)), max_size=60).map(sorted)
TEXTS = st.lists(st.sampled_from(["a ", "b ", "c ", "漢", "字", "\n"]), max_size=40).map("".join)


@given(ROWS, st.integers(2, 6), st.integers(1, 20), st.randoms())
def test_what_documents_share_is_what_their_sets_share(rows, cap, max_pairs, rng):
    expected: Counter[tuple[int, int]] = Counter()
    for key in range(9):
        documents = [document for held, document in rows if held == key]
        if len(documents) <= cap:
            expected.update(combinations(sorted(documents), 2))
    rng.shuffle(rows)
    table = np.array(rows, np.int64).reshape(-1, 2)
    keyed = Keyed(table[:, 0].astype(np.uint64), table[:, 1].astype(np.uint32))
    pieces = list(count_overlaps(group_repeated(lambda: [keyed]), cap, max_pairs))
    limit = max(max_pairs, cap * (cap - 1) // 2)
    assert all(piece.shared.sum() <= limit for piece in pieces)
    pairs = np.concatenate([np.zeros(0, np.uint64), *(piece.pairs for piece in pieces)])
    total = add_up(Overlaps(pairs, np.concatenate([np.zeros(0, np.uint32), *(piece.shared for piece in pieces)])))
    found = map(tuple, gather_pairs(total.pairs).tolist())
    assert dict(zip(found, total.shared.tolist(), strict=True)) == expected
    assert total.pairs.tolist() == sorted(total.pairs.tolist())


@given(st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1)), max_size=20))
def test_pairs_are_spread_and_gathered_again(pairs):
    table = np.array([sorted(pair) for pair in pairs], np.int64).reshape(-1, 2)
    assert gather_pairs(spread_pairs(pack_pairs(table))).tolist() == table.tolist()


def test_ranges_of_spread_pairs_hold_like_shares_of_them():
    documents = np.arange(4000)
    spread = spread_pairs(pack_pairs(np.stack([documents // 40, 100 + documents], axis=1)))
    shares = np.bincount((spread >> np.uint64(61)).astype(np.int64), minlength=8)
    assert shares.min() > 400


@given(TEXTS, TEXTS, st.integers(1, 4))
def test_coverage_counts_the_words_in_shared_ngrams(text, other, n):
    words, others = list_content_words(text), ngram_set(other, n)
    covered = {
        place
        for first in range(len(words) - n + 1)
        if tuple(words[first : first + n]) in others
        for place in range(first, first + n)
    }
    grams = ngram_set(text, n)
    shingles, other_shingles = shingle_set(as_text(text), n), shingle_set(as_text(other), n)
    expected = len(grams & others) / len(grams) if grams else 0.0
    assert set_containment(shingles, other_shingles) == pytest.approx(expected)
    if len(words) >= n:
        assert measure_coverage(as_text(text), other_shingles, n) == pytest.approx(len(covered) / len(words))


def test_coverage_goes_on_across_blocks():
    text = prose(random.Random(0), 10_000)
    own = shingle_set(as_text(text), 5)
    assert measure_coverage(as_text(text), own, 5) == 1.0
    assert measure_coverage(as_text(f"{text} {prose(random.Random(1), 10_000)}"), own, 5) == 0.5


def test_one_word_in_ten_changed_covers_more_than_a_half_that_is_quoted():
    rng = random.Random(2)
    text = prose(rng, 20_000)
    own = shingle_set(as_text(text), 5)
    assert measure_coverage(as_text(edit(rng, text, 0.1)), own, 5) == pytest.approx(0.83, abs=0.02)
    half = f"{text[: len(text) // 2]} {prose(rng, 10_000)}"
    assert measure_coverage(as_text(half), own, 5) == pytest.approx(0.5, abs=0.02)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.integers(2, 64), st.integers(0, 9), st.sampled_from([0, 8]))
def test_the_sample_holds_the_shingles_below_the_bound_or_the_least_ones(texts, one_in, least, permutations):
    found = sign(pa.array(texts, pa.large_string()), 2, permutations, one_in, least)
    for text, sample, sampled in zip(texts, found.samples, found.sampled.tolist(), strict=True):
        shingles = shingle_set(as_text(text), 2).tolist()
        below = [value for value in shingles if value < (1 << 64) // one_in]
        assert sampled == len(below)
        assert sample.tolist() == (below if len(below) >= least else shingles[:least])
    assert (found.values == sign(pa.array(texts, pa.large_string()), 2, permutations).values).all()


def test_short_texts_have_the_keys_they_are_to_have_and_long_ones_those_of_the_sample():
    rng = random.Random(5)
    texts = [prose(rng, words) for words in (5, 10, 100, 1_000, 20_000)] + ["a b " * 20_000, "a b c d e"]
    found = sign(pa.array(texts, pa.large_string()), 5, 0, 64, 8)
    sizes = [len(sample) for sample in found.samples]
    assert sizes[:3] + sizes[5:] == [1, 6, 8, 2, 1]
    assert found.sampled[3:5].tolist() == sizes[3:5]
    assert (np.array(sizes[3:5]) > 8).all()


def test_few_shared_keys_are_enough_where_there_are_few():
    least = least_shared(np.array([0, 1, 4, 6, 20, 64, 10_000]), 0.5)
    assert np.ceil(least).tolist() == [1, 1, 1, 1, 6, 24, 4900]


@pytest.mark.parametrize(("words", "rate"), [(300, 0.0), (300, 0.1), (3000, 0.05), (3000, 0.1)])
def test_signatures_leave_possible_what_is_contained(words, rate):
    rng = random.Random(6)
    pairs = []
    for _ in range(40):
        text = prose(rng, words)
        pairs.append((edit(rng, text, rate), f"{text} {prose(rng, rng.randrange(words * 8))}"))
    left, right = (sign(pa.array(side, pa.large_string()), 5, 128).values for side in zip(*pairs, strict=True))
    assert may_contain(left, right, 0.5).all()
    assert may_contain(right, left, 0.5).all()


def test_signatures_exclude_texts_of_like_size_that_share_little():
    rng = random.Random(7)
    texts = []
    for words in rng.choices(range(300, 3000), k=60):
        shared = prose(rng, words // 6)
        texts += [f"{shared} {prose(rng, words)}", f"{shared} {prose(rng, words)}"]
    values = sign(pa.array(texts, pa.large_string()), 5, 128).values
    assert may_contain(values[::2], values[1::2], 0.5).mean() < 0.05
    assert may_contain(values[:1], sign(pa.array([prose(rng, 60_000)]), 5, 128).values, 0.5).all()


def test_a_text_that_repeats_itself_fits_its_sample():
    texts = ["a b " * 5000, "漢" * 5000]
    for one_in in range(2, 9):
        assert all(len(sample) <= 2 for sample in sign(pa.array(texts, pa.large_string()), 5, 0, one_in).samples)


def test_shares_of_the_sample_are_unbiased():
    rng = random.Random(3)
    errors = []
    for _ in range(20):
        book = prose(rng, 20_000)
        excerpt = edit(rng, " ".join(book.split()[5000:9000]), 0.03)
        small, large = sign(pa.array([excerpt, book], pa.large_string()), 5, 0, 16).samples
        exact = set_containment(shingle_set(as_text(excerpt), 5), shingle_set(as_text(book), 5))
        errors.append(set_containment(small, large) - exact)
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.06


def test_samples_that_do_not_fit_one_call_are_those_of_each_text_alone(monkeypatch):
    monkeypatch.setattr("lc_data.dedup.minhash._SAMPLE_ROOM", 40)
    rng = random.Random(4)
    texts = [prose(rng, length) for length in (3, 30, 5, 400, 0, 20, 20, 60)]
    alone = [sign(pa.array([text], pa.large_string()), 3, 8, 2) for text in texts]
    found = sign(pa.array(texts, pa.large_string()), 3, 8, 2)
    assert [sample.tolist() for sample in found.samples] == [each.samples[0].tolist() for each in alone]
    assert found.shingles.tolist() == [int(each.shingles[0]) for each in alone]
    assert (found.values == np.concatenate([each.values for each in alone])).all()
