"""RULER's tasks that need no outside questions: what each of them hides, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Hay = Literal["noise", "text", "needles"]
Value = Literal["number", "identifier"]


@dataclass(frozen=True)
class RetrievalTask:
    """Keys with values hidden in a haystack, of which some are asked for."""

    name: str
    hay: Hay
    """``noise``: the same few sentences over and over; ``text``: the user's; ``needles``: more keys with values."""
    value: Value = "number"
    keys: int = 1
    """Hidden, those that are not asked for included."""
    values: int = 1
    """Values of each key that is asked for."""
    asked: int = 1
    """Keys that are asked for."""
    word_keys: bool = True
    """Whether a key is a word; otherwise it is of the kind of the values."""


RETRIEVAL: tuple[RetrievalTask, ...] = (
    RetrievalTask("niah_single_1", "noise"),
    RetrievalTask("niah_single_2", "text"),
    RetrievalTask("niah_single_3", "text", "identifier"),
    RetrievalTask("niah_multikey_1", "text", keys=4),
    RetrievalTask("niah_multikey_2", "needles"),
    RetrievalTask("niah_multikey_3", "needles", "identifier", word_keys=False),
    RetrievalTask("niah_multivalue", "text", values=4),
    RetrievalTask("niah_multiquery", "text", keys=4, asked=4),
)
BY_NAME = {task.name: task for task in RETRIEVAL}
OTHERS = ("vt", "cwe", "fwe")
NAMES = (*BY_NAME, *OTHERS)
"""All tasks; RULER's two of questions about paragraphs are not among them."""
MAX_NEW_TOKENS = {**dict.fromkeys(BY_NAME, 128), "vt": 30, "cwe": 120, "fwe": 50}
