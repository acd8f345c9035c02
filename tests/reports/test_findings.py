"""Copies and shared stretches: the rows on disk, in the report and on the page."""

from __future__ import annotations

import json
from pathlib import Path

from lc_data.corpus.duplicates import list_duplicates
from lc_data.corpus.run import RunFolder
from lc_data.reports.collect.findings import CLUSTERS, MEMBERS, read_clusters, read_shared_stretches
from lc_data.reports.collect.report import collect_report
from lc_data.reports.findings import DuplicateClusters, SharedStretch, SharedStretches
from lc_data.reports.page.page import render_page
from lc_data.stages.chain import run_chain
from tests.small_corpus import small_recipe, write_small_corpus


def test_clusters_are_those_of_all_pairs(run, report):
    expected = list_duplicates(run.uri).clusters()
    assert expected
    assert [(one.keeper, one.documents) for one in report.duplicates.clusters] == [
        (keeper, len(members)) for keeper, members in expected[:CLUSTERS]
    ]
    for cluster, (_, members) in zip(report.duplicates.clusters, expected, strict=False):
        assert [one.document for one in cluster.members] == [pair.document for pair in members[:MEMBERS]]
        assert all(0 < one.similarity <= 1 for one in cluster.members)
        assert cluster.bytes == sum(pair.bytes for pair in members)


def test_the_page_lists_clusters_and_says_that_nothing_was_looked_for(report):
    page = render_page(report)
    assert report.shared_stretches is None
    assert "not looked for: the recipe names no evaluations" in page
    for cluster in report.duplicates.clusters:
        assert cluster.keeper in page
        assert all(member.document in page for member in cluster.members)


def test_an_older_version_is_named_as_the_reason_for_no_list(report):
    older = DuplicateClusters(clusters=[], not_listed="made by an older version")
    assert "cannot be listed: made by an older version" in render_page(report.model_copy(update={"duplicates": older}))


def test_looked_for_and_found_are_told_apart(report):
    none = SharedStretches(total=0, counts={}, rows=[])
    assert "none found" in render_page(report.model_copy(update={"shared_stretches": none}))
    row = SharedStretch(
        document="web-7",
        evaluation="quiz",
        file="quiz.jsonl",
        item=4,
        kind="answer",
        span=[1200, 1290],
        decision="dropped",
        beginning="It left an hour <b>before</b>",
    )
    found = SharedStretches(total=3, counts={"quiz/answer": {"dropped": 2, "reported": 1}}, rows=[row])
    page = render_page(report.model_copy(update={"shared_stretches": found}))
    assert "3 stretches" in page
    assert "The first 1 of 3 stretches" in page
    assert "It left an hour &lt;b&gt;before&lt;/b&gt;" in page
    assert "quiz.jsonl, line 5" in page


def test_a_run_through_the_filter_alone_names_the_item_that_a_book_shares(tmp_path):
    write_small_corpus(tmp_path / "corpus")
    book = json.loads((tmp_path / "corpus" / "books.jsonl").read_bytes().split(b"\n")[0])
    asked = " ".join(book["text"].split()[40:70])
    (tmp_path / "quiz.jsonl").write_text(json.dumps({"ask": asked}) + "\n")
    named = f"{{name: quiz, layout: fields, question: [ask], paths: ['{tmp_path}/quiz.jsonl']}}"
    made = RunFolder(str(tmp_path / "run"))
    recipe = small_recipe(tmp_path / "corpus", f"filter.decontaminate={{evaluations: [{named}]}}")
    list(run_chain(recipe, made, "filter"))
    found = read_shared_stretches(made)
    assert read_clusters(made) is None
    assert found.total == len(found.rows) > 0
    assert found.counts == {"quiz/question": {"dropped": found.total}}
    assert book["id"] in {row.document for row in found.rows}
    assert {(Path(row.file).name, row.item, row.kind) for row in found.rows} == {("quiz.jsonl", 0, "question")}
    page = render_page(collect_report(made))
    assert "quiz/question" in page
    assert "not looked for" in page
