from __future__ import annotations

import json
import re
import xml.dom.minidom
from itertools import pairwise
from pathlib import Path

import pytest

from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.needle.scoring import Grid, grid_of, single_grid
from lc_data.evaluation.needle.suite import Needle
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.score import score_folder
from lc_data.evaluation.suite import Item, ScoreOptions, Source
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.evaluation import NeedleSection
from tests.evaluation.tiny_checkpoint import write_tokenizer

ENGLISH = tuple(f"Chapter {n}. The weather was fine on day {n} and nobody said much about it. " * 8 for n in range(6))
CHINESE = tuple(f"第{n}章。那天天气很好，大家都没有多说什么。" * 12 for n in range(6))
SECTION = NeedleSection(lengths=(1400, 2100), depths=(0, 50, 100), repeats=2, needles=(2, 3), links=(2, 8, 512))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizer(folder)
    return Source(
        None, CheckpointTokens(folder), 2100, seed=5, haystacks={"en": ENGLISH, "zh": CHINESE}, needle=SECTION
    )


def items(source: Source, task: str) -> list[Item]:
    return list(Needle().items(task, source))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ["single", "parallel", "reasoning_2", "reasoning_3"])
def test_every_prompt_has_exactly_its_tokens(source: Source, kind: str, language: str) -> None:
    for item in items(source, f"needle_{kind}_{language}"):
        assert source.length_of(item.prompt) + item.max_new_tokens == item.facts["length_tokens"]


def test_needles_stand_once_at_their_depth(source: Source) -> None:
    found = items(source, "needle_single_en")
    assert len({item.id for item in found}) == len(found) == 2 * 2 * 3
    for item in found:
        assert item.prompt.count(item.facts["needle"]) == 1
        assert item.prompt.count(item.answers[0]) == 1
        start = item.prompt.index("Chapter") if item.facts["depth"] else item.prompt.index(item.facts["needle"])
        end = item.prompt.index("\n\nQuestion:")
        before = source.tokens.encode(item.prompt[start : item.prompt.index(item.facts["needle"])])
        whole = source.tokens.encode(item.prompt[start:end])
        share = len(before) / (len(whole) - len(source.tokens.encode(item.facts["needle"])))
        assert share == pytest.approx(item.facts["depth"] / 100, abs=0.02)
        assert item.prompt.endswith(item.facts["needle"][: -len(item.answers[0]) - 2])  # the lead-in


def test_parallel_needles_are_all_there_in_order(source: Source) -> None:
    for item in items(source, "needle_parallel_zh"):
        places = [item.prompt.index(f"放在{answer}下面") for answer in item.answers]
        assert places == sorted(places)
        assert item.facts["depths"] == [0, 50, 100]
        start, end = item.prompt.index("第"), item.prompt.rindex("。")
        assert (places[1] - start) / (end - start) == pytest.approx(0.5, abs=0.15)
        assert places[2] - places[1] > 0.2 * len(item.prompt)


def test_several_needles_lead_to_the_answer(source: Source) -> None:
    for item in items(source, "needle_reasoning_3_en"):
        handed = re.findall(r"Then (.+) handed the .+ on to (.+)\.", item.prompt)
        assert len(handed) == 3
        holder = re.search(r"was with (.+) first", item.prompt)[1]  # type: ignore[index]
        for giver, taker in handed:
            assert giver == holder
            holder = taker
        if item.facts["depth"] == 0:
            places = [found.start() for found in re.finditer(r"Then .+ handed", item.prompt)]
            assert min(later - before for before, later in pairwise(places)) > 0.05 * len(item.prompt)
        assert (holder,) == item.answers


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_ancestor_can_be_found_and_long_chains_are_left_out(source: Source, language: str) -> None:
    found = items(source, f"needle_ancestry_{language}")
    assert [item.facts["links"] for item in found] == [2, 8, 2, 8]
    for item in found:
        assert source.length_of(item.prompt) + item.max_new_tokens <= 2100
        assert item.answers[0] in item.prompt


def test_the_same_seed_gives_the_same_items(source: Source) -> None:
    first, again = items(source, "needle_single_zh"), items(source, "needle_single_zh")
    assert first == again
    assert [item.prompt for item in first] == [item.prompt for item in again]
    other = Source(None, source.tokens, 2100, seed=6, haystacks=source.haystacks, needle=SECTION)
    assert items(source, "needle_single_zh") != items(other, "needle_single_zh")


def test_a_chat_format_counts(source: Source) -> None:
    chat = Source(
        None, source.tokens, 2100, seed=5, haystacks=source.haystacks, needle=SECTION, chat_format="<u>{prompt}</u>"
    )
    item = items(chat, "needle_single_en")[0]
    ids = source.tokens.encode_prompt(chat.in_chat(item.prompt))
    assert len(ids) + item.max_new_tokens == item.facts["length_tokens"]


