from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.haystack import Haystack, build_haystack, fill, language_of, read_texts
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from tests.evaluation.tiny_checkpoint import write_tokenizer

TEXTS = ("The first text is about rivers.", "第二篇文字讲山。", "A third — with “quotes” and 汉字 mixed in.")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> CheckpointTokens:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizer(folder)
    return CheckpointTokens(folder)


def test_texts_come_in_a_seeded_order_as_often_as_is_needed(tokens: CheckpointTokens) -> None:
    haystack = build_haystack(TEXTS, tokens, 500, 3)
    assert haystack == build_haystack(TEXTS, tokens, 500, 3)
    assert len(haystack.starts) >= 500
    orders = {build_haystack(TEXTS, tokens, 10, seed).text[:8] for seed in range(20)}
    assert len(orders) == 3
    with pytest.raises(Failure, match="are empty"):
        build_haystack(("",), CheckpointTokensOfNothing(), 5, 0)  # type: ignore[arg-type]


class CheckpointTokensOfNothing:
    def starts(self, text: str) -> list[int]:
        return []


@given(st.integers(0, 200), st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_needles_stand_at_their_depths_and_the_text_stays(size: int, depths: list[float]) -> None:
    text = "".join(chr(0x4E00 + n) for n in range(200))
    haystack = Haystack(text, tuple(range(200)))
    needles = [f"<{n}>" for n in range(len(depths))]
    hidden = haystack.hide(size, needles, depths)
    bare = hidden
    for needle in needles:
        assert hidden.count(f"\n{needle}\n") == 1
        bare = bare.replace(f"\n{needle}\n", "")
    assert bare == text[:size]
    for needle, depth in zip(needles, depths, strict=True):
        before = hidden[: hidden.index(needle)]
        assert sum(letter >= "\u4e00" for letter in before) == int(size * depth / 100)


def test_cuts_never_split_a_character(tokens: CheckpointTokens) -> None:
    haystack = build_haystack(TEXTS, tokens, 60, 0)
    for size in range(60):
        cut = haystack.cut(size)
        assert haystack.text.startswith(cut)
        assert "�" not in cut


@given(st.integers(1, 9), st.integers(0, 30), st.integers(0, 400), st.integers(0, 90))
def test_a_text_has_its_tokens(step: int, overhead: int, budget: int, guess: int) -> None:
    """Sizes that add several tokens each are padded to the exact number."""

    def build(size: int, padding: str) -> str:
        return "x" * (overhead + step * size) + padding

    def length_of(text: str) -> int:
        return text.count("x") + text.count(" .")

    if budget < overhead:
        with pytest.raises(Failure, match=f"more than the {budget} tokens"):
            fill(build, length_of, budget, guess)
    else:
        assert length_of(fill(build, length_of, budget, guess)) == budget


def test_a_text_that_jumps_stays_below() -> None:
    def build(size: int, padding: str) -> str:
        return "x" * (7 * size)

    assert len(fill(build, len, 50, 3)) == 49


def test_texts_are_read_from_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("one")
    (tmp_path / "a" / "two.md").write_text("two")
    (tmp_path / "a" / "data.bin").write_bytes(b"\xff")
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "三"}, ensure_ascii=False) + "\n\n" + '{"text": " "}\n')
    assert read_texts([tmp_path / "a", tmp_path / "rows.jsonl"]) == ["one", "two", "三"]
    with pytest.raises(RecipeError, match="is no text"):
        read_texts([tmp_path / "none.txt"])
    (tmp_path / "rows.jsonl").write_text('{"body": 1}\n')
    with pytest.raises(RecipeError, match=r"rows.jsonl:1: .*key text"):
        read_texts([tmp_path / "rows.jsonl"])


def test_the_language_is_that_of_most_characters() -> None:
    assert language_of("一二三 and") == "zh"
    assert language_of("a text with 一 word of it") == "en"
