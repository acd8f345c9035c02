"""The Gopher kernels against a plain reading of the rules, and against datatrove's filters on the same words."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.quality.chain import FilterChain
from lc_data.quality.gopher_quality import measure_gopher_quality
from lc_data.quality.gopher_repetition import measure_gopher_repetition
from lc_data.quality.ngrams import Limits
from lc_data.recipe.filtering import CHINESE_STOP_WORDS, ENGLISH_STOP_WORDS, FilterSection
from tests.quality.documents import batch_of
from tests.quality.gopher_oracle import quality, repetition

_STOP = (*ENGLISH_STOP_WORDS, *CHINESE_STOP_WORDS)
_PIECES = st.sampled_from(
    ["the ", "of ", "a ", "word ", "two words ", "...", "…", "#", "-", "• ", "\n", "\n\n", "\r\n", "\x85", "\u2028",
     "  ", "。", "的", "天地", "玄黄宇", "é ", "9 ", "x.y ", "long" * 8 + " ", "\t", ". . .", "，", "🙂"]
)  # fmt: skip
_ANY = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=5)
TEXTS = st.lists(_PIECES | _ANY, max_size=60).map("".join)


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_quality_measures_are_those_of_the_plain_reading(texts):
    found = measure_gopher_quality(pa.array(texts, pa.large_string()), _STOP)
    for row, text in enumerate(texts):
        expected = quality(text, _STOP)
        assert {name: values[row] for name, values in found.items()} == pytest.approx(expected, nan_ok=True)


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_repetition_measures_are_those_of_the_plain_reading(texts):
    found = measure_gopher_repetition(pa.array(texts, pa.large_string()), range(2, 9), range(2, 9))
    for row, text in enumerate(texts):
        assert {name: values[row] for name, values in found.items()} == pytest.approx(repetition(text, 8))


@given(st.lists(TEXTS, min_size=1, max_size=3), st.integers(1, 4))
def test_marks_and_parts_change_no_count(texts, part):
    limits = Limits(few_places=2, large_text_bytes=8, part=part)
    found = measure_gopher_repetition(pa.array(texts, pa.large_string()), range(2, 9), range(2, 9), limits)
    for row, text in enumerate(texts):
        assert {name: values[row] for name, values in found.items()} == pytest.approx(repetition(text, 8))


@pytest.mark.parametrize("han", [False, True])
def test_a_long_text_is_measured_like_a_short_one(han):
    rng = random.Random(5)
    words = [chr(0x4E00 + number) if han else f"w{number}" for number in range(900)]
    text = ("" if han else " ").join(rng.choices(words, weights=[1 / (rank + 1) for rank in range(900)], k=140_000))
    found = measure_gopher_repetition(pa.array([text], pa.large_string()), range(2, 6), range(2, 6))
    assert {name: values[0] for name, values in found.items()} == pytest.approx(repetition(text, 5))
    for limits in (Limits(few_places=1 << 30), Limits(large_text_bytes=1 << 10, part=1 << 12)):
        same = measure_gopher_repetition(pa.array([text], pa.large_string()), range(2, 6), range(2, 6), limits)
        assert {name: values[0] for name, values in same.items()} == {name: found[name][0] for name in found}


def test_words_of_any_length_are_counted_whole():
    words = ["x" * size for size in (1, 254, 255, 256, 70_000, 3)] * 3
    found = measure_gopher_repetition(pa.array([" ".join(words)], pa.large_string()), range(2, 6), range(2, 6))
    assert {name: values[0] for name, values in found.items()} == pytest.approx(repetition(" ".join(words), 5))


def _spoiled(rng: random.Random) -> str:
    """Prose of common characters, spoiled now and then in one of the ways that the rules look for."""
    common = ["the", "of", "and", "to", "that", "with", "river", "stone", "carried", "evening", "letters", "because"]
    rare = ["".join(rng.choice("abcdefghij") for _ in range(rng.randint(2, 11))) for _ in range(200)]
    lines = [" ".join(rng.choice(common + rare) for _ in range(rng.randint(3, 14))) for _ in range(rng.randint(2, 30))]
    spoil = rng.choice(
        ["none", "none", "none", "lines", "paragraphs", "bullets", "dots", "hashes", "numbers", "ngrams", "short"]
    )
    if spoil == "lines":
        lines += [lines[0]] * rng.randint(1, len(lines))
    elif spoil == "bullets":
        lines = [f"- {line}" for line in lines]
    elif spoil == "dots":
        lines = [f"{line}..." if rng.random() < 0.5 else line for line in lines]
    elif spoil == "hashes":
        lines = [f"# {line} #" if rng.random() < 0.9 else line for line in lines]
    elif spoil == "numbers":
        lines = [line + " 12 34 56" * rng.randint(0, 2) for line in lines]
    elif spoil == "ngrams":
        phrase = " ".join(rng.choice(rare) for _ in range(rng.randint(2, 12)))
        lines = [f"{phrase} {line}" for line in lines]
    elif spoil == "short":
        lines = [" ".join(word[:2] for word in line.split()) for line in lines]
    separator = "\n\n" if spoil == "paragraphs" else "\n"
    return separator.join(lines if spoil != "paragraphs" else lines + lines[: len(lines) // 2])


def test_decisions_are_those_of_datatrove_on_the_same_words():
    rng = random.Random(3)
    texts = [_spoiled(rng) for _ in range(300)]
    ours = FilterChain(
        FilterSection.model_validate(
            {"rules": [{"rule": "gopher_quality", "stop_words": ENGLISH_STOP_WORDS}, {"rule": "gopher_repetition"}]}
        )
    ).apply(batch_of(texts))
    theirs = FilterChain(
        FilterSection.model_validate(
            {
                "rules": [
                    {"rule": "datatrove", "name": "a", "block": "GopherQualityFilter", "args": {"max_doc_words": None}},
                    {"rule": "datatrove", "name": "b", "block": "GopherRepetitionFilter"},
                ]
            }
        )
    ).apply(batch_of(texts))
    assert ours.kept.tolist() == theirs.kept.tolist()
    assert {"gopher_quality", "gopher_repetition"} == {reason.split("/")[0] for reason, _ in ours.dropped.values()}
    assert len({reason for reason, _ in ours.dropped.values()}) >= 8, "the sample must trip many rules"
    assert 60 < ours.kept.sum() < 240


def test_a_very_long_document_stays():
    rng = random.Random(0)
    words = ["the", "of", "and", "to"] + ["".join(rng.choice("abcdefgh") for _ in range(6)) for _ in range(20_000)]
    text = " ".join(rng.choice(words) for _ in range(150_000))
    section = FilterSection.model_validate({"rules": [{"rule": "gopher_quality"}, {"rule": "gopher_repetition"}]})
    assert FilterChain(section).apply(batch_of([text])).kept.tolist() == [True]
    bounded = FilterSection.model_validate({"rules": [{"rule": "gopher_quality", "max_words": 100_000}]})
    assert FilterChain(bounded).apply(batch_of([text])).dropped[0][0] == "gopher_quality/too_many_words"


def test_plain_chinese_passes_and_repeated_chinese_does_not():
    rng = random.Random(1)
    characters = [chr(0x4E00 + rng.randrange(3000)) for _ in range(400)] + list("的一是不了在有人") * 20
    good = "".join(rng.choice(characters) + ("，" if rng.random() < 0.1 else "") for _ in range(800))
    bad = "天地玄黄宇宙洪荒。" * 60
    section = FilterSection.model_validate(
        {"rules": [{"rule": "gopher_quality", "min_stop_words": 2}, {"rule": "gopher_repetition"}]}
    )
    result = FilterChain(section).apply(batch_of([good, bad]))
    assert result.kept.tolist() == [True, False]
    assert np.isnan(result.columns["gopher_quality/mean_word_length"][0])
    assert result.columns["gopher_quality/alpha_words_ratio"][0] > 0.8
