"""Shared runs of words: each is one, none is left out, and the bytes are right on both sides."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lc_data.dedup.spans import IndexedText, shared_spans
from lc_data.text.buffers import as_text
from lc_data.text.reference import list_content_words
from tests.dedup.prose import edit, han, ngram_set, prose

TEXTS = st.lists(st.sampled_from(["a ", "B ", "c, ", "漢", "字", "\n", "é-"]), max_size=40).map("".join)


def spans(text: str, other: str, words: int) -> list[tuple[int, int, int, int]]:
    return [tuple(span) for span in shared_spans(as_text(text), IndexedText(as_text(other), words))]


@given(TEXTS, TEXTS, st.integers(1, 5))
def test_spans_are_runs_of_equal_words_and_there_is_one_where_an_ngram_is_shared(text, other, n):
    found = spans(text, other, n)
    for start, end, other_start, other_end in found:
        words = list_content_words(text.encode()[start:end].decode())
        assert words == list_content_words(other.encode()[other_start:other_end].decode())
        assert len(words) >= n
    assert all(left[1] <= right[0] for left, right in pairwise(found))
    assert bool(found) == bool(ngram_set(text, n) & ngram_set(other, n))


def test_a_rewrapped_excerpt_is_one_span_from_its_first_letter_to_its_last():
    rng = random.Random(0)
    words = prose(rng, 9000).split()
    excerpt = "\n\t".join(words[3000:7000])
    text, other = f"“{prose(rng, 100)}” — {excerpt}.\n", " ".join(words)
    ((start, end, other_start, other_end),) = spans(text, other, 50)
    assert text.encode()[start:end].decode() == excerpt
    assert other.encode()[other_start:other_end].decode() == " ".join(words[3000:7000])


def test_changed_words_part_the_spans():
    rng = random.Random(1)
    text = han(rng, 3000)
    changed = f"{text[:1000]}一{text[1001:2000]}一{text[2001:]}"
    assert [(start // 3, end // 3) for start, end, _, _ in spans(changed, text, 50)] == [
        (0, 1000), (1001, 2000), (2001, 3000),
    ]  # fmt: skip


def test_unrelated_texts_share_none_and_short_ones_neither():
    rng = random.Random(2)
    assert spans(prose(rng, 3000), prose(rng, 3000), 50) == []
    assert spans("a b c", "a b c", 50) == []
    assert spans("", "", 5) == []
    text = prose(rng, 3000)
    assert sum(end - start for start, end, _, _ in spans(edit(rng, text, 0.01), text, 50)) > len(text) // 2
