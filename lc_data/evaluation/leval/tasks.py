"""L-Eval's tasks as OpenCompass and the report of Index-1.9B-32K group them: 5 with exact answers, 13 free texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["options", "option", "number", "phrase", "text"]


@dataclass(frozen=True)
class LEvalTask:
    """One of the 18 tasks, by the name of its official file."""

    name: str
    kind: Kind
    """``options``: letters, several may be right; ``option``: one letter; ``number``; ``phrase``: words that the
    answer must hold; ``text``: compared by words."""
    max_new_tokens: int


TASKS: tuple[LEvalTask, ...] = (
    LEvalTask("coursera", "options", 10),
    LEvalTask("gsm100", "number", 512),
    LEvalTask("quality", "option", 10),
    LEvalTask("tpo", "option", 10),
    LEvalTask("topic_retrieval_longchat", "phrase", 30),
    LEvalTask("financial_qa", "text", 512),
    LEvalTask("gov_report_summ", "text", 512),
    LEvalTask("legal_contract_qa", "text", 128),
    LEvalTask("meeting_summ", "text", 512),
    LEvalTask("multidoc_qa", "text", 64),
    LEvalTask("narrative_qa", "text", 50),
    LEvalTask("natural_question", "text", 50),
    LEvalTask("news_summ", "text", 512),
    LEvalTask("paper_assistant", "text", 512),
    LEvalTask("patent_summ", "text", 512),
    LEvalTask("review_summ", "text", 512),
    LEvalTask("scientific_qa", "text", 64),
    LEvalTask("tv_show_summ", "text", 512),
)
BY_NAME = {task.name: task for task in TASKS}
GROUPS: dict[str, tuple[str, ...]] = {
    "Exact Match": tuple(task.name for task in TASKS if task.kind != "text"),
    "Generation": tuple(task.name for task in TASKS if task.kind == "text"),
}
