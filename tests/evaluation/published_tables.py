"""Scores by task that were published, for the averages to be recomputed from.

INDEX: the report of Index-1.9B-32K (both languages of it; the English one gives GPT-3.5 where the other has Qwen2 and
longchat). PAPER: GPT-3.5-Turbo-16k in LongBench's own table.
"""

from __future__ import annotations

LONGBENCH_ORDER = (
    *("narrativeqa", "qasper", "multifieldqa_en", "multifieldqa_zh", "hotpotqa", "2wikimqa", "musique", "dureader"),
    *("gov_report", "qmsum", "multi_news", "vcsum", "trec", "triviaqa", "samsum", "lsht"),
    *("passage_count", "passage_retrieval_en", "passage_retrieval_zh", "lcc", "repobench-p"),
)
LONGBENCH_COLUMNS: dict[str, tuple[float | None, ...]] = {
    "Index-1.9B-32K": (
        *(19.1, 32.47, 43.23, 54.42, 33.83, 26.87, 16.21, 26.84),
        *(17.3, 17.97, 15.66, 18.91, 59.5, 83.87, 34.3, 26.5, 0, 24, 22, 66.4, 62.27),
    ),
    "Qwen2-1.5B-Instruct": (
        *(15.93, 29.3, 40.74, 44.91, 30.09, 22.57, 15.12, 28.38),
        *(18.63, 18.41, 15.19, 15.83, 8, 74.46, 29.23, 11, 5, 11.94, 7, 34.14, 25.68),
    ),
    "longchat-7b-v1.5-32k": (
        *(19.19, 30.36, 44.6, 32.35, 34.43, 23.06, 12.42, 20.25),
        *(29.83, 22.71, 26.1, 13.46, 29.23, 64.19, 25.23, 20, 1, 20.5, 15, 51.46, 52.18),
    ),
    "GPT-4": (
        *(31.2, 42.77, 55.1, 64.4, 59.85, 67.52, 37.53, 38.65),
        *(32.09, 24.37, 28.52, 15.54, 78.5, 92.19, 46.32, 41.5, 8.5, 75, 96, 59.25, 55.42),
    ),
    "GPT-3.5-turbo-16k": (
        *(25.79, 43.4, 54.35, 61.92, 52.49, 41.7, 27.5, 29.37),
        *(29.92, 23.67, 27.05, 16.88, 73.5, 92.75, 43.16, 34.5, 3, 73, 82.5, 53.49, 55.95),
    ),
    "Index-1.9B-4K": (
        *(0.09, 11.48, 12.76, 25.53, 0.7, 5.59, 0.07, 2.97),
        *(1.65, 0.1, 13.05, 6.24, 1.5, 9.2, 4.56, None, None, 0.07, 1.57, 37.39, 5.52),
    ),
    "Index-1.9B-4K Dynamic NTK": (
        *(0.98, 7.68, 17.07, 22.39, 3.44, 11.4, 1.64, 4.76),
        *(9.49, 1.73, 10.08, 8.98, 2.5, 4.57, 2.4, 3.25, 0.22, 1.95, 1.17, 35.41, 37),
    ),
    "GPT-3.5-Turbo-16k, LongBench's paper": (
        *(23.6, 43.3, 52.3, 61.2, 51.6, 37.7, 26.9, 28.7),
        *(29.5, 23.4, 26.7, 16.0, 68.0, 91.4, 41.7, 29.2, 4.5, 71.0, 77.5, 54.7, 53.6),
    ),
}
LEVAL_ORDER = (
    *("coursera", "gsm100", "quality", "tpo", "topic_retrieval_longchat", "financial_qa", "gov_report_summ"),
    *("legal_contract_qa", "meeting_summ", "multidoc_qa", "narrative_qa", "natural_question", "news_summ"),
    *("paper_assistant", "patent_summ", "review_summ", "scientific_qa", "tv_show_summ"),
)
LEVAL_COLUMNS: dict[str, tuple[float, ...]] = {
    "Index-1.9B-32K": (
        *(41.28, 27, 50, 65.43, 24, 39.97, 40.77, 14.02, 28.54, 22.91),
        *(15.87, 49.02, 27.93, 35.35, 33.6, 25.16, 34.39, 24.74),
    ),
    "Qwen2-1.5B-Instruct": (
        *(45.93, 42, 44.55, 66.91, 32.67, 41.23, 37.43, 28.07, 27.43, 29.91),
        *(21.03, 34.48, 28.17, 32.63, 47.72, 27.01, 37.63, 27.64),
    ),
    "longchat-7b-v1.5-32k": (
        *(27.91, 5, 29.7, 17.1, 25.33, 34.07, 36.52, 13.32, 22.32, 21.85),
        *(16.87, 35.02, 30.33, 30.42, 41.6, 20.02, 20.98, 25.09),
    ),
    "GPT-4": (
        *(61.05, 92, 81.19, 72.93, 100, 53.49, 50.84, 31.23, 31.44, 37.81),
        *(25.87, 67.36, 34.52, 42.26, 48.61, 31.98, 49.76, 34.84),
    ),
    "GPT-3.5-turbo-16k": (
        *(50, 78, 62.87, 74.72, 79.33, 50.32, 50.48, 27.97, 33.54, 35.84),
        *(25.73, 66.91, 40.41, 41.76, 50.62, 33.37, 48.32, 31.36),
    ),
}


def longbench(column: str) -> dict[str, float]:
    cells = dict(zip(LONGBENCH_ORDER, LONGBENCH_COLUMNS[column], strict=True))
    return {task: score for task, score in cells.items() if score is not None}


def leval(column: str) -> dict[str, float]:
    return dict(zip(LEVAL_ORDER, LEVAL_COLUMNS[column], strict=True))
