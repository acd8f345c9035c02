"""Metrics against values that the published scorers gave for texts written for this test (``cases.jsonl``)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lc_data.evaluation.metrics import chinese, code, exam, found, labels, rouge, summary, words
from lc_data.failure import Failure

Case = dict[str, Any]
CASES: list[Case] = [json.loads(line) for line in Path(__file__).with_name("cases.jsonl").read_text().splitlines()]


def best(metric: Callable[[str, str], float]) -> Callable[[Case], float]:
    return lambda case: max([0.0, *(metric(case["prediction"], reference) for reference in case["references"])])


def of_text(read: Callable[[str], str]) -> Callable[[Case], str]:
    return lambda case: read(case["prediction"])


def four_rouges(case: Case) -> dict[str, list[float]]:
    kinds = ("rouge1", "rouge2", "rougeL", "rougeLsum")
    return {kind: list(rouge.rouge(case["prediction"], case["references"][0], kind)) for kind in kinds}


def labelled(case: Case) -> float:
    return max(labels.classification(case["prediction"], r, case["labels"]) for r in case["references"])


def by_levenshtein(prediction: str, reference: str) -> float:
    return code.code_similarity(prediction, reference, "levenshtein")


METRICS: dict[str, Callable[[Case], Any]] = {
    "qa_f1": best(words.qa_f1),
    "qa_f1_zh": best(words.qa_f1_zh),
    "rouge_l": best(summary.rouge_l),
    "rouge_l_zh": best(summary.rouge_l_zh),
    "classification": labelled,
    "count": best(labels.count),
    "retrieval": best(labels.retrieval),
    "retrieval_zh": best(labels.retrieval_zh),
    "code_sim": best(code.code_similarity),
    "code_sim_levenshtein": best(by_levenshtein),
    "rouge_score_lib": four_rouges,
    "leval_em": best(exam.official_match),
    "leval_f1": best(words.qa_f1),
    "leval_mc_single": of_text(exam.official_option),
    "leval_mc_multi": of_text(exam.official_options),
    "leval_gsm_official": of_text(exam.official_number),
    "leval_gsm_opencompass": of_text(exam.opencompass_number),
    "oc_leval_em": lambda case: 100 * best(exam.opencompass_match)(case),
    "oc_first_capital": of_text(exam.opencompass_option),
    "oc_first_capital_multi": of_text(exam.opencompass_options),
    "oc_general": of_text(exam.opencompass_text),
    "oc_classification": lambda case: 100 * labelled(case),
    "oc_code_sim": lambda case: 100 * best(by_levenshtein)(case),
    "ruler_match_all": lambda case: round(100 * found.match_all(case["prediction"], case["references"]), 2),
    "ruler_match_part": lambda case: round(100 * found.match_part(case["prediction"], case["references"]), 2),
}


@pytest.mark.parametrize("name", sorted({case["metric"] for case in CASES}))
def test_equal_to_the_published_scorer(name: str) -> None:
    for case in CASES:
        if case["metric"] == name:
            got, expected = METRICS[name](case), case["expected"]
            if isinstance(expected, dict):
                assert got.keys() == expected.keys()
                for kind, values in expected.items():
                    assert got[kind] == pytest.approx(values, abs=1e-6), case
            else:
                assert got == (expected if isinstance(expected, str) else pytest.approx(expected, abs=1e-6)), case


@pytest.mark.parametrize(
    ("answer", "score", "trimmed"),
    [
        ("It is the Quartz Gate, I think.", 1.0, 1.0),
        ("quartz gate", 0.2 * (1 - 26 / 34), 0.2 * (1 - 26 / 34)),
        ("Northern tower opens by the Iron Gate. It is old and made of iron.", None, 0.2 * (1 - 5 / 34)),
        ("", 0.0, 0.0),
    ],
)
def test_a_needle_is_found_or_likened(answer: str, score: float | None, trimmed: float) -> None:
    sentence, keyword = "\nNorthern tower opens by the Quartz Gate.\n", "Quartz Gate"
    if score is not None:
        assert found.needle(answer, sentence, keyword) == pytest.approx(score)
    assert found.needle(answer, sentence, keyword, trim=True) == pytest.approx(trimmed)
    assert found.needle_v2(answer, keyword) == float(score == 1.0)


def test_words_of_an_answer_and_boxes() -> None:
    assert found.needle_reasoning("lane, probably", "Jasmine Lane") == 0.5
    assert found.needle_reasoning("", "Jasmine Lane") == 0.0
    assert found.boxed(r"first \boxed{A}, so \boxed{ Mira Holt }.") == "Mira Holt"
    assert found.boxed("no box") is None


def test_chinese_is_not_scored_without_jieba(monkeypatch: pytest.MonkeyPatch) -> None:
    chinese._segmenter.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(Failure, match=r"lc_data\[evaluation\]"):
        words.qa_f1_zh("北京", "北京")


def test_a_reference_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Paragraph"):
        labels.retrieval("3", "段落3")
