"""Round trip: following the ids, without looking at the parts, rebuilds every document."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.augment.chunks import count_chunks, cut_chunks
from lc_data.augment.parts import ANSWER, SOURCE, STOP, KnotTokens, Parts, target_spans, write_tokens
from lc_data.augment.untie_knots import distinct_numbers, knot_cost, untie_knots
from lc_data.recipe.augment import UntieKnots
from tests.stages.augmented import NAMES

HEAD, TAIL, TRACE, END = 900, 901, 902, 903
DIGITS = tuple(range(910, 920))
LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def options(low: int, high: int, cut: str, width: int = 2, least: int = 3) -> UntieKnots:
    return UntieKnots.model_validate(
        {"name": "untie_knots", "share": 1, "tokens": NAMES, "chunks": (low, high), "cut": cut, "id_digits": width,
         "min_chunk_tokens": least}
    )  # fmt: skip


def tangle(lengths: list[int], asked: UntieKnots, key: int) -> tuple[Parts, list[int], np.ndarray]:
    """A row of documents whose tokens are the hundreds of their numbers: document 3 is 300, 301, ..."""
    length = np.array(lengths, np.int64)
    chunks = count_chunks(length, asked, key)
    parts = untie_knots(np.arange(len(length)), length, chunks, asked, key)
    row = np.empty(int(parts.length.sum()), np.int64)
    knots = KnotTokens(HEAD, TAIL, TRACE, END, DIGITS, asked.id_digits)
    write_tokens(parts, lambda d, start, n: np.arange(100 * d + start, 100 * d + start + n), knots, row)
    return parts, row.tolist(), chunks


def read_id(row: list[int], at: int, width: int) -> int:
    return int("".join(str(DIGITS.index(token)) for token in row[at : at + width]))


def follow(row: list[int], width: int) -> tuple[list[list[int]], list[list[int]]]:
    """Read a row as a model would: chunks by their head, what their tail says, and the answers.

    Returns the rebuilt documents in the order of their last chunks, and the answers beside them; text outside knots,
    documents that were not cut, is left out.
    """
    text: dict[int, list[int]] = {}
    goes_on: dict[int, int] = {}
    ended, answers = [], []
    at, inside = 0, None
    while at < len(row):
        if row[at] == HEAD:
            inside = read_id(row, at + 1, width)
            assert row[at + 1 + width] == END
            assert inside not in text
            text[inside] = []
            at += width + 2
        elif row[at] == TAIL:
            assert inside is not None
            goes_on[inside] = read_id(row, at + 1, width)
            inside, at = None, at + width + 2
        elif row[at] == TRACE:
            ended.append(inside)
            stop = row.index(END, at)
            answers.append([read_id(row, place, width) for place in range(at + 1, stop, width)])
            inside, at = None, stop + 1
        else:
            if inside is not None:
                text[inside].append(row[at])
            at += 1
    before = {after: chunk for chunk, after in goes_on.items()}
    documents, orders = [], []
    for chunk in ended:
        order = [chunk]
        while order[0] in before:
            order.insert(0, before[order[0]])
        documents.append([token for each in order for token in text[each]])
        orders.append(order)
    assert orders == answers
    return documents, answers


@given(LENGTHS, st.integers(1, 3), st.integers(0, 3), st.sampled_from(["random", "equal"]), st.integers(0, 2**63))
def test_following_the_ids_rebuilds_every_document(lengths, low, more, cut, key):
    # Document 9 and beyond would be 900, a knot: there are at most eight.
    parts, row, chunks = tangle(lengths, options(low, low + more, cut), key)
    documents, answers = follow(row, 2)
    cut_ones = [number for number, count in enumerate(chunks.tolist()) if count > 1]
    rebuilt = sorted(documents)
    assert rebuilt == [list(range(100 * number, 100 * number + lengths[number])) for number in cut_ones]
    for document, answer in zip(documents, answers, strict=True):
        assert len(answer) == chunks[document[0] // 100]
    assert len({chunk for answer in answers for chunk in answer}) == sum(map(len, answers))
    text = [token for token in row if token < 900]
    for number, length in enumerate(lengths):
        assert [token for token in text if token // 100 == number] == list(range(100 * number, 100 * number + length))
    assert text[-1] == 100 * (len(lengths) - 1) + lengths[-1] - 1
    assert len(row) == sum(lengths) + int(knot_cost(chunks, 2).sum()) == sum(lengths) + parts.made_tokens


@given(LENGTHS, st.integers(0, 2**63))
def test_loss_counts_on_text_and_answers_and_on_no_knot(lengths, key):
    parts, row, _ = tangle(lengths, options(2, 3, "random"), key)
    spans = target_spans(parts)
    counted = np.zeros(len(row), bool)
    for start, end in [(0, len(row))] if spans is None else spans:
        counted[start:end] = True
    expected = np.repeat(np.isin(parts.role, (SOURCE, ANSWER, STOP)), parts.length)
    assert counted.tolist() == expected.tolist()
    assert not counted[[at for at, token in enumerate(row) if token in (HEAD, TAIL, TRACE)]].any()


@given(LENGTHS, st.integers(1, 4), st.integers(1, 9), st.sampled_from(["random", "equal"]), st.integers(0, 2**63))
def test_chunks_cover_their_documents_and_none_is_too_short(lengths, most, least, cut, key):
    asked, length = options(1, most, cut, least=least), np.array(lengths, np.int64)
    chunks = count_chunks(length, asked, key)
    owner, start, tokens = cut_chunks(length, chunks, asked, key)
    for number, whole in enumerate(lengths):
        mine = owner == number
        assert mine.sum() == chunks[number] <= most
        assert start[mine].tolist() == np.cumsum([0, *tokens[mine]])[:-1].tolist()
        assert tokens[mine].sum() == whole
        assert tokens[mine].min() >= min(least, whole)


@given(st.integers(0, 2**63), st.integers(0, 100))
def test_ids_are_different_numbers(key, count):
    numbers = distinct_numbers(key, count, 100)
    assert len(set(numbers.tolist())) == count
    assert all(0 <= number < 100 for number in numbers.tolist())


def test_more_ids_than_numbers_are_refused():
    with pytest.raises(ValueError, match="101 different numbers below 100"):
        distinct_numbers(1, 101, 100)