def test_tasks_follow_texts_and_kinds(source: Source) -> None:
    suite, tokens = Needle(), source.tokens
    assert suite.present(source)[:3] == ("needle_single_en", "needle_single_zh", "needle_parallel_en")
    english = Source(None, tokens, 2100, haystacks={"en": ENGLISH}, needle=SECTION)
    assert "needle_single_zh" not in suite.present(english)
    with pytest.raises(RecipeError, match="--haystack"):
        suite.present(Source(None, tokens, 2100, needle=SECTION))
    only = Source(None, tokens, 2100, needle=NeedleSection(kinds=("ancestry",)))
    assert suite.present(only) == ("needle_ancestry_en", "needle_ancestry_zh")
    with pytest.raises(RecipeError, match="asks for 2100 tokens, and max_seq_len is 1000"):
        suite.present(Source(None, tokens, 1000, haystacks={"en": ENGLISH}, needle=SECTION))
    short = Source(None, tokens, 100, haystacks={"en": ENGLISH}, needle=NeedleSection(lengths=(100,)))
    with pytest.raises(Failure, match="ask for greater lengths"):
        _ = next(suite.items("needle_single_en", short)).prompt


def test_the_default_lengths() -> None:
    from lc_data.evaluation.needle.grid import grid_lengths

    def lengths(reach: int) -> tuple[int, ...]:
        return grid_lengths(Source(None, None, reach))  # type: ignore[arg-type]

    assert lengths(32_768) == (9_000, 13_000, 17_000, 21_000, 25_000, 29_000, 31_000, 32_000)
    assert lengths(4096) == (512, 1024, 1536, 2048, 2560, 3072, 3584, 4096)


def test_scores_by_cell_column_and_whole(tmp_path: Path) -> None:
    def row(number: int, length: int, depth: float, pred: str) -> Prediction:
        facts = {"length_tokens": length, "depth": depth, "needle": "abcd"}
        return Prediction(str(number), pred, ("cd",), facts=facts)

    rows = [row(0, 10, 0, "cd"), row(1, 10, 0, "x"), row(2, 10, 50, "cd"), row(3, 20, 0, "abxd"), row(4, 20, 50, "")]
    first, second = single_grid(rows, 1), single_grid(rows, 2)
    assert second == Grid((10, 20), (0, 50), ((50.0, 0.0), (100.0, 0.0)))
    assert first.cells[0][1] == pytest.approx(20 * 0.75)
    assert first.columns == pytest.approx([75.0, 7.5])
    assert first.score == pytest.approx((75 + 7.5) / 2)
    (tmp_path / "needle_single_en.jsonl").write_bytes(b"".join(r.as_line() for r in rows))
    chain = [Prediction(str(n), r"\boxed{" + name + "}", ("Mira",), facts={"links": 2}) for n, name in enumerate("ab")]
    chain.append(Prediction("2", r"so \boxed{Mira}", ("Mira",), facts={"links": 4}))
    (tmp_path / "needle_ancestry_en.jsonl").write_bytes(b"".join(r.as_line() for r in chain))
    several = [Prediction("0", "mira", ("Mira Holt",), facts={"length_tokens": 10, "depth": 0})]
    (tmp_path / "needle_reasoning_2_en.jsonl").write_bytes(several[0].as_line())
    parallel = Prediction("0", "a c", ("a", "b", "c"), facts={"length_tokens": 10, "depths": [0, 50, 100]})
    (tmp_path / "needle_parallel_en.jsonl").write_bytes(parallel.as_line())
    (score,) = score_folder(tmp_path, ScoreOptions()).suites
    assert score.groups == pytest.approx({"single": 41.25, "parallel": 200 / 3, "reasoning": 50.0, "ancestry": 50.0})
    assert score.averages["overall, v1"] == pytest.approx(0.4 * 41.25 + 0.3 * 200 / 3 + 0.3 * 50)
    assert score.averages["single, v2"] == pytest.approx((75 + 0) / 2)
    assert score.details["needle_ancestry_en"] == {
        "links": {2: 0.0, 4: 100.0},
        "weighted": pytest.approx(400 / 6),
    }
    assert score.averages["ancestry, by links"] == pytest.approx(400 / 6)
    assert "needle_single_zh" in score.missing
    picture = (tmp_path / "needle_single_en.svg").read_text()
    assert "41.25" in picture
    xml.dom.minidom.parseString(picture)
    json.loads((tmp_path / "result.json").read_text())


def test_the_published_columns_average_to_the_published_whole() -> None:
    """The report's 91.08 is the mean of the 32K column, and the columns give 97.01."""
    columns = (98.69, 97.87, 97.43, 99.58, 97.46, 96.59, 97.40, 91.08)
    grid = grid_of([(length, 0.0, value / 100) for length, value in enumerate(columns)])
    assert round(grid.score, 2) == 97.01


def test_facts_that_are_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "needle_single_en.jsonl").write_bytes(Prediction("7", "x", ("y",)).as_line())
    with pytest.raises(Failure, match="prediction 7 lacks"):
        score_folder(tmp_path, ScoreOptions())
