"""The text that dedupe is measured on: the same everywhere, and like text where copies are concerned."""

from __future__ import annotations

import numpy as np
import xxhash

from lc_data.bench.dedupe_text import make_documents, make_vocabulary
from lc_data.bench.text import column_of
from lc_data.dedup.minhash import sign
from lc_data.dedup.shingles import count_shared, shingle_set
from lc_data.text.buffers import as_text


def test_the_text_is_the_same_everywhere():
    documents = make_documents(20_000, 3, seed=4)
    assert [len(text) for text in documents] == [20_000] * 3
    assert xxhash.xxh3_64_hexdigest("".join(documents)) == "4569fba40e851ac1"
    assert make_documents(20_000, 2, seed=4) == documents[:2]
    assert make_documents(20_000, 1, seed=5) != documents[:1]


def test_words_are_different_and_the_common_ones_short():
    words = make_vocabulary(2_000)
    assert len(set(words)) == 2_000
    assert np.mean([len(word) for word in words[:50]]) < np.mean([len(word) for word in words[-50:]])


def test_documents_share_phrases_and_little_else_and_some_are_listings():
    documents = make_documents(8_000, 60, seed=1)
    sets = [shingle_set(as_text(text), 5) for text in documents]
    shares = [count_shared(left, right) / len(left) for left in sets for right in sets if left is not right]
    assert 0 < np.mean(shares) < 0.05
    assert max(shares) < 0.2
    keys = sorted(len(sample) for sample in sign(column_of(documents), 5, 0, 64).samples)
    assert keys[0] < 10, "a listing has few different n-grams"
    assert keys[len(keys) // 2] > 10
