"""Putting a suite's items to a model, and keeping what it says.

Answers are appended as they come, a block at a time, so a run that was stopped goes on where it was: an item whose id
is in the file is not asked again. What decides the answers (the weights, the lengths, the wording) is kept beside
them, and a file of other answers is never added to.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import fingerprint
from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.generation import Generator, StopRules
from lc_data.evaluation.prediction import Prediction, read_predictions
from lc_data.evaluation.suite import Item, Source, Suite
from lc_data.evaluation.truncation import Truncation, fit, room_for_prompt
from lc_data.failure import Failure
from lc_data.progress import Progress
from lc_data.recipe.errors import RecipeError


@dataclass(frozen=True)
class Asking:
    """How items become prompts."""

    truncation: Truncation = "middle"
    block: int = 16
    """Items that are asked together, and lost where a run is stopped."""


@dataclass(frozen=True)
class Model:
    """A checkpoint to be asked; it is opened at the first question."""

    tokens: CheckpointTokens
    open: Callable[[], Generator]


def answer_suite(suite: Suite, source: Source, model: Model, folder: Path, asking: Asking) -> int:
    """Answer what is not answered yet of every task present, to ``folder/<task>.jsonl``; the number of new answers.

    Raises:
        Failure: for a prompt that does not fit and may not be cut.

    """
    generator: Generator | None = None
    asked = 0
    for task in suite.present(source):
        path = folder / f"{task}.jsonl"
        done = _finished(path)
        items = [item for item in suite.items(task, source) if item.id not in done]
        if not items:
            continue
        generator = generator or model.open()
        folder.mkdir(parents=True, exist_ok=True)
        with Progress(f"{suite.name} {task}", len(items), "items") as progress, path.open("ab") as file:
            for block in _blocks(items, asking.block):
                for prediction in _answers(block, generator, model.tokens, source, asking.truncation):
                    file.write(prediction.as_line())
                file.flush()
                progress.advance(len(block))
        asked += len(items)
    return asked


def keep_settings(path: Path, settings: dict[str, Any], put_aside: bool = False) -> None:
    """Write what decides the answers, or compare it with what is there, see :func:`has_settings`."""
    if not has_settings(path, settings, put_aside):
        storage.write_atomic(str(path), json.dumps(settings, indent=1, ensure_ascii=False).encode() + b"\n")


def has_settings(path: Path, settings: dict[str, Any], put_aside: bool = False) -> bool:
    """Whether answers are there that these settings decided, and none that others did.

    Args:
        path: the file of the settings, in the folder of the answers.
        settings: what decides them.
        put_aside: move answers that were made otherwise to ``<folder>.<fingerprint of their settings>``, where nothing
            scores them, instead of refusing.

    Raises:
        RecipeError: where answers were made otherwise, naming what differs.

    """
    if not path.is_file():
        return False
    before = json.loads(path.read_text(encoding="utf-8"))
    keys = dict.fromkeys([*before, *settings])
    differing = [key for key in keys if before.get(key) != settings.get(key)]
    if not differing:
        return True
    if not put_aside:
        told = ", ".join(f"{key} {before.get(key)!r} (now {settings.get(key)!r})" for key in differing)
        raise RecipeError(f"{path.parent} holds answers made with {told}: choose another --out, or remove it")
    aside = path.parent.with_name(f"{path.parent.name}.{fingerprint(before)[:12]}")
    if aside.exists():
        shutil.rmtree(aside)  # answers to the same settings of an even earlier time
    path.parent.rename(aside)
    return False


def _finished(path: Path) -> set[str]:
    """Ids of the answers in a file, after a line that a stopped run left unfinished is taken off its end."""
    if not path.is_file():
        return set()
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        storage.write_atomic(str(path), whole)
    return {prediction.id for prediction in read_predictions(path)}


def _blocks(items: list[Item], size: int) -> Iterator[list[Item]]:
    """Consecutive items that one call of the generator can answer: all with the same end."""
    block: list[Item] = []
    for item in items:
        if block and (len(block) == size or _end(item) != _end(block[0])):
            yield block
            block = []
        block.append(item)
    yield block


def _end(item: Item) -> tuple[int, tuple[str, ...]]:
    return item.max_new_tokens, item.stop


def _answers(
    items: list[Item], generator: Generator, tokens: CheckpointTokens, source: Source, truncation: Truncation
) -> Iterable[Prediction]:
    max_new_tokens, strings = _end(items[0])
    room = room_for_prompt(source.max_seq_len, max_new_tokens)
    stop = StopRules(tokens.end_ids, strings, tokens.decode if strings else None)
    whole = [tokens.encode_prompt(source.in_chat(item.prompt, item.chat)) for item in items]
    if empty := [item.id for item, ids in zip(items, whole, strict=True) if not ids]:
        raise Failure(f"the prompt of {empty[0]} is empty")
    prompts = [fit(ids, room, truncation) for ids in whole]
    made = generator.generate(prompts, max_new_tokens, stop)
    for item, ids, prompt, answer in zip(items, whole, prompts, made, strict=True):
        facts = {**item.facts, "prompt_tokens": len(prompt), "cut_tokens": len(ids) - len(prompt)}
        text = stop.cut(tokens.decode(answer))
        yield Prediction(item.id, text, item.answers, item.labels, item.length, facts)
