"""The rule sets that ship: each keeps what it is for and drops what is broken; the recipe says whom they judge."""

from __future__ import annotations

import random
from typing import get_args

import pytest
from pydantic import ValidationError

from lc_data.quality.chain import FilterChain
from lc_data.recipe.filtering import FilterSection, RuleSetName
from lc_data.recipe.rule_sets import RULE_SETS, resolve_rules
from tests.quality.documents import batch_of
from tests.quality.test_windows import ocr_noise, prose

FRENCH = (
    "le vieux capitaine regardait la mer et les navires que un vent poussait vers ce port où il pensait en silence à sa"
)
CODE = '''
def read_{n}(path, limit={n}):
    """Read at most so many lines of a file."""
    with open(path) as source:
        return [line.strip() for line in source][:limit]
'''
TEX = (
    r"\begin{lemma}\label{lem:NUM} Let $f_{NUM}\colon X \to Y$ be a morphism of schemes. Then $\dim X \geq NUM$ "
    r"and the fibres of $f$ are finite.\end{lemma}" + "\n% This has to be proved with the methods of section NUM.\n"
)
LAW = (
    "- Section {n}. Whoever, being subject to this title, fails to make the return of {n} days that is required by "
    "section {m}, shall be fined under this title.\n"
)
QA = "Q: How do I open file {n} with `tool-{n}`?\n\nA: Use `tool --open {n}`. See https://example.org/docs/{n}.\n\n"
_HAN = (
    "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜金生丽水玉出昆冈剑号巨阙珠称夜光"
)


def french(lines: int) -> str:
    rng = random.Random(2)
    return "".join(" ".join(rng.choices(FRENCH.split(), k=12)) + f", {rng.randrange(9999)}.\n" for _ in range(lines))


def han(count: int) -> str:
    rng = random.Random(3)
    return "。".join("".join(rng.choices(_HAN, k=rng.randint(5, 12))) for _ in range(count)) + "。\n"


def repeated(text: str, count: int) -> str:
    """A template with other words and numbers each time, as real text of its kind has."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghilmnoprstuv", k=rng.randint(3, 9))) for _ in range(300)]
    made = []
    for number in range(count):
        line = text.replace("NUM", str(number)).replace("{n}", str(number)).replace("{m}", str(number + 3))
        made.append(line + " ".join(rng.choices(words, k=30)) + ".\n")
    return "".join(made)


KEPT = {
    "web": [prose(3000), prose(90_000)],
    "books": [prose(300_000), french(4000)],
    "code": ["".join(CODE.replace("{n}", str(n)) for n in range(20))],
    "papers": [repeated(TEX, 30), repeated(TEX, 700)],
    "law": [repeated(LAW, 20), repeated(LAW, 900)],
    "qa": [repeated(QA, 3), repeated(QA, 900)],
    "chinese": [han(40), han(9000), "床前明月光，疑是地上霜。举头望明月，低头思故乡。"],
}
BROKEN = {
    "web": ["buy now\n" * 200, ocr_noise(5000)],
    "books": ["a few words", prose(90_000) + ocr_noise(90_000) + prose(90_000, 1)],
    "code": ["var a=" + "x(1),y[2]," * 2000 + "\n", "0.1 0.22 0.333\n" * 3000],
    "papers": [ocr_noise(90_000), prose(60_000) + ocr_noise(60_000)],
    "law": [ocr_noise(90_000), prose(60_000) + ocr_noise(60_000)],
    "qa": ["Q: why?\n", prose(60_000) + ocr_noise(60_000)],
    "chinese": ["the committee met and agreed that it would be built with stone and have it open " * 9, "空\n"],
}


@pytest.mark.parametrize("name", get_args(RuleSetName))
def test_a_set_keeps_its_kind_and_drops_what_is_broken(name):
    chain = FilterChain(FilterSection.model_validate({"sets": {name: ["mine"]}}))
    texts = KEPT[name] + BROKEN[name]
    result = chain.apply(batch_of(texts, domain=["mine"] * len(texts)))
    expected = [True] * len(KEPT[name]) + [False] * len(BROKEN[name])
    assert result.kept.tolist() == expected, result.dropped
    assert all(reason.startswith(f"{name}-") for reason, _ in result.dropped.values())
    other = chain.apply(batch_of(texts, domain=["other"] * len(texts)))
    assert other.kept.all(), "a set judges only the domains that it is given"


def test_every_set_says_what_it_is_for_in_one_line():
    assert set(RULE_SETS) == set(get_args(RuleSetName))
    for purpose, rules in RULE_SETS.values():
        assert "\n" not in purpose
        assert purpose.endswith(".")
        names = [rule.name or rule.rule for rule in rules]
        assert len(set(names)) == len(names)


def test_books_lose_a_bad_tail_and_keep_the_rest():
    book = prose(300_000)
    section = FilterSection.model_validate({"sets": {"books": ["web"]}})
    result = FilterChain(section).apply(batch_of([book + ocr_noise(100_000)]))
    (rewrite,) = result.rewrites
    assert rewrite.transform == "books-gopher_quality-trim"
    assert len(result.documents.column("text")[0].as_py()) == pytest.approx(len(book), abs=33_000)


def test_rules_beside_sets_come_after_them():
    section = FilterSection.model_validate(
        {"sets": {"law": ["l"], "code": ["c", "d"]}, "rules": [{"rule": "length", "min_bytes": 1}]}
    )
    resolved = resolve_rules(section)
    assert [rule.name for rule in resolved][:3] == ["law-gopher_quality", "law-gopher_repetition", "code-length"]
    assert resolved[2].domains == ("c", "d")
    assert resolved[-1] == section.rules[0]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"sets": {"web": []}}, "names no domain"),
        ({"sets": {"prose": ["a"]}}, "Input should be 'web', 'books'"),
        (
            {"sets": {"web": ["a"]}, "rules": [{"rule": "length", "name": "web-length", "min_bytes": 1}]},
            "belongs to the set 'web'",
        ),
    ],
)
def test_sets_that_make_no_sense_are_rejected(section, message):
    with pytest.raises(ValidationError, match=message):
        FilterSection.model_validate(section)
