"""Buckets, histograms, shard borders, samples and training."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.lengths.buckets import assign_buckets, bucket_names
from lc_data.lengths.dialogue import Message, split_dialogue
from lc_data.lengths.histogram import measure_lengths
from lc_data.lengths.sample import WINDOW_CHARACTERS, Sample, window
from lc_data.lengths.sharding import cut_key_ranges
from lc_data.lengths.train import train_bpe
from tests.lengths.texts import SPECIALS, mixed_text


@given(st.lists(st.integers(0, 3000)), st.lists(st.integers(1, 2000), min_size=1, max_size=6, unique=True))
def test_a_bucket_is_the_number_of_edges_at_or_below_the_length(lengths, edges):
    edges.sort()
    expected = [sum(edge <= length for edge in edges) for length in lengths]
    assert assign_buckets(lengths, edges).tolist() == expected


def test_bucket_names():
    assert bucket_names([1024, 2048, 1 << 20]) == ["<1K", "1K-2K", "2K-1M", "1M+"]
    assert bucket_names([1500]) == ["<1500", "1500+"]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(1, 1000))))
def test_a_histogram_counts_documents_and_tokens(rows):
    domain, bucket, length = (np.array([row[i] for row in rows], np.int64) for i in range(3))
    counts = measure_lengths(length, domain, bucket, 3, 4)
    documents = Counter((d, b) for d, b, _ in rows)
    for d in range(3):
        for b in range(4):
            assert counts.documents[d, b] == documents[d, b]
            assert counts.tokens[d, b] == sum(n for x, y, n in rows if (x, y) == (d, b))
    shares = counts.token_shares().sum(axis=1)
    assert np.allclose(shares, [float(counts.tokens[d].sum() > 0) for d in range(3)])
    assert np.all(counts.document_shares() <= 1)


def test_a_histogram_refuses_what_is_outside():
    with pytest.raises(ValueError, match="outside 1 x 1"):
        measure_lengths(np.array([5]), np.array([0]), np.array([1]), 1, 1)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 50)), max_size=40), st.integers(1, 120))
def test_shards_are_key_ranges_within_the_limit(rows, shard_tokens):
    rows.sort()
    keys, lengths = np.array([r[0] for r in rows], np.uint64), np.array([r[1] for r in rows], np.uint32)
    ranges = cut_key_ranges(keys, lengths, shard_tokens)
    members = [[row for row in rows if cut.first <= row[0] <= cut.last] for cut in ranges]
    assert [row for shard in members for row in shard] == rows
    for cut, shard in zip(ranges, members, strict=True):
        assert cut.tokens == sum(length for _, length in shard)
        assert cut.tokens <= shard_tokens or cut.first == cut.last
    for cut, following in zip(ranges, members[1:], strict=False):
        # Greedy: the documents of the next key would not have fitted.
        first = sum(length for key, length in following if key == following[0][0])
        assert cut.tokens + first > shard_tokens


def test_a_key_of_64_bits_keeps_all_of_them():
    keys = np.array([2**63 + 1, 2**63 + 2, 2**64 - 1], np.uint64)
    assert [cut[:2] for cut in cut_key_ranges(keys, np.ones(3, np.uint32), 1)] == [(k, k) for k in keys.tolist()]


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 3000))
def test_a_sample_does_not_depend_on_how_its_input_is_parted(seed, parts, max_bytes):
    rng = random.Random(seed)
    documents = [(rng.getrandbits(64), f"id-{i}", "字" * rng.randint(0, 100)) for i in range(60)]
    whole, merged = Sample(max_bytes), Sample(max_bytes)
    for document in documents:
        whole.offer(*document)
    for part in range(parts):
        mine = Sample(max_bytes)
        for document in documents[part::parts]:
            mine.offer(*document)
        for document in mine.documents():
            merged.offer(*document)
    assert merged.documents() == whole.documents()
    in_order = "".join(text for _, _, text in sorted(documents)).encode()
    assert "".join(whole.texts()) == in_order[:max_bytes].decode(errors="ignore")


def test_a_window_is_bounded_and_moves_with_the_key():
    text = "".join(chr(0x4E00 + i % 2000) for i in range(3 * WINDOW_CHARACTERS))
    assert len(window(text, 12345)) == WINDOW_CHARACTERS
    assert window(text, 1) != window(text, 2)
    assert window("short", 7) == "short"


def test_training_twice_gives_the_same_bytes_and_special_tokens_come_first():
    texts = [mixed_text(seed, 300) for seed in range(8)]
    first, second = (train_bpe(iter(texts), 600, SPECIALS) for _ in range(2))
    assert first == second
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(first)
    assert [tokenizer.token_to_id(token) for token in SPECIALS] == [0, 1, 2]
    assert tokenizer.get_vocab_size() == 600
    assert not any("im_" in token or "endof" in token for token in tokenizer.get_vocab() if token not in SPECIALS)


def test_a_dialogue_is_parted_at_its_messages():
    text = "<s>user\nhé<e>\n<s>bot\nok<e>\n"
    data = text.encode()
    first, second = data.index("hé".encode()), data.index(b"ok")
    messages = [
        Message(first, first + len("hé<e>\n".encode()), ("\n", "<e>\n"), False),
        Message(second, second + 6, ("<e>\n",), True),
    ]
    parts = split_dialogue(text, messages)
    assert [(part.text, part.is_template, part.is_target) for part in parts] == [
        ("<s>user\n", True, False), ("hé", False, False), ("<e>\n", True, False),
        ("<s>bot\n", True, False), ("ok", False, True), ("<e>\n", True, True),
    ]  # fmt: skip


@pytest.mark.parametrize(("start", "end"), [(5, 3), (0, 99), (-1, 2)])
def test_a_message_outside_its_dialogue_is_refused(start, end):
    with pytest.raises(ValueError, match=f"bytes {start} to {end}"):
        split_dialogue("a dialogue", [Message(start, end, (), False)])
