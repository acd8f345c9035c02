"""Decontamination against rows as LongBench, L-Eval and NeedleBench have them, with all their fields."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lc_data.corpus.contaminations import read_contaminations
from lc_data.stages.filter import STAGE
from tests.stages.ingested import bring, dropped_rows, kept_documents, publish

REPORT = (
    "The harbour board met in closed session on the ninth of March to hear the engineers on the condition of the east "
    "pier. Of two hundred and six piles forty-one were found to be eaten through below the water line. The board "
    "resolved to close the pier to carts at once and to ask the county for a loan."
)
SUMMARY = (
    "Engineers found a fifth of the east pier's piles rotten, so the board closed it to carts and sought a county loan."
)
CHINESE_PASSAGE = (
    "光绪二十三年春，县城北门外的石桥被洪水冲毁，知县王文清捐出半年俸禄，"
    "召集匠人四十余名，历时七个月重修此桥，桥成之日，乡民燃放鞭炮三天。"
)
CHINESE_QUESTION = "光绪年间县城北门外的那座石桥被洪水冲毁之后是由谁捐出俸禄主持重修的？"
LONGBENCH = [
    {
        "input": "How many of the piles of the east pier were eaten through below the water line, by the engineers?",
        "context": f"Passage 1:\n{REPORT}\nPassage 2:\nThe fish market opened at dawn.",
        "answers": ["Forty-one", "41 of 206"],
        "length": 4211,
        "dataset": "multifieldqa_en",
        "language": "en",
        "all_classes": None,
        "_id": "f2a9c0",
    },
    {
        "input": "",
        "context": REPORT,
        "answers": [SUMMARY],
        "length": 9020,
        "dataset": "gov_report",
        "language": "en",
        "all_classes": None,
        "_id": "0b7e11",
    },
    {
        "input": CHINESE_QUESTION,
        "context": CHINESE_PASSAGE,
        "answers": ["知县王文清"],
        "length": 5120,
        "dataset": "multifieldqa_zh",
        "language": "zh",
        "all_classes": None,
        "_id": "c41d55",
    },
    {
        "input": "Question: What is the fare from the mill to the ferry?\nType:",
        "context": "Question: Who founded the first school in the valley?\nType: Individual",
        "answers": ["Price"],
        "length": 3000,
        "dataset": "trec",
        "language": "en",
        "all_classes": ["Price", "Individual"],
        "_id": "aa01f3",
    },
]
L_EVAL = [
    {
        "instructions": [
            "Question: Why did the lamplighter refuse the new uniform that the mayor had ordered from the capital? \n"
            "A. It was too warm.\nB. It had no pocket for his matches.\nC. He was about to retire.",
            "What did the mayor do next?",
        ],
        "input": "The uniform had brass buttons and no pocket at all, and a lamplighter without matches, he said, was "
        "a man walking at night for no reason.",
        "outputs": [
            "B",
            "The mayor paid a tailor out of his own purse to sew a pocket into the left side of every coat.",
        ],
        "source": "quality",
        "evaluation": "exam",
    }
]
NEEDLE_BENCH = [
    {
        "needle": "\nThe hidden spice of the Lantern Island soup is dried lemon leaf ground with coarse grey salt.\n",
        "retrieval_question": "What is the hidden spice of the Lantern Island soup? Your answer should be 'The hidden "
        "spice of the Lantern Island soup is ____.'",
        "arg1": "Lantern Island",
        "arg2": "dried lemon leaf ground with coarse grey salt",
        "language": "English",
        "diff": "easy",
    },
    {
        "needle": "\n隐藏在灯笼岛上的传说物品是一枚刻有北斗七星图案的青铜罗盘。\n",
        "retrieval_question": "隐藏在灯笼岛上的传说物品是什么？请按照“隐藏在灯笼岛上的传说物品是______。”的格式回答。",
        "arg1": "灯笼岛",
        "arg2": "一枚刻有北斗七星图案的青铜罗盘",
        "language": "Chinese",
        "diff": "hard",
    },
]
STORY = "Bread was baked before dawn and the street smelled of it until the first carts came down from the farms. "
CHINESE_STORY = "清晨的街道上飘着面包的香味，第一批马车从乡下慢慢驶来，卖菜的老人坐在路边抽烟。"


@pytest.fixture
def section(tmp_path: Path) -> str:
    files = {"longbench": LONGBENCH, "l_eval": L_EVAL, "needle": NEEDLE_BENCH}
    for name, rows in files.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    named = ", ".join(f"{{name: {name}, layout: {name}, paths: [{tmp_path}/{name}.jsonl]}}" for name in files)
    return f"filter.decontaminate={{context_sample: 1, evaluations: [{named}]}}"


DOCUMENTS = {
    "asks": (f"{STORY}{LONGBENCH[0]['input']}", "question"),
    "summary": (f"{STORY}{SUMMARY}{STORY}", "answer"),
    "minutes": (f"{STORY}\n{REPORT}", "reported"),
    "chronicle": (f"{CHINESE_STORY}{CHINESE_PASSAGE}{CHINESE_STORY}", "reported"),
    "chinese exam": (f"{CHINESE_STORY}\n{CHINESE_QUESTION}", "question"),
    "same opening": (f"{CHINESE_STORY}光绪年间县城北门外的那座石桥，至今仍在。", "clean"),
    "exam": (f"1. {L_EVAL[0]['instructions'][0]}\n{STORY}", "question"),
    "tailor": (f"{STORY}{L_EVAL[0]['outputs'][1].lower()}", "answer"),
    "coat": (f"{STORY}{L_EVAL[0]['input']}", "reported"),
    "soup": (f"{STORY}{NEEDLE_BENCH[0]['needle']}{STORY}", "answer"),
    "compass": (f"{CHINESE_STORY}{NEEDLE_BENCH[1]['needle'].strip()}{CHINESE_STORY}", "answer"),
    "an arg": (f"{CHINESE_STORY}一枚刻有北斗七星图案的罗盘。{CHINESE_STORY}", "clean"),
    "short": (f"{STORY}Forty-one. What did the mayor do next? Price. Lantern Island.", "clean"),
    "fillers": (STORY + CHINESE_STORY, "clean"),
}


def test_rows_of_each_evaluation_are_found_in_documents(tmp_path: Path, section: str) -> None:
    run = publish(tmp_path / "run", [{"id": name, "text": text} for name, (text, _) in DOCUMENTS.items()])
    report = bring(STAGE, run, section)
    gone = {row["id"]: row["reason"].removeprefix("decontaminate/") for row in dropped_rows(report, run)}
    kept = {row["id"] for row in kept_documents(report, run)}
    found = read_contaminations(run.uri, 1000)
    seen = {row.document for row in found.rows}
    assert gone | {name: "reported" if name in seen else "clean" for name in kept} == {
        name: expected for name, (_, expected) in DOCUMENTS.items()
    }
    items = {(row.document, row.evaluation, row.file, row.item) for row in found.rows if row.kind != "context"}
    assert items == {
        ("asks", "longbench", "longbench.jsonl", 0),
        ("summary", "longbench", "longbench.jsonl", 1),
        ("chinese exam", "longbench", "longbench.jsonl", 2),
        ("exam", "l_eval", "l_eval.jsonl", 0),
        ("tailor", "l_eval", "l_eval.jsonl", 0),
        ("soup", "needle", "needle.jsonl", 0),
        ("compass", "needle", "needle.jsonl", 1),
    }
    for row in found.rows:
        text = DOCUMENTS[row.document][0].encode()
        assert text[slice(*row.span)].decode().startswith(row.beginning[:20])


def test_the_manifest_counts_items_and_what_was_too_short(tmp_path: Path, section: str) -> None:
    run = publish(tmp_path / "run", [{"id": "a", "text": STORY}])
    facts = bring(STAGE, run, section).manifest.facts["decontaminate"]
    assert facts["items"] == len(LONGBENCH) + len(L_EVAL) + len(NEEDLE_BENCH)
    # Forty-one; 41 of 206; 知县王文清; Price; B; What did the mayor do next?; the Chinese arg2 of 15 characters.
    assert facts["too_short"] == 7
    assert facts["documents"] == {}
