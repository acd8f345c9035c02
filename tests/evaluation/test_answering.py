from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lc_data.evaluation.answering import Asking, Model, answer_suite, keep_settings
from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.generation import StopRules
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.suite import Item, ScoreOptions, Source, SuiteScore
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError
from tests.evaluation.tiny_checkpoint import END, write_tokenizer


@dataclass(frozen=True)
class Letters:
    """A suite whose items are letters."""

    name: str = "letters"
    tasks: tuple[str, ...] = ("small", "large")
    count: int = 7

    def present(self, source: Source) -> tuple[str, ...]:
        return self.tasks

    def identity(self, source: Source) -> dict[str, Any]:
        return {}

    def items(self, task: str, source: Source) -> Iterator[Item]:
        for place in range(self.count):
            letter = chr(ord("a" if task == "small" else "A") + place)
            yield Item(
                f"{task}-{place}", letter * 40, (letter,), 4 + place % 2, ("|",), facts={"place": place}, chat=place > 0
            )

    def score(self, predictions: Mapping[str, Sequence[Prediction]], options: ScoreOptions) -> SuiteScore:
        raise NotImplementedError


class Repeater:
    """Answers with the prompt's last token, a bar and more; stops working after so many calls."""

    def __init__(self, bar: int, calls: int = 1000) -> None:
        self.bar, self.calls = bar, calls
        self.prompts: list[list[int]] = []

    def generate(self, prompts: Sequence[Sequence[int]], max_new_tokens: int, stop: StopRules) -> list[list[int]]:
        if self.calls == 0:
            raise RuntimeError("the machine is gone")
        self.calls -= 1
        self.prompts += [list(prompt) for prompt in prompts]
        return [[prompt[-1], self.bar, self.bar][:max_new_tokens] for prompt in prompts]


@pytest.fixture
def tokens(tmp_path: Path) -> CheckpointTokens:
    write_tokenizer(tmp_path / "model")
    return CheckpointTokens(tmp_path / "model", eos=END)


def source(tokens: CheckpointTokens) -> Source:
    return Source(None, tokens, max_seq_len=20)


def test_answers_are_cut_at_the_stop_and_keep_what_scoring_needs(tmp_path: Path, tokens: CheckpointTokens) -> None:
    repeater = Repeater(tokens.encode("|")[0])
    asked = answer_suite(Letters(), source(tokens), Model(tokens, lambda: repeater), tmp_path / "out", Asking())
    assert asked == 14
    rows = [json.loads(line) for line in (tmp_path / "out" / "small.jsonl").read_text().splitlines()]
    assert rows[0] == {
        "_id": "small-0", "pred": "a", "answers": ["a"], "all_classes": None, "length": None,
        "place": 0, "prompt_tokens": 16, "cut_tokens": 24,
    }  # fmt: skip
    assert [row["_id"] for row in rows] == [f"small-{place}" for place in range(7)]
    # An odd room of 15 keeps 7 + 7.
    assert [len(prompt) for prompt in repeater.prompts[:2]] == [16, 14]


def test_the_chat_format_goes_around_prompts_before_they_are_cut(tmp_path: Path, tokens: CheckpointTokens) -> None:
    repeater = Repeater(tokens.encode("|")[0])
    where = replace(source(tokens), chat_format="<u>{prompt}</u>")
    answer_suite(Letters(count=2), where, Model(tokens, lambda: repeater), tmp_path / "out", Asking())
    plain, chat = (tokens.decode(prompt) for prompt in repeater.prompts[:2])
    assert plain == "a" * 16
    assert chat.startswith("<u>b")
    assert chat.endswith("b</u>")


@pytest.mark.parametrize("calls", [0, 1, 2, 5])
def test_a_stopped_run_goes_on_and_ends_alike(tmp_path: Path, tokens: CheckpointTokens, calls: int) -> None:
    bar = tokens.encode("|")[0]
    whole = Repeater(bar)
    answer_suite(Letters(), source(tokens), Model(tokens, lambda: whole), tmp_path / "whole", Asking(block=2))

    stopped = tmp_path / "stopped"
    first = Repeater(bar, calls)
    with pytest.raises(RuntimeError):
        answer_suite(Letters(), source(tokens), Model(tokens, lambda: first), stopped, Asking(block=2))
    for path in stopped.glob("*.jsonl"):  # and it was killed while it wrote a line
        path.write_bytes(path.read_bytes() + b'{"_id": "small-')
    second = Repeater(bar)
    asked = answer_suite(Letters(), source(tokens), Model(tokens, lambda: second), stopped, Asking(block=2))
    assert asked == 14 - len(first.prompts)
    for task in Letters().tasks:
        assert (stopped / f"{task}.jsonl").read_bytes() == (tmp_path / "whole" / f"{task}.jsonl").read_bytes()

    def never() -> Repeater:
        raise AssertionError("nothing is left to ask")

    assert answer_suite(Letters(), source(tokens), Model(tokens, never), stopped, Asking()) == 0


def test_prompts_may_not_be_cut(tmp_path: Path, tokens: CheckpointTokens) -> None:
    with pytest.raises(Failure, match="40 tokens does not fit into 16"):
        answer_suite(Letters(), source(tokens), Model(tokens, lambda: Repeater(0)), tmp_path, Asking("none"))


def test_settings_are_kept_and_compared(tmp_path: Path) -> None:
    path = tmp_path / "longbench" / "settings.json"
    keep_settings(path, {"rope": "none", "max_seq_len": 64})
    keep_settings(path, {"rope": "none", "max_seq_len": 64})
    with pytest.raises(RecipeError, match=r"rope 'none' \(now 'dynamic:8'\)"):
        keep_settings(path, {"rope": "dynamic:8", "max_seq_len": 64})


def test_the_ends_of_an_answer(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    end = write_tokenizer(folder).token_to_id(END)
    assert CheckpointTokens(folder).end_ids == frozenset()
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": END}}))
    assert CheckpointTokens(folder).end_ids == {end}
    (folder / "config.json").write_text(json.dumps({"eos_token_id": 7}))
    assert CheckpointTokens(folder).end_ids == {7}
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [8, 9]}))
    assert CheckpointTokens(folder).end_ids == {8, 9}
    assert CheckpointTokens(folder, bos=END).encode_prompt("ab")[0] == end
    with pytest.raises(RecipeError, match="no token '<s>'"):
        CheckpointTokens(folder, bos="<s>")
    with pytest.raises(RecipeError, match=r"tokenizer.json does not exist"):
        CheckpointTokens(tmp_path)
