"""LongBench's tasks as its scorer and its paper define them: metric, category, language, length of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MetricName = Literal[
    "qa_f1",
    "qa_f1_zh",
    "rouge_l",
    "rouge_l_zh",
    "classification",
    "count",
    "retrieval",
    "retrieval_zh",
    "code_similarity",
]
Kind = Literal["question", "summary", "labels", "counting", "retrieval", "code"]


@dataclass(frozen=True)
class LongBenchTask:
    """One of the 21 tasks."""

    name: str
    category: str
    language: Literal["en", "zh", "code"]
    kind: Kind
    metric: MetricName
    max_new_tokens: int
    first_line: bool = False
    """Only the first line of an answer counts, after leading line ends."""
    chat: bool = True
    """Few-shot and code tasks continue a text: no chat template goes around them."""


def _few_shot(name: str, language: Literal["en", "zh"], metric: MetricName, max_new_tokens: int) -> LongBenchTask:
    return LongBenchTask(name, "Few-shot Learning", language, "labels", metric, max_new_tokens, True, False)


_SINGLE, _MULTI, _SUMMARY = "Single-Document QA", "Multi-Document QA", "Summarization"
_SYNTHETIC, _CODE = "Synthetic Tasks", "Code Completion"

TASKS: tuple[LongBenchTask, ...] = (
    LongBenchTask("narrativeqa", _SINGLE, "en", "question", "qa_f1", 128),
    LongBenchTask("qasper", _SINGLE, "en", "question", "qa_f1", 128),
    LongBenchTask("multifieldqa_en", _SINGLE, "en", "question", "qa_f1", 64),
    LongBenchTask("multifieldqa_zh", _SINGLE, "zh", "question", "qa_f1_zh", 64),
    LongBenchTask("hotpotqa", _MULTI, "en", "question", "qa_f1", 32),
    LongBenchTask("2wikimqa", _MULTI, "en", "question", "qa_f1", 32),
    LongBenchTask("musique", _MULTI, "en", "question", "qa_f1", 32),
    LongBenchTask("dureader", _MULTI, "zh", "question", "rouge_l_zh", 128),
    LongBenchTask("gov_report", _SUMMARY, "en", "summary", "rouge_l", 512),
    LongBenchTask("qmsum", _SUMMARY, "en", "question", "rouge_l", 512),
    LongBenchTask("multi_news", _SUMMARY, "en", "summary", "rouge_l", 512),
    LongBenchTask("vcsum", _SUMMARY, "zh", "summary", "rouge_l_zh", 512),
    _few_shot("trec", "en", "classification", 64),
    _few_shot("triviaqa", "en", "qa_f1", 32),
    _few_shot("samsum", "en", "rouge_l", 128),
    _few_shot("lsht", "zh", "classification", 64),
    LongBenchTask("passage_count", _SYNTHETIC, "en", "counting", "count", 32),
    LongBenchTask("passage_retrieval_en", _SYNTHETIC, "en", "retrieval", "retrieval", 32),
    LongBenchTask("passage_retrieval_zh", _SYNTHETIC, "zh", "retrieval", "retrieval_zh", 32),
    LongBenchTask("lcc", _CODE, "code", "code", "code_similarity", 64, chat=False),
    LongBenchTask("repobench-p", _CODE, "code", "code", "code_similarity", 64, chat=False),
)
BY_NAME = {task.name: task for task in TASKS}


def categories(*languages: str) -> dict[str, tuple[str, ...]]:
    """The names of each category's tasks in these languages, in the order of the paper; all without any."""
    kept = [task for task in TASKS if not languages or task.language in languages]
    return {
        category: tuple(task.name for task in kept if task.category == category)
        for category in dict.fromkeys(task.category for task in kept)
    }
