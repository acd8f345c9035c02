"""Overlap with evaluations: every shared n-gram is found, where it lies, and nothing else is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc_data.failure import Failure
from lc_data.quality.contamination import EvaluationIndex, Overlap, find_overlaps, sample_gaps
from lc_data.quality.ngram_index import build_index, count_slots, locate_words
from lc_data.recipe.decontamination import DecontaminationSection
from lc_data.text.buffers import as_text
from lc_data.text.reference import list_content_words

QUESTION = "Which of the two lighthouse keepers wrote down every ship that passed during the winter of the great frost?"
ANSWER = "The younger keeper did, in a ledger that he later hid behind the stove of the eastern tower."
CONTEXT = (
    "Nobody on the island remembered who had lit the lamp that night, for the storm had taken the pier, the boats and "
    "the only road between the village and the northern cliffs, where the tower stood alone in the dark. "
)
NOISE = "A recipe for bread needs flour and water and salt and a warm place where it may rest until morning comes. "


def section(**settings) -> DecontaminationSection:
    evaluations = [{"name": "e", "layout": "longbench", "paths": ["x"]}]
    return DecontaminationSection.model_validate({"evaluations": evaluations, "context_sample": 1, **settings})


def gathered(*items: dict[str, list[str]], **settings) -> EvaluationIndex:
    index = EvaluationIndex(section(**settings))
    for number, item in enumerate(items):
        index.add("e", f"e#{number}", item)
    return index


def overlaps(documents: list[str], index: EvaluationIndex) -> list[Overlap]:
    gaps = sample_gaps(index.texts, index.section.context_sample)
    return find_overlaps(pa.array(documents, pa.large_string()), index.build(), gaps)


def found(documents: list[str], *items: dict[str, list[str]], **settings) -> list[tuple[int, str, str, str]]:
    """(document, item, field, text of the span) of every overlap."""
    index = gathered(*items, **settings)
    return [
        (each.row, *index.texts[each.number][1:], documents[each.row].encode()[each.offset :][: each.length].decode())
        for each in overlaps(documents, index)
    ]


ITEM = {"question": [QUESTION], "answer": [ANSWER], "context": [CONTEXT]}


def test_what_is_shared_is_found_with_its_item_field_and_span():
    documents = [
        NOISE,
        f"{NOISE}{QUESTION.upper()} {NOISE}",
        f"{CONTEXT[:150]} {NOISE} {ANSWER.replace(' ', '  ')}",
        "",
    ]
    assert found(documents, ITEM) == [
        (1, "e#0", "question", QUESTION.upper().rstrip("?")),
        (2, "e#0", "answer", ANSWER.replace(" ", "  ").rstrip(".")),
        (2, "e#0", "context", CONTEXT[:150].rstrip()),
    ]


def test_twelve_words_are_no_hit_and_thirteen_are():
    words = list_content_words(QUESTION)
    assert found([f"{NOISE} {' '.join(words[:12])} {NOISE}"], ITEM) == []
    assert len(found([f"{NOISE} {' '.join(words[2:15])} {NOISE}"], ITEM)) == 1


def test_short_texts_are_looked_for_whole_or_not_at_all():
    short = "Who hid the ledger behind the old stove?"
    item = {"question": [short, "Who hid it?"]}
    assert found([f"{NOISE}{short} {NOISE}", "Who hid it?", "hid the ledger behind the old stove"], item) == [
        (0, "e#0", "question", short.rstrip("?"))
    ]
    assert gathered(item).too_short == 1
    assert found([short], item, min_words=9) == []


def test_han_characters_are_words():
    question = "是哪一位守塔人在大雪封海的冬天里记下了每一艘经过的船只"
    assert found([f"从前，{question}！后来"], {"question": [question]}) == [(0, "e#0", "question", question)]


def test_a_han_text_is_looked_for_by_longer_ngrams():
    question = "是哪一位守塔人在大雪封海的冬天里用左手一笔一画地记下了每一艘经过的船只并把账本藏在炉子后面"
    item = {"question": [question]}
    assert found([f"他说{question[3:28]}而已", question[:25]], item) == []
    assert [span for *_, span in found([f"他说{question[3:29]}而已"], item)] == [question[3:29]]
    assert found([question[:13]], item, ngram_han=13, min_han=8), "as words of a spaced script it would be a hit"
    short = {"question": [question[:16], question[:15]]}
    assert gathered(short).too_short == 1
    assert [span for *_, span in found([f"{NOISE}{question}"], short)] == [question[:16]]
    mixed = {
        "question": ["Who wrote the ledger 守塔人 of the winter when every ship passed the pier and none came back?"]
    }
    assert gathered(mixed).build().lengths.tolist() == [13]


def test_an_answer_that_quotes_its_context_is_context():
    quoted = CONTEXT[:120]
    index = gathered({"answer": [quoted, ANSWER], "context": [CONTEXT]})
    assert index.quoted > 0
    fields = {name for _, _, name, _ in found([CONTEXT], {"answer": [quoted, ANSWER], "context": [CONTEXT]})}
    assert fields == {"context"}
    elsewhere = found([CONTEXT], {"answer": [quoted]}, {"context": [CONTEXT]})
    assert {name for _, _, name, _ in elsewhere} == {"answer", "context"}, "another item's context excuses nothing"


def test_forms_of_words_are_not_looked_for_but_shared_contexts_are():
    items = [{"question": [QUESTION], "context": [CONTEXT]}] * 5
    assert {name for _, _, name, _ in found([QUESTION + CONTEXT], *items)} == {"context"}
    assert gathered(*items, max_items=5).common == 0
    assert {(item, name) for _, item, name, _ in found([QUESTION + CONTEXT], *items, max_items=5)} == {
        ("e#0", "context"),
        ("e#0", "question"),
    }
    index = gathered(*items)
    index.build()
    assert index.common == len(list_content_words(QUESTION)) - 12


def test_a_sample_of_a_context_finds_what_is_long():
    rng = np.random.default_rng(0)
    context = " ".join(f"w{number}" for number in rng.integers(0, 999, 2000))
    part = " ".join(context.split()[500:700])
    whole, sampled = gathered({"context": [context]}), gathered({"context": [context]}, context_sample=16)
    assert (sampled.build().keys != 0).sum() < (whole.build().keys != 0).sum() / 8
    (stretch,) = overlaps([f"{NOISE}{part}"], sampled)
    assert stretch.length > len(part) / 2
    assert not overlaps([NOISE], sampled)


def test_the_index_stays_within_its_bytes():
    with pytest.raises(Failure, match=r"e#0 .* raise it, or context_sample"):
        gathered({"context": [CONTEXT]}, max_index_bytes=300)


def test_nothing_to_look_for_finds_nothing():
    assert found([QUESTION], {"question": [], "answer": ["yes"]}) == []


WORDS = st.lists(st.sampled_from(["a", "b", "ç", "长", "江"]), max_size=14).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=5), st.lists(WORDS, min_size=1, max_size=4))
def test_the_hits_are_those_of_lists_of_words(documents, questions):
    n, least, n_han, least_han = 4, 2, 5, 3
    looked_for = set()
    for question in questions:
        words = list_content_words(question)
        is_han = 2 * sum(word in "长江" for word in words) > len(words)
        size = min(len(words), n_han if is_han else n)
        if size >= (least_han if is_han else least):
            looked_for |= {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}
    expected = set()
    for row, document in enumerate(documents):
        words = list_content_words(document)
        for size in range(least, n_han + 1):
            for at in range(len(words) - size + 1):
                if tuple(words[at : at + size]) in looked_for:
                    expected |= {(row, word) for word in range(at, at + size)}
    index = gathered({"question": questions}, ngram_words=n, min_words=least, ngram_han=n_han, min_han=least_han)
    covered = set()
    for each in overlaps(documents, index):
        text = documents[each.row].encode()
        before = len(list_content_words(text[: each.offset].decode()))
        inside = len(list_content_words(text[each.offset :][: each.length].decode()))
        covered |= {(each.row, word) for word in range(before, before + inside)}
    assert covered == expected


@given(st.text("aé汉🙂 ,\n", max_size=60))
def test_words_are_located_where_they_lie(text):
    words = list_content_words(text)
    wanted = np.arange(0, len(words), 2)
    places = locate_words(as_text(text), wanted)
    assert [text.encode()[low:high].decode().lower() for low, high in places] == words[::2]


def test_blocks_do_not_hide_what_lies_across_them():
    words = [f"w{number}" for number in range(9000)]
    question = " ".join(words[4090:4105])
    assert found([" ".join(words)], {"question": [question]}) == [(0, "e#0", "question", question)]


def test_the_table_is_never_crowded():
    for ngrams in (0, 1, 7, 100, 1 << 16):
        assert 10 * ngrams <= 7 * count_slots(ngrams)
    index = build_index(np.array([5], np.uint64), np.array([3], np.uint32), np.array([2]))
    assert index.numbers[index.keys == 5].tolist() == [3]
