"""Keys with values in a haystack: the eight tasks of one family."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from lc_data.evaluation.haystack import Haystack
from lc_data.evaluation.ruler.tasks import RetrievalTask
from lc_data.evaluation.ruler.words import draw_identifiers, draw_numbers, draw_words
from lc_data.evaluation.suite import Tokens

NOISE = (
    "Rain fell on the roofs all day. The mill wheel turned and turned. A cart went by, then another. Someone shut a "
    "window. The river kept its pace. "
)
_DRAW = {"number": draw_numbers, "identifier": draw_identifiers}


@dataclass(frozen=True)
class Riddle:
    """A prompt that grows with a size, and what its answer holds."""

    build: Callable[[int, str], str]
    """From a size and some padding to the prompt."""
    answers: tuple[str, ...]
    grain: float
    """Tokens that one more of the size adds, about."""


def hide_values(task: RetrievalTask, haystack: Haystack | None, source: random.Random) -> Riddle:
    """One item of a task: ``haystack`` for those that hide in the user's text."""
    keys = _keys(task, task.keys, source)
    asked = keys[: task.asked]
    values = {key: _DRAW[task.value](task.values if key in asked else 1, source) for key in keys}
    needles = [_sentence(task, key, value) for key in keys for value in values[key]]
    source.shuffle(needles)
    depths = sorted(source.uniform(0, 100) for _ in needles)
    source.shuffle(asked)
    ask = _question(task, asked)
    answers = tuple(value for key in asked for value in values[key])
    if task.hay == "text":
        if haystack is None:
            raise ValueError(f"{task.name} hides in a text, and none was given")
        return Riddle(lambda size, padding: ask(haystack.hide(size, needles, depths) + padding), answers, 1.0)
    seed = source.getrandbits(62)
    if task.hay == "noise":
        return Riddle(lambda size, padding: ask(_among([NOISE] * size, needles, depths) + padding), answers, 35.0)

    def among_others(size: int, padding: str) -> str:
        draw = random.Random(seed)
        others = [key for key in _keys(task, size + len(keys), draw) if key not in keys][:size]
        hay = [_sentence(task, key, value) for key, value in zip(others, _DRAW[task.value](size, draw), strict=True)]
        return ask(_among(hay, needles, depths) + padding)

    return Riddle(among_others, answers, 40.0)


def noise_haystack(tokens: Tokens, at_least: int) -> Haystack:
    """Noise of at least so many tokens, for tasks that hide sentences at any place of it."""
    times = next(times for times in count(at_least // 20 + 1) if len(tokens.starts(NOISE)) * times >= at_least)
    text = NOISE * times
    return Haystack(text, tuple(tokens.starts(text)))


def _keys(task: RetrievalTask, number: int, source: random.Random) -> list[str]:
    return draw_words(number, source, 3) if task.word_keys else _DRAW[task.value](number, source)


def _sentence(task: RetrievalTask, key: str, value: str) -> str:
    return f"The secret {task.value} of {key} is {value}."


def _question(task: RetrievalTask, asked: Sequence[str]) -> Callable[[str], str]:
    names = ", ".join(asked)
    many = task.values * len(asked) > 1
    what = f"all the secret {task.value}s" if many else f"the secret {task.value}"
    verb = "are" if many else "is"

    def ask(text: str) -> str:
        return (
            f"Some secret {task.value}s are told in the text below. Remember them: you will be asked for {what} of "
            f"one or more names.\n\n{text}\n\nWhat {verb} {what} of {names}?\nAnswer: "
            f"{what[0].upper()}{what[1:]} of {names} {verb}"
        )

    return ask


def _among(hay: Sequence[str], needles: Sequence[str], depths: Sequence[float]) -> str:
    """Sentences with others between them, each on a line of its own."""
    lines: list[str] = []
    position = 0
    for needle, depth in zip(needles, depths, strict=True):
        place = int(len(hay) * depth / 100)
        lines += [*hay[position:place], needle]
        position = place
    return "\n".join([*lines, *hay[position:]])
