"""L-Eval's scores and averages under two protocols.

``official`` is the benchmark's own scorer: a quarter for an incomplete choice in coursera, F1 or ROUGE-L for texts as
each pair's ``evaluation`` says; pairs tagged for people or models to judge have no such score and are left out.
``opencompass`` is the harness behind the published 35.86: a choice is right or wrong, and every text is scored by
ROUGE-1, pairs for judges included. There the published figure is the median of bootstrapped means, drawn without a
seed; ours is the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lc_data.evaluation.averages import group_means, mean
from lc_data.evaluation.leval.tasks import BY_NAME, GROUPS, TASKS, Kind, LEvalTask
from lc_data.evaluation.metrics import exam
from lc_data.evaluation.metrics.rouge import rouge_1_f, rouge_l_f
from lc_data.evaluation.metrics.words import qa_f1
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.suite import ScoreOptions, ScoringProtocol, SuiteScore, cut_counts
from lc_data.failure import Failure

_Metric = Callable[[str, str], float]

_OFFICIAL: dict[Kind, _Metric] = {
    "options": lambda pred, gold: exam.official_match(exam.official_options(pred), exam.official_gold_option(gold)),
    "option": lambda pred, gold: exam.official_match(exam.official_option(pred), exam.official_gold_option(gold)),
    "number": lambda pred, gold: exam.official_match(exam.official_number(pred), exam.official_number(gold)),
    "phrase": exam.official_match,
}
_OPENCOMPASS: dict[Kind, _Metric] = {
    "options": lambda pred, gold: float(exam.opencompass_options(pred) == exam.opencompass_options(gold)),
    "option": lambda pred, gold: float(exam.opencompass_option(pred) == exam.opencompass_option(gold)),
    "number": lambda pred, gold: float(exam.opencompass_number(pred) == gold.replace(",", "")),
    "phrase": exam.opencompass_match,
    "text": rouge_1_f,
}
_BY_TAG: dict[str, _Metric] = {"f1": qa_f1, "rouge": rouge_l_f}
_JUDGED = {"human", "LLM"}


def score_sample(task: LEvalTask, row: Prediction, protocol: ScoringProtocol) -> float | None:
    """The score of an answer from 0 to 1; None where the protocol leaves it to judges."""
    metric = _OPENCOMPASS[task.kind] if protocol == "opencompass" else _official(task, row)
    return None if metric is None else max(metric(row.pred, answer) for answer in row.answers)


def score_task(task: LEvalTask, rows: Sequence[Prediction], protocol: ScoringProtocol) -> float | None:
    """The score of one task in percent, with two decimals; None where no answer has one."""
    scores = [score for row in rows if (score := score_sample(task, row, protocol)) is not None]
    return round(100 * mean(scores), 2) if scores else None


def score_leval(predictions: Mapping[str, Sequence[Prediction]], options: ScoreOptions) -> SuiteScore:
    """Scores of the tasks that have predictions, and the averages."""
    protocol = options.leval_protocol
    found = {
        task.name: score_task(task, predictions[task.name], protocol) for task in TASKS if task.name in predictions
    }
    scores = {name: score for name, score in found.items() if score is not None}
    means = group_means(scores, GROUPS, options.missing_as_zero)
    return SuiteScore(
        suite="leval",
        convention=f"L-Eval, protocol {protocol}" + ("; a missing task counts as 0" if options.missing_as_zero else ""),
        tasks=scores,
        predictions={task: len(rows) for task, rows in predictions.items() if task in BY_NAME},
        cut=cut_counts(predictions),
        groups=means.groups,
        averages=leval_averages(scores, options.missing_as_zero),
        missing=means.missing,
    )


def leval_averages(scores: Mapping[str, float], missing_as_zero: bool = False) -> dict[str, float]:
    """The averages by rule: ``groups``, the mean of the two group means (the published 35.86), and ``tasks``."""
    by_task = {task.name: (task.name,) for task in TASKS}
    found = {
        "groups": group_means(scores, GROUPS, missing_as_zero).mean,
        "tasks": group_means(scores, by_task, missing_as_zero).mean,
    }
    return {rule: value for rule, value in found.items() if value is not None}


def _official(task: LEvalTask, row: Prediction) -> _Metric | None:
    if task.kind != "text":
        return _OFFICIAL[task.kind]
    tag = row.facts.get("evaluation")
    if tag in _JUDGED:
        return None
    if tag not in _BY_TAG:
        raise Failure(
            f"{task.name}: prediction {row.id} has evaluation {tag!r}; the official protocol needs the tag of its "
            f"row, one of {', '.join([*_BY_TAG, *sorted(_JUDGED)])}"
        )
    return _BY_TAG[tag]
