from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from lc_data.reports import write_report
from lc_data.reports.card import render_card
from lc_data.reports.content import Report


def front_matter(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_card_says_what_was_measured(report):
    card = render_card(report)
    front = front_matter(card)
    assert front["pretty_name"] == "small"
    assert front["license"] == "other"
    assert front["size_categories"] == ["n<1K"]
    plan = report.plan("pretrain")
    assert f"{plan.packs:,} rows of {plan.seq_len:,} tokens" in card
    for domain in plan.domains:
        assert re.search(rf"\| {domain.domain} \| [\d.]+% \| [\d.]+% \| {domain.tokens:,} \|", card)
    for books in report.stages:
        assert f"| {books.stage} | {books.total.came_in.documents:,} | {books.total.kept.documents:,} |" in card


def test_one_licence_is_that_of_the_whole_only_when_every_document_states_it(report):
    one = report.model_copy(update={"licenses": {"CC-BY-4.0": 7}})
    assert front_matter(render_card(one))["license"] == "cc-by-4.0"
    some = report.model_copy(update={"licenses": {"CC-BY-4.0": 7, "": 1}})
    assert front_matter(render_card(some))["license"] == "other"


@pytest.mark.parametrize(("documents", "category"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**12, "100B<n<1T")])
def test_size_categories_are_those_of_the_hub(report, documents, category):
    sized = report.model_copy(update={"licenses": {"": documents}})
    assert front_matter(render_card(sized))["size_categories"] == [category]


def test_tables_stay_tables_whatever_the_names(report):
    whole = report.model_dump_json(by_alias=True).replace('"books"', '"a|b\\n| c <i>"')
    card = render_card(Report.model_validate_json(whole))
    assert "a\\|b \\| c \\<i\\>" in card
    for block in card.split("\n\n"):
        rows = [row for row in block.split("\n") if row.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1


def test_the_four_files_are_written_and_writing_again_changes_nothing(run):
    paths = write_report(run.uri)
    before = {path: Path(path).read_bytes() for path in (paths.html, paths.json, paths.card, paths.croissant)}
    assert before[paths.html].startswith(b"<!doctype html>")
    assert Report.model_validate_json(before[paths.json]).name == "small"
    write_report(run.uri)
    assert {path: Path(path).read_bytes() for path in before} == before
