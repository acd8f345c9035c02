from __future__ import annotations

import json
from pathlib import Path

import pytest

from lc_data.corpus.run import RunFolder
from lc_data.reports.collect.suites import read_suites
from lc_data.reports.content import NeedleGrid, Report, SuiteScores
from lc_data.reports.page.page import render_page
from lc_data.reports.page.suites import suites_section

GRID = {"lengths": [1000, 32000], "depths": [0, 100], "cells": [[100.0, 50.0], [0.0, None]], "columns": [50.0, 50.0]}


def scores(**changes: object) -> dict:
    whole = {
        "suite": "needle", "convention": "v1", "tasks": {"needle_single_en": 50.0}, "predictions": {"a": 30},
        "cut": {"a": 4}, "groups": {"single": 50.0}, "averages": {"v2": 40.0}, "missing": ["needle_single_zh"],
        "details": {"needle_single_en": {"grid": GRID}},
    }  # fmt: skip
    return whole | changes


@pytest.fixture
def evaluated(tmp_path: Path) -> RunFolder:
    for name, tasks in (("base", {"needle_single_en": 10.0}), ("sft", {}), ("pretrain", {"needle_single_en": 50.0})):
        folder = tmp_path / "evaluate" / name
        folder.mkdir(parents=True)
        content = {"suites": {"needle": scores(tasks=tasks, details={} if name == "sft" else scores()["details"])}}
        (folder / "result.json").write_text(json.dumps(content))
    return RunFolder(str(tmp_path))


def test_checkpoints_stand_in_the_order_of_their_making(evaluated: RunFolder) -> None:
    found = read_suites(evaluated)
    assert [one.checkpoint for one in found] == ["base", "pretrain", "sft"]
    assert found[1].grids == {"needle_single_en": NeedleGrid(**GRID)}
    assert (found[0].cut, found[0].predictions) == (4, 30)


def test_a_run_without_suites_has_none(tmp_path: Path) -> None:
    assert read_suites(RunFolder(str(tmp_path))) == []


def test_the_page_shows_them_side_by_side(evaluated: RunFolder) -> None:
    page = suites_section(read_suites(evaluated))
    assert '<th scope="col" class="number">base</th>' in page
    row = page[page.index(">needle_single_en<") :].split("</tr>")[0]
    assert "10.00" in row
    assert "50.00" in row
    assert "4 of 30 prompts were cut to fit. Without predictions: needle_single_zh." in page
    assert page.count("<svg") == 2
    assert page.count("#dddddd") == 2
    assert "#2ea05a" in page
    assert "#c62839" in page


def test_the_report_has_the_section_only_with_suites(report: Report) -> None:
    assert "Scores of suites of tasks" not in render_page(report)
    one = SuiteScores(
        checkpoint="a<b", suite="ruler", convention="c", tasks={"vt": 1.0}, groups={}, averages={"tasks": 1.0},
        missing=[], cut=0, predictions=1, grids={},
    )  # fmt: skip
    page = render_page(report.model_copy(update={"suites": [one]}))
    assert "Scores of suites of tasks" in page
    assert "a&lt;b" in page
