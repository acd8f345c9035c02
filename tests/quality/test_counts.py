"""Counts against plain Python, FineWeb's rules against datatrove's code, bounds of one's own."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lc_data.quality.chain import FilterChain
from lc_data.quality.counts import count_text
from lc_data.recipe.filtering import STOP_CHARS, FilterSection
from lc_data.text.characters import SYMBOL, UNSPACED, character_classes, lower_case
from lc_data.text.reference import list_spaced_words
from tests.quality.documents import batch_of


def counts_of(text: str) -> dict[str, int]:
    """Every count with Python strings."""
    classes, lower = character_classes(), lower_case()
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    again = [line for index, line in enumerate(lines) if line in lines[:index]]
    return {
        "bytes": len(text.encode()),
        "chars": len(text),
        "words": len(list_spaced_words(text)),
        "letters": sum(c.isalpha() for c in text),
        "capitals": sum(lower[ord(c)] != ord(c) for c in text),
        "digits": sum(c in "0123456789" for c in text),
        "symbols": sum(bool(classes[ord(c)] & SYMBOL) for c in text),
        "spaces": sum(c.isspace() for c in text),
        "han_chars": sum(bool(classes[ord(c)] & UNSPACED) for c in text),
        "new_lines": text.count("\n"),
        "lines": len(lines),
        "short_lines": sum(len(line) <= 30 for line in lines),
        "stop_lines": sum(line.endswith(tuple(STOP_CHARS)) for line in lines),
        "longest_line": max(map(len, lines), default=0),
        "duplicate_lines": len(again),
        "duplicate_line_chars": sum(map(len, again)),
    }


@given(st.lists(st.text("abÉ汉あ.。!?1٣ \t\r\n", max_size=120), max_size=4))
def test_counts_are_those_of_plain_python(texts):
    found = count_text(pa.array(texts, pa.large_string()))
    for row, text in enumerate(texts):
        assert {name: values[row].item() for name, values in found.items()} == counts_of(text)


def test_many_different_lines_are_told_apart():
    text = "".join(f"line number {number % 700}\n" for number in range(1000))
    assert count_text(pa.array([text], pa.large_string()))["duplicate_lines"].tolist() == [300]


def pages(count: int) -> list[str]:
    """Pages half of which break one rule or another."""
    rng = random.Random(7)
    texts = []
    for number in range(count):
        lines = [
            " ".join(f"w{rng.randrange(5000)}" for _ in range(rng.randint(1, 14))) + rng.choice([".", "", "", "!"])
            for _ in range(rng.randint(1, 30))
        ]
        if number % 2:
            lines += rng.choices(lines, k=rng.randint(0, 3))
        texts.append(rng.choice(["\n", "\n\n"]).join(lines))
    return [*texts, "", " \n \n"]


def test_fineweb_decides_as_datatrove_does_on_the_same_words():
    texts = pages(600)
    ours = FilterChain(FilterSection.model_validate({"rules": [{"rule": "fineweb"}]})).apply(batch_of(texts))
    block = {"rule": "datatrove", "block": "FineWebQualityFilter", "args": {"stop_chars": list(STOP_CHARS)}}
    # datatrove asks str.endswith, which takes a tuple; a recipe can only say a list.
    chain = FilterChain(FilterSection.model_validate({"rules": [block]}))
    chain._rules[0][1].block.stop_chars = tuple(STOP_CHARS)
    theirs = chain.apply(batch_of(texts))
    names = {
        "empty": "empty",
        "few_stops": "line_punct_ratio",
        "short_lines": "short_line_ratio",
        "duplicate_lines": "char_dup_ratio",
        "list": "list_ratio",
    }
    told = {row: names[reason.removeprefix("fineweb/")] for row, (reason, _) in ours.dropped.items()}
    assert told == {row: reason.split("/")[1] for row, (reason, _) in theirs.dropped.items()}
    assert set(told.values()) == set(names.values()), "every test fires"


def test_bounds_on_a_count_and_on_a_ratio():
    rules = [
        {"rule": "bounds", "name": "few", "measure": "lines", "min": 2},
        {"rule": "bounds", "name": "digits", "measure": "digits", "per": "chars", "max": 0.5},
    ]
    result = FilterChain(FilterSection.model_validate({"rules": rules})).apply(
        batch_of(["a", "a\n1234", "a\nbcd1", ""])
    )
    assert {row: reason for row, (reason, _) in result.dropped.items()} == {
        0: "few/low_lines",
        1: "digits/high_digits_per_chars",
        3: "few/low_lines",
    }
    assert result.columns["digits/digits_per_chars"].tolist()[2] == pytest.approx(1 / 6)
    nothing = [{"rule": "bounds", "measure": "digits", "per": "words", "max": 0}]
    assert FilterChain(FilterSection.model_validate({"rules": nothing})).apply(batch_of([" \n"])).kept.all()


@pytest.mark.parametrize(
    ("bounds", "message"),
    [({}, "neither min nor max"), ({"min": 2, "max": 1}, "no document can satisfy both")],
)
def test_bounds_that_bound_nothing_are_rejected(bounds, message):
    with pytest.raises(ValidationError, match=message):
        FilterSection.model_validate({"rules": [{"rule": "bounds", "measure": "chars"} | bounds]})
