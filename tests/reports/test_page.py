"""The page: whole, self-contained, escaped, and every chart with its table."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from lc_data.reports.content import Report
from lc_data.reports.page.markup import Html, element, join, table
from lc_data.reports.page.page import render_page

VOID = {"meta", "link", "br", "hr", "rect", "line", "path", "circle"}


class Reader(HTMLParser):
    """Checks that tags nest, and collects what tests ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID or tag in {"rect", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def page(report) -> str:
    return render_page(report)


def test_it_is_one_file_that_needs_nothing_else(page):
    reader = read(page)
    tags = {tag for tag, _ in reader.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "use", "image"}
    assert not re.search(r"https?://|url\(|@import|src=", page)
    assert all(attrs["href"].startswith("#") for tag, attrs in reader.elements if tag == "a")


def test_every_link_leads_somewhere_and_ids_are_unique(page):
    reader = read(page)
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for tag, attrs in reader.elements if tag == "a"} <= set(ids)


def test_every_drawing_says_what_it_shows_and_every_section_has_a_table(page):
    reader = read(page)
    for tag, attrs in reader.elements:
        if tag == "svg":
            assert attrs.get("aria-label") or attrs.get("aria-hidden") == "true"
    for section in re.findall(r"<section.*?</section>", page, re.S):
        assert "<table>" in section


def test_tables_can_be_reached_by_keyboard_and_their_rows_are_as_wide_as_their_heads(page):
    found = re.findall(
        r'<div class="scroll" tabindex="0" role="region" aria-label="[^"]+"><table>(.*?)</table>', page, re.S
    )
    assert len(found) == page.count("<table>")
    for content in found:
        head, body = content.split("<tbody>")
        width = head.count("<th") - head.count("<thead")
        assert all(row.count("<td") + row.count("<th") == width for row in body.split("</tr>")[:-1])


def test_it_shows_the_numbers_of_the_report(page, report):
    text = "".join(read(page).text)
    plan = report.plan("pretrain")
    assert f"{plan.packs:,}" in text
    assert f"{plan.fill * 100:.2f}%" in text
    for books in report.stages:
        assert f"{books.total.kept.documents:,} documents kept" in text
        for reason in (*books.total.dropped, *books.total.quarantined):
            assert reason in text
    for kind in ("pretrain", "sft", "held_out"):
        assert report.plan(kind).plan_hash in text


def test_lengths_stand_in_steps_of_4k_before_and_after_mixing(page, report):
    for caption in ("Before mixing: every document of the corpus once", "After mixing: the plan pretrain"):
        (found,) = re.findall(rf"<caption>{caption}</caption>(.*?)</table>", page, re.S)
        heads = re.findall(r"<th scope=\"col\"[^>]*>([^<]*)</th>", found)
        assert heads == ["domain", "what", "0\u20134K", "4K\u20138K", "8K\u201312K", "12K\u201316K", "16K\u201320K",
                         "20K\u201324K", "24K\u201328K", "28K\u201332K", "32K+", "all"]  # fmt: skip
    for domain in report.plan("pretrain").domains:
        assert f"{sum(domain.step_tokens):,}" in found
    assert "share of tokens before" in found


def test_text_from_the_data_stays_text(report):
    nasty = '<script>alert("1")</script>&amp;\'"><svg onload=x>'
    whole = report.model_dump_json(by_alias=True)
    for name in ("books", "null text", "small", "book-copy"):
        whole = whole.replace(f'"{name}"', json.dumps(nasty))
    page = render_page(Report.model_validate_json(whole))
    reader = read(page)
    assert "script" not in {tag for tag, _ in reader.elements}
    assert not any("onload" in attrs for _, attrs in reader.elements)
    assert nasty in "".join(reader.text)


def test_the_same_report_gives_the_same_page(report, page):
    assert render_page(Report.model_validate_json(report.model_dump_json(by_alias=True))) == page


def test_a_report_of_the_first_stage_alone_is_a_page(report):
    early = report.model_copy(
        update={
            "stages": report.stages[:1],
            "lengths": None,
            "plans": [],
            "trainings": [],
            "evaluations": [],
            "tokenizer": None,
        }
    )
    reader = read(render_page(early))
    assert [attrs["href"] for tag, attrs in reader.elements if tag == "a"] == ["#main", "#flow", "#cost", "#making"]


def test_a_plan_without_rows_is_a_page(report):
    empty = report.plan("sft").model_copy(update={"packs": 0, "pieces": 0, "tokens": 0, "domains": []})
    reader = read(render_page(report.model_copy(update={"plans": [empty]})))
    targets = {attrs.get("id") for _, attrs in reader.elements}
    assert "flow" in targets
    assert all(attrs["href"][1:] in targets for tag, attrs in reader.elements if tag == "a")


def test_strings_are_escaped_and_markup_is_not():
    assert element("p", "a < b & c", title='"') == '<p title="&quot;">a &lt; b &amp; c</p>'
    assert element("p", element("b", "x")) == "<p><b>x</b></p>"
    assert join("<", Html("<br/>"), None, [Html("<hr/>")]) == "&lt;<br/><hr/>"
    assert element("rect", x=1.5, width=2.0, class_="a") == '<rect x="1.5" width="2" class="a"/>'


def test_a_row_of_the_wrong_width_is_refused():
    with pytest.raises(ValueError, match="zip"):
        table("t", ["a", "b"], [["1"]])
