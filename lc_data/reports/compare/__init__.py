"""Comparing two runs: what differs between their reports, as JSON and as a page; what is the same is said once."""

from __future__ import annotations

from dataclasses import dataclass

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.reports.collect.report import collect_report
from lc_data.reports.compare.comparison import compare_reports
from lc_data.reports.compare.page import render_comparison


@dataclass(frozen=True)
class ComparisonPaths:
    """Where the two forms of a comparison were written."""

    html: str
    json: str


def write_comparison(run_uri: str, other_uri: str, folder_uri: str | None = None) -> ComparisonPaths:
    """Compare a run with another one, each as far as it has come.

    ``index.html`` and ``comparison.json`` are written to ``folder_uri``, by default ``report/compare-OTHER`` below the
    first run, OTHER being the last name of the other run's URI. Raises ``ManifestError`` for a run without a stage.
    """
    run, other = RunFolder(run_uri), RunFolder(other_uri)
    names = (last_name(run.uri), last_name(other.uri))
    comparison = compare_reports(collect_report(run), collect_report(other), names)
    folder = folder_uri or run.stage("report").file(f"compare-{names[1]}")
    paths = ComparisonPaths(storage.join(folder, "index.html"), storage.join(folder, "comparison.json"))
    storage.write_atomic(paths.json, comparison.model_dump_json(indent=1).encode() + b"\n")
    storage.write_atomic(paths.html, render_comparison(comparison).encode())
    return paths


def last_name(uri: str) -> str:
    """The last name of a URI: what people call the run."""
    return uri.rstrip("/").rpartition("/")[2]
