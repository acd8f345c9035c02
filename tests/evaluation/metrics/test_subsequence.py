from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.evaluation.metrics.found import edit_distance
from lc_data.evaluation.metrics.subsequence import common_length, common_pairs, places_of
from lc_data.evaluation.metrics.summary import rouge_l

texts = st.text("abcd", max_size=90)
sentences = st.lists(st.text(" abc.", max_size=14), max_size=5).map(". ".join)


def table_of(left: str, right: str) -> list[list[int]]:
    table = [[0] * (len(right) + 1)]
    for a in left:
        row = [0]
        for j, b in enumerate(right):
            row.append(table[-1][j] + 1 if a == b else max(table[-1][j + 1], row[j]))
        table.append(row)
    return table


def walk(left: list[str], right: list[str]) -> list[str]:
    """The published walk back through the table, written as it is defined: by recursion."""
    table = table_of(left, right)  # type: ignore[arg-type]

    def back(i: int, j: int) -> list[str]:
        if i == 0 or j == 0:
            return []
        if left[i - 1] == right[j - 1]:
            return [*back(i - 1, j - 1), left[i - 1]]
        return back(i - 1, j) if table[i - 1][j] > table[i][j - 1] else back(i, j - 1)

    return back(len(left), len(right))


@given(texts, texts)
def test_length_and_walk_are_those_of_the_table(left: str, right: str) -> None:
    assert common_length(left, right) == table_of(left, right)[-1][-1]
    pairs = list(common_pairs(left, right, places_of(right)))
    assert [left[i] for i, _ in reversed(pairs)] == walk(list(left), list(right))
    assert all(left[i] == right[j] for i, j in pairs)


@given(texts, texts)
def test_edit_distance_is_its_definition(left: str, right: str) -> None:
    @lru_cache(None)
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        same = distance(i - 1, j - 1) + (left[i - 1] != right[j - 1])
        return min(same, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    assert edit_distance(left, right) == distance(len(left), len(right))


def rouge_l_by_definition(prediction: str, reference: str) -> float:
    def split(text: str) -> list[list[str]]:
        return [" ".join(part.split()).split(" ") for part in text.split(".") if len(part) > 0]

    predicted, wanted = split(prediction), split(reference)
    if not predicted or not wanted:
        return 0.0
    union = {word for r in wanted for p in predicted for word in walk(r, p)}
    precision = len(union) / len({word for words in predicted for word in words})
    recall = len(union) / len({word for words in wanted for word in words})
    return 2 * precision * recall / (precision + recall + 1e-8)


@given(sentences, sentences)
def test_rouge_l_is_the_union_of_walks(prediction: str, reference: str) -> None:
    assert rouge_l(prediction, reference) == pytest.approx(rouge_l_by_definition(prediction, reference), abs=1e-12)


def test_long_texts_have_a_score() -> None:
    """The published package recurses once per word and gives such a pair 0."""
    words = [f"w{i}" for i in range(1500)]
    assert rouge_l(" ".join(words), " ".join(words[::-1] + words)) == pytest.approx(1.0, abs=1e-6)
