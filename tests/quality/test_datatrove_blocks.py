"""datatrove's blocks as rules: what they drop, what they rewrite, which are refused."""

from __future__ import annotations

import pytest

from lc_data.quality.chain import FilterChain
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.filtering import FilterSection
from tests.quality.documents import batch_of

PROSE = "The river rose in the night and carried the bridge away. Nobody had expected that it would. "


def chain(**rule) -> FilterChain:
    return FilterChain(FilterSection.model_validate({"rules": [{"rule": "datatrove", **rule}]}))


def test_a_filter_drops_with_its_own_reason():
    result = chain(block="FineWebQualityFilter").apply(batch_of(["short\nlines\nonly\nhere"]))
    assert result.dropped == {0: ("datatrove/line_punct_ratio", "{}")}


def test_a_filter_takes_its_arguments():
    result = chain(block="RegexFilter", args={"regex_exp": "forbidden"}).apply(batch_of([PROSE, "a forbidden word"]))
    assert result.kept.tolist() == [True, False]


def test_what_rewrites_is_counted_as_a_named_transform():
    lines = [f"Line number {n} of this text says something that is new and true." for n in range(8)]
    text = "\n".join([*lines, "no stop at the end"])
    result = chain(block="C4QualityFilter", transform="c4_lines").apply(batch_of([text]))
    assert result.kept.tolist() == [True]
    assert result.documents.column("text").to_pylist() == ["\n".join(lines)]
    assert [(r.row, r.transform, r.added_bytes) for r in result.rewrites] == [
        (0, "c4_lines", -len("\nno stop at the end"))
    ]


def test_a_formatter_keeps_parts_true_and_does_not_remember_earlier_documents():
    text = "user: write to a.b@firm.com\nassistant: or to c@d.org 你好"
    parts = [
        {"source": "message/0/user", "offset": 0, "length": 28},
        {"source": "message/1/assistant", "offset": 28, "length": len(text.encode()) - 28},
    ]
    rule = {"block": "PIIFormatter", "transform": "pii"}
    result = chain(**rule).apply(batch_of([text, PROSE, text], parts=[parts, None, parts]))
    first, same, again = result.documents.to_pylist()
    assert same["text"] == PROSE
    assert (
        first["text"]
        == again["text"]
        == text.replace("a.b@firm.com", "email@example.com").replace("c@d.org", "firstname.lastname@example.org")
    )
    pieces = [first["text"].encode()[p["offset"] : p["offset"] + p["length"]].decode() for p in first["parts"]]
    assert pieces == ["user: write to email@example.com\n", "assistant: or to firstname.lastname@example.org 你好"]
    assert {r.row for r in result.rewrites} == {0, 2}
    added = len(first["text"].encode()) - len(text.encode())
    assert [r.added_bytes for r in result.rewrites] == [added, added]


def test_a_filter_that_rewrites_a_document_with_parts_stops_and_names_it():
    text = (
        "\n".join(f"Line number {n} of this text says something that is new and true." for n in range(8)) + "\nno stop"
    )
    parts = [[{"source": "a.py", "offset": 0, "length": 4}]]
    with pytest.raises(RecipeError, match="rewrote document 'd0', whose parts"):
        chain(block="C4QualityFilter", transform="c4").apply(batch_of([text], parts=parts))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"block": "LanguageFilter"}, "downloads its model; use the rule `language`"),
        ({"block": "SamplerFilter"}, "order of documents"),
        ({"block": "GopherQalityFilter"}, "did you mean 'GopherQualityFilter'"),
        ({"block": "PIIFormatter"}, "rewrites text; name the change"),
        ({"block": "C4QualityFilter"}, "rewrites text; name the change"),
        ({"block": "RegexFilter", "args": {"regex": "x"}}, "no argument 'regex'; did you mean 'regex_exp'"),
        ({"block": "RegexFilter"}, "does not start"),
        ({"block": "BaseFilter"}, "no filter or formatter 'BaseFilter'"),
    ],
)
def test_what_cannot_be_used_is_said_before_any_work(rule, message):
    with pytest.raises(RecipeError, match=message):
        chain(**rule)
