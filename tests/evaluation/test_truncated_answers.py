"""A prompt cut in its middle, answered by our generation and by transformers': the same tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import transformers

from lc_data.evaluation.answering import Asking, Model, answer_suite
from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.generation import GreedyGenerator, StopRules
from lc_data.evaluation.suite import Item, Source
from lc_data.evaluation.truncation import fit, room_for_prompt
from lc_data.training.load import load_model
from tests.evaluation.test_answering import Letters
from tests.evaluation.tiny_checkpoint import write_checkpoint

NEW, REACH = 12, 101
WORDS = ("the", "gate", "was", "shut", "at", "noon", "nobody", "in", "town", "knew", "why", "until", "miller", "told")


@dataclass(frozen=True)
class Stories(Letters):
    """Prompts shorter and much longer than the model's reach, each with an end and a beginning of its own."""

    tasks: tuple[str, ...] = ("stories",)

    def items(self, task, source):
        for place, length in enumerate((5, 15, 90, 400, 2000)):
            text = " ".join(WORDS[(place + 3 * n + n // 7) % len(WORDS)] for n in range(length))
            yield Item(f"{task}-{place}", text, ("x",), NEW)


@pytest.mark.parametrize("impl", ["own", "hf"])
def test_cut_prompts_are_continued_as_transformers_does(tmp_path: Path, impl: str) -> None:
    folder = write_checkpoint(tmp_path / "model")
    tokens = CheckpointTokens(folder)
    source = Source(None, tokens, max_seq_len=REACH)
    generator = GreedyGenerator(load_model(folder, impl, "float32"))
    answer_suite(Stories(), source, Model(tokens, lambda: generator), tmp_path / "out", Asking())
    rows = [json.loads(line) for line in (tmp_path / "out" / "stories.jsonl").read_text().splitlines()]

    reference = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    room = REACH - NEW
    for row, item in zip(rows, Stories().items("stories", source), strict=True):
        whole = tokens.encode_prompt(item.prompt)
        kept = whole if len(whole) <= room else whole[: room // 2] + whole[-(room // 2) :]
        ids = torch.tensor([kept])
        made = reference.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0, max_new_tokens=NEW
        )[0, len(kept) :].tolist()
        cut = fit(whole, room_for_prompt(REACH, NEW), "middle")
        assert generator.generate([cut], NEW, StopRules()) == [made]
        assert row["pred"] == tokens.decode(made)
        assert (row["prompt_tokens"], row["cut_tokens"]) == (len(kept), len(whole) - len(kept))
    assert [row["cut_tokens"] > 0 for row in rows] == [False, False, True, True, True]
    assert len({row["pred"] for row in rows}) == len(rows)


def test_the_middle_decides_nothing_and_the_ends_do(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    tokens = CheckpointTokens(folder)
    generator = GreedyGenerator(load_model(folder, "own", "float32"))

    def answer(head: str, middle: str, tail: str) -> list[int]:
        ids = tokens.encode_prompt(f"{head} {'x' * 300} {middle} {'x' * 300} {tail}")
        return generator.generate([fit(ids, REACH - NEW, "middle")], NEW, StopRules())[0]

    plain = answer("Mira", "gate", "noon")
    assert answer("Mira", "mill", "noon") == plain
    assert answer("Bert", "gate", "noon") != plain
    assert answer("Mira", "gate", "dawn") != plain
