"""What has no room is said before anything is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.evaluate_suites import check_suites, evaluate_suites
from lc_data.evaluation.leval.suite import LEval
from lc_data.evaluation.needle.suite import Needle
from lc_data.evaluation.room import check_room
from lc_data.evaluation.ruler.suite import Ruler
from lc_data.evaluation.suite import Source
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.evaluation import NeedleSection, RulerSection, SuitesSection
from tests.evaluation.test_suites import LEVAL_ROW, LONGBENCH_ROW, write_rows
from tests.evaluation.tiny_checkpoint import write_checkpoint, write_tokenizer

HAY = "The weather was fine and nobody said much about it. " * 40


def source(tmp_path: Path, length: int) -> Source:
    write_tokenizer(tmp_path / "model")
    needle = NeedleSection(lengths=(length,), depths=(0, 100), repeats=1, needles=(2,), links=(2,))
    ruler = RulerSection(lengths=(length,), samples=2)
    tokens = CheckpointTokens(tmp_path / "model")
    return Source(None, tokens, max(length, 1200), haystacks={"en": (HAY,)}, needle=needle, ruler=ruler)


@pytest.mark.parametrize("suite", [Needle(), Ruler()], ids=lambda suite: suite.name)
@pytest.mark.parametrize("length", [512, 700, 900, 1200, 2400])
def test_what_passes_can_be_made_and_what_is_named_cannot(tmp_path: Path, suite: Needle | Ruler, length: int) -> None:
    where = source(tmp_path, length)
    named = ""
    try:
        check_room([suite], where)
    except RecipeError as error:
        named = str(error)
    for task in suite.present(where):
        items = list(suite.items(task, where))
        if f"\n  {task} needs" in named:
            with pytest.raises(Failure):
                _ = [item.prompt for item in items]
        else:
            for item in items:
                assert where.length_of(item.prompt) + item.max_new_tokens <= item.facts.get("length_tokens", length * 3)


def test_the_tokens_that_are_needed_are_enough(tmp_path: Path) -> None:
    short = source(tmp_path, 512)
    only = replace(short, ruler=RulerSection(tasks=("fwe",), lengths=(512,), samples=1))
    with pytest.raises(RecipeError, match=r"fwe needs [\d,]+ tokens for its prompt and answer, and has 512") as told:
        check_room([Ruler()], replace(only, chat_format="much ado " * 60 + "{prompt}"))
    needed = int(str(told.value).split("fwe needs ")[1].split()[0].replace(",", ""))
    enough = replace(
        only, max_seq_len=needed, ruler=RulerSection(tasks=("fwe",), lengths=(needed,), samples=1),
        chat_format="much ado " * 60 + "{prompt}",
    )  # fmt: skip
    check_room([Ruler()], enough)


def test_an_answer_from_a_file_needs_room_too(tmp_path: Path) -> None:
    write_rows(tmp_path / "data" / "tpo.jsonl", LEVAL_ROW)
    write_rows(tmp_path / "data" / "news_summ.jsonl", LEVAL_ROW)
    where = replace(source(tmp_path, 512), data=tmp_path / "data", max_seq_len=514)
    check_room([LEval()], where)
    with pytest.raises(RecipeError, match="news_summ needs 514 tokens for its prompt and answer, and has 513"):
        check_room([LEval()], replace(where, max_seq_len=513))


def test_nothing_is_asked_where_one_task_has_no_room(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", 1100)
    (tmp_path / "hay.txt").write_text(HAY)
    section = SuitesSection(
        names=("needle", "ruler"),
        haystacks=(str(tmp_path / "hay.txt"),),
        needle=NeedleSection(lengths=(600,), kinds=("single",), repeats=1, depths=(0,)),
        ruler=RulerSection(lengths=(512, 1100), samples=1, tasks=("vt", "cwe")),
    )
    with pytest.raises(RecipeError, match="cwe needs") as told:
        evaluate_suites(tmp_path / "model", section, str(tmp_path / "out"))
    assert "needle" not in str(told.value).split("\n  ", maxsplit=1)[1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("needel",)}, "did you mean 'needle'"),
        ({"names": ("longbench",)}, "--data DIR"),
        ({"names": ("longbench",), "data": "none"}, "not a folder"),
        ({"names": ("needle",), "haystacks": ("none.txt",)}, "none.txt"),
        ({"names": ("needle",), "rope": "dynamic"}, "dynamic:8"),
        ({"names": ("ruler",), "ruler": {"tasks": ["vtt"]}}, "no task 'vtt'"),
        ({"names": ("needle",), "max_seq_len": 512, "needle": {"lengths": [600]}}, "asks for 600 tokens"),
    ],
)
def test_a_section_is_checked_without_a_model(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_suites(SuitesSection.model_validate(changes))


def test_a_section_that_is_right_passes_without_a_model(tmp_path: Path) -> None:
    write_rows(tmp_path / "hotpotqa.jsonl", LONGBENCH_ROW)
    check_suites(SuitesSection(names=("needle", "ruler", "longbench"), data=str(tmp_path)))
