"""Reports: what happened to every document and every token of a run, for people who look and for programs that read.

Numbers first: they are collected from manifests, ledgers, the index and the plans into ``report.json``; the page and
the dataset card are functions of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.reports.card import render_card
from lc_data.reports.collect.report import collect_report
from lc_data.reports.content import Report
from lc_data.reports.croissant import render_croissant
from lc_data.reports.page.page import render_page


@dataclass(frozen=True)
class ReportPaths:
    """Where the four forms of a report were written."""

    html: str
    json: str
    card: str
    croissant: str


def write_report(run_uri: str) -> ReportPaths:
    """Write a run's report as far as the run has come: ``report.json``, and from it the other three.

    Raises ``ManifestError`` when no stage of the run is published.
    """
    run = RunFolder(run_uri)
    folder = run.stage("report")
    paths = ReportPaths(
        html=folder.file("index.html"),
        json=folder.file("report.json"),
        card=folder.file("DATASET_CARD.md"),
        croissant=folder.file("croissant.json"),
    )
    storage.write_atomic(paths.json, collect_report(run).model_dump_json(indent=1, by_alias=True).encode() + b"\n")
    report = Report.model_validate_json(storage.read_bytes(paths.json))
    storage.write_atomic(paths.html, render_page(report).encode())
    storage.write_atomic(paths.card, render_card(report).encode())
    storage.write_atomic(paths.croissant, render_croissant(report).encode())
    return paths
