"""Comparing runs: nothing differs from itself, and what was changed is what is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus.manifest import ManifestError
from lc_data.corpus.run import RunFolder
from lc_data.reports.collect.report import collect_report
from lc_data.reports.compare import last_name, write_comparison
from lc_data.reports.compare.comparison import Comparison, compare_reports
from lc_data.reports.compare.page import render_comparison
from lc_data.reports.compare.recipes import flatten, recipe_differences
from lc_data.stages.chain import run_chain
from tests.reports.test_page import read
from tests.small_corpus import small_recipe, write_small_corpus


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> RunFolder:
    """The same corpus with another mixture and shorter rows."""
    folder = tmp_path_factory.mktemp("compared")
    write_small_corpus(folder / "corpus")
    made = RunFolder(str(folder / "other"))
    recipe = small_recipe(folder / "corpus", "mixture.weights={books: 1, web: 1, chinese: 0}", "pack.seq_len=512")
    list(run_chain(recipe, made, "pack"))
    return made


def test_a_run_does_not_differ_from_itself(report):
    comparison = compare_reports(report, report, ("one", "one"))
    assert comparison.recipe == []
    assert all(group.differing == [] and group.same for group in comparison.groups)
    assert comparison.same_plans == ["pretrain", "sft", "held_out"]
    assert comparison.same_stages == [books.stage for books in report.stages]
    page = render_comparison(comparison)
    assert "The recipes are the same" in page
    assert "what went through the stages; how long the documents are" in page


def test_what_was_changed_is_what_is_told(run, report, other):
    theirs = collect_report(other)
    comparison = compare_reports(report, theirs, ("run", "other"))
    differing = {one.key: (one.first, one.second) for one in comparison.recipe}
    assert differing["pack.seq_len"] == ("1024", "512")
    assert differing["mixture.weights.chinese"] == ("2.0", "0.0")
    assert "pack.block_packs" not in differing
    groups = {group.key: group for group in comparison.groups}
    assert groups["lengths"].differing == []
    assert groups["lengths"].same > 0
    rows = {(one.where, one.what): one for one in groups["rows"].differing}
    packs = rows["pretrain", "rows"]
    assert (packs.first, packs.second) == (report.plan("pretrain").packs, theirs.plan("pretrain").packs)
    assert packs.difference == packs.second - packs.first
    gone = {(one.where, one.what): one for one in groups["mixture"].differing}["pretrain, chinese", "in the rows"]
    assert gone.second is None
    assert comparison.same_plans == []


def test_both_forms_are_written_and_the_page_needs_nothing_else(run, other, tmp_path):
    paths = write_comparison(run.uri, other.uri)
    assert paths.html == f"{run.uri}/report/compare-other/index.html"
    comparison = Comparison.model_validate_json(Path(paths.json).read_bytes())
    page = Path(paths.html).read_text()
    assert page == render_comparison(comparison)
    reader = read(page)
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for tag, attrs in reader.elements if tag == "a"} <= set(ids)
    assert "://" not in page
    text = "".join(reader.text)
    assert "pack.seq_len" in text
    assert "only in A" in text
    elsewhere = write_comparison(run.uri, other.uri, str(tmp_path / "chosen"))
    assert Path(elsewhere.json).read_bytes() == Path(paths.json).read_bytes()


def test_a_run_that_went_less_far_is_compared_as_far_as_both_go(report):
    early = report.model_copy(update={"stages": report.stages[:1], "lengths": None, "plans": [], "evaluations": []})
    comparison = compare_reports(report, early, ("whole", "early"))
    assert {one.second for one in comparison.headline if one.where == "pretrain" and one.what == "rows"} == {None}
    assert "only in A" in render_comparison(comparison)


def test_a_folder_that_is_no_run_is_refused(run, tmp_path):
    with pytest.raises(ManifestError, match="no published stage"):
        write_comparison(run.uri, str(tmp_path))


def test_named_elements_of_lists_are_compared_by_name():
    one = {"sources": [{"name": "a", "x": 1}, {"name": "b", "x": 2}]}
    two = {"sources": [{"name": "c", "x": 3}, {"name": "b", "x": 2}, {"name": "a", "x": 9}]}
    differing, same = recipe_differences(one, two)
    assert [(row.key, row.first, row.second) for row in differing] == [
        ("sources.a.x", "1", "9"),
        ("sources.c.name", None, '"c"'),
        ("sources.c.x", None, "3"),
    ]
    assert same == 3


@given(st.recursive(st.integers() | st.none(), lambda inner: st.dictionaries(st.text("ab", min_size=1), inner)))
def test_flat_keys_hold_every_leaf_and_no_difference_to_themselves(value):
    whole = {"root": value}
    assert recipe_differences(whole, whole) == ([], len(flatten(whole)))
    for text in flatten(whole).values():
        json.loads(text)


def test_a_run_is_called_by_its_last_name():
    assert last_name("s3://bucket/runs/one/") == "one"
    assert last_name("runs/two") == "two"
