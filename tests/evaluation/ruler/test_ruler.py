from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.ruler.suite import Ruler, ruler_lengths
from lc_data.evaluation.ruler.tasks import BY_NAME, NAMES
from lc_data.evaluation.score import score_folder
from lc_data.evaluation.suite import Item, ScoreOptions, Source
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.evaluation import RulerSection
from tests.evaluation.tiny_checkpoint import write_tokenizer

TEXTS = tuple(f"Chapter {n}. The weather was fine on day {n} and nobody said much about it. " * 8 for n in range(6))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizer(folder)
    section = RulerSection(lengths=(5500, 6001), samples=1)
    return Source(None, CheckpointTokens(folder), 8000, seed=1, haystacks={"en": TEXTS}, ruler=section)


@pytest.fixture(scope="module")
def made(source: Source) -> dict[str, list[Item]]:
    return {task: list(Ruler().items(task, source)) for task in NAMES}


@pytest.mark.parametrize("task", NAMES)
def test_every_prompt_has_exactly_its_tokens(made: dict[str, list[Item]], source: Source, task: str) -> None:
    assert [item.id for item in made[task]] == ["0-5500", "0-6001"]
    for item in made[task]:
        assert source.length_of(item.prompt) + item.max_new_tokens == item.facts["length_tokens"]


@pytest.mark.parametrize("task", BY_NAME)
def test_what_is_asked_for_is_hidden(made: dict[str, list[Item]], task: str) -> None:
    rules = BY_NAME[task]
    for item in made[task]:
        told = re.findall(r"secret \w+ of (\S+) is (\S+)\.", item.prompt)
        asked = set(re.search(r"\nWhat .* of (.*)\?\n", item.prompt)[1].split(", "))  # type: ignore[index]
        assert len(asked) == rules.asked
        assert sorted(value for key, value in told if key in asked) == sorted(item.answers)
        assert len(item.answers) == rules.asked * rules.values
        others = {key for key, _ in told} - asked
        assert len(others) > 5 if rules.hay == "needles" else len(others) == rules.keys - rules.asked


def test_variables_lead_back_to_the_value(made: dict[str, list[Item]]) -> None:
    for item in made["vt"]:
        lines = re.findall(r"VAR (\w+) = (?:VAR )?(\w+)", item.prompt)
        held: dict[str, str] = {}
        for name, value in lines:
            held[name] = held.get(value, value)
        wanted = re.search(r"Which variables hold (\d+) in the end", item.prompt)[1]  # type: ignore[index]
        assert {name for name, value in held.items() if value == wanted} == set(item.answers)
        assert len(item.answers) == 5


def test_common_words_are_the_most_frequent(made: dict[str, list[Item]]) -> None:
    for item in made["cwe"]:
        counts = Counter(re.findall(r"\d+\. (\w+)", item.prompt))
        assert {word for word, _ in counts.most_common(10)} == set(item.answers)


def test_frequent_words_are_those_after_the_dots(made: dict[str, list[Item]]) -> None:
    for item in made["fwe"]:
        text = item.prompt.split("\n\n")[1]
        counts = Counter(word for word in text.split() if word.isalpha())
        first = counts.most_common(4)
        assert tuple(word for word, _ in first[:3]) == item.answers
        assert first[2][1] > first[3][1]
        assert text.split().count("...") > first[0][1]


@pytest.mark.parametrize("task", [*BY_NAME, "vt"])
def test_answers_stand_anywhere_in_the_text(source: Source, task: str) -> None:
    many = replace(source, ruler=RulerSection(lengths=(1600,), samples=14))
    places = []
    for item in Ruler().items(task, many):
        text = item.prompt.split("\n\n", maxsplit=1)[1].rsplit("\n\n", maxsplit=1)[0]
        places.append(text.index(item.answers[len(item.answers) // 2]) / len(text))
    assert min(places) < 0.4
    assert max(places) > 0.55
    assert 0.2 < sum(places) / len(places) < 0.8


@pytest.mark.parametrize("task", ["cwe", "fwe"])
def test_words_to_count_are_mixed(made: dict[str, list[Item]], task: str) -> None:
    for item in made[task]:
        words = re.findall(r"[a-z]+", item.prompt.split("\n\n")[1])
        first = sum(word in item.answers for word in words[: len(words) // 2])
        assert 0.35 < first / sum(word in item.answers for word in words) < 0.65


def test_items_are_the_same_for_a_seed(made: dict[str, list[Item]], source: Source) -> None:
    again = list(Ruler().items("niah_multikey_2", source))
    assert again == made["niah_multikey_2"]
    assert [item.prompt for item in again] == [item.prompt for item in made["niah_multikey_2"]]
    assert list(Ruler().items("cwe", replace(source, seed=2))) != made["cwe"]
    assert list(Ruler().items("cwe", replace(source, limit=1))) == made["cwe"][:1]


def test_lengths_and_texts_decide_what_there_is(source: Source) -> None:
    assert ruler_lengths(replace(source, max_seq_len=33_000, ruler=RulerSection())) == (4096, 8192, 16384, 32768)
    assert ruler_lengths(replace(source, max_seq_len=700, ruler=RulerSection())) == (700,)
    with pytest.raises(RecipeError, match="asks for 6001 tokens, and max_seq_len is 2048"):
        Ruler().present(replace(source, max_seq_len=2048))
    some = RulerSection(tasks=("vt", "niah_single_2"), lengths=(5500,))
    assert Ruler().present(replace(source, ruler=some)) == ("niah_single_2", "vt")
    with pytest.raises(RecipeError, match="no task 'vtt'"):
        Ruler().present(replace(source, ruler=RulerSection(tasks=("vtt",))))
    with pytest.raises(RecipeError, match="--haystack"):
        Ruler().present(replace(source, haystacks={}, ruler=RulerSection(tasks=("niah_single_2",))))
    without = Ruler().present(replace(source, haystacks={}))
    assert without == ("niah_single_1", "niah_multikey_2", "niah_multikey_3", "vt", "cwe", "fwe")


def test_scores_by_length(tmp_path: Path) -> None:
    def row(number: int, length: int, pred: str) -> bytes:
        return Prediction(str(number), pred, ("AB", "CD"), facts={"length_tokens": length}).as_line()

    (tmp_path / "vt.jsonl").write_bytes(row(0, 4096, "ab cd") + row(1, 4096, "ab") + row(2, 8192, ""))
    (score,) = score_folder(tmp_path, ScoreOptions()).suites
    assert score.tasks == {"vt": 37.5}
    assert score.details == {"vt": {"lengths": {4096: 75.0, 8192: 0.0}}}
    assert len(score.missing) == 10
    assert score.averages == {"tasks": 37.5}
    (zero,) = score_folder(tmp_path, ScoreOptions(missing_as_zero=True)).suites
    assert zero.averages["tasks"] == pytest.approx(37.5 / 11)
    (tmp_path / "vt.jsonl").write_bytes(Prediction("0", "x", ("y",)).as_line())
    with pytest.raises(Failure, match="lacks 'length_tokens'"):
        score_folder(tmp_path, ScoreOptions())
