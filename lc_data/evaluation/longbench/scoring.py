"""LongBench's scores and averages.

A sample's score is its best over the answers, a task's the mean in percent with two decimals. The averages are means
of category means: over all tasks, over the English and over the Chinese ones; code belongs to both languages. The
first is also the rule behind the 35.23 that the report of Index-1.9B-32K prints (35.2356, cut and not rounded).

Two protocols. ``official`` is LongBench's scorer. ``opencompass`` is the harness behind the report, which adds up the
scores of several answers where labels, counts or paragraphs are named, and cuts a Chinese summary into words again for
each further answer, from the words of the time before. Its code similarity is by Levenshtein, a choice of its own
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lc_data.evaluation.averages import group_means, mean
from lc_data.evaluation.longbench.tasks import BY_NAME, TASKS, LongBenchTask, categories
from lc_data.evaluation.metrics.chinese import split_words
from lc_data.evaluation.metrics.code import Backend, code_similarity
from lc_data.evaluation.metrics.labels import classification, count, retrieval, retrieval_zh
from lc_data.evaluation.metrics.summary import rouge_l, rouge_l_zh
from lc_data.evaluation.metrics.words import qa_f1, qa_f1_zh
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.suite import ScoreOptions, ScoringProtocol, SuiteScore, cut_counts
from lc_data.failure import Failure

_METRICS: dict[str, Callable[[str, str], float]] = {
    "qa_f1": qa_f1,
    "qa_f1_zh": qa_f1_zh,
    "rouge_l": rouge_l,
    "rouge_l_zh": rouge_l_zh,
    "count": count,
    "retrieval": retrieval,
    "retrieval_zh": retrieval_zh,
}


_ADDED_UP = {"classification", "count", "retrieval", "retrieval_zh"}
"""Metrics whose scores over several answers OpenCompass adds."""


def score_task(
    task: LongBenchTask,
    rows: Sequence[Prediction],
    backend: Backend = "difflib",
    protocol: ScoringProtocol = "official",
) -> float:
    """The score of one task in percent, with two decimals."""
    return round(100 * mean([score_sample(task, row, backend, protocol) for row in rows]), 2)


def score_sample(
    task: LongBenchTask, row: Prediction, backend: Backend = "difflib", protocol: ScoringProtocol = "official"
) -> float:
    """The best score of an answer over its references, from 0 to 1; ``opencompass`` may add them up beyond 1."""
    pred = row.pred.lstrip("\n").split("\n", maxsplit=1)[0] if task.first_line else row.pred
    if task.metric == "rouge_l_zh" and protocol == "opencompass":
        return _best_of_cut_again(pred, row.answers)
    if task.metric == "classification":
        if not row.labels:
            raise Failure(f"{task.name}: prediction {row.id} lacks all_classes, the labels to choose from")
        scores = [classification(pred, answer, row.labels) for answer in row.answers]
    elif task.metric == "code_similarity":
        scores = [code_similarity(pred, answer, backend) for answer in row.answers]
    else:
        scores = [_METRICS[task.metric](pred, answer) for answer in row.answers]
    return sum(scores) if protocol == "opencompass" and task.metric in _ADDED_UP else max(scores)


def score_longbench(predictions: Mapping[str, Sequence[Prediction]], options: ScoreOptions) -> SuiteScore:
    """Scores of the tasks that have predictions, and the averages."""
    scores = {
        task.name: score_task(task, predictions[task.name], options.code_backend, options.longbench_protocol)
        for task in TASKS
        if task.name in predictions
    }
    convention = f"LongBench, protocol {options.longbench_protocol}; code similarity by {options.code_backend}"
    if options.missing_as_zero:
        convention += "; a missing task counts as 0"
    means = group_means(scores, categories(), options.missing_as_zero)
    return SuiteScore(
        suite="longbench",
        convention=convention,
        tasks=scores,
        predictions={task: len(rows) for task, rows in predictions.items() if task in BY_NAME},
        cut=cut_counts(predictions),
        groups=means.groups,
        averages=longbench_averages(scores, options.missing_as_zero),
        missing=means.missing,
    )


def longbench_averages(scores: Mapping[str, float], missing_as_zero: bool = False) -> dict[str, float]:
    """The averages by rule, those that any task has a score for.

    ``all``, ``en``, ``zh``: the paper's, the mean of category means; ``tasks``: the mean of the tasks.
    """
    rules = {"all": categories(), "en": categories("en", "code"), "zh": categories("zh", "code")}
    found = {rule: group_means(scores, groups, missing_as_zero).mean for rule, groups in rules.items()}
    found["tasks"] = group_means(scores, {task.name: (task.name,) for task in TASKS}, missing_as_zero).mean
    return {rule: value for rule, value in found.items() if value is not None}


def _best_of_cut_again(pred: str, answers: Sequence[str]) -> float:
    """The best ROUGE-L over jieba's words, where those of the answer before are cut again for each further one."""
    scores = []
    for answer in answers:
        pred = " ".join(split_words(pred))
        scores.append(rouge_l(pred, " ".join(split_words(answer))))
    return max(scores)
