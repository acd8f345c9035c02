"""What the stages cost in time and memory."""

from __future__ import annotations

from lc_data.reports.content import Report, StageBooks, Timing
from lc_data.reports.page import charts, numbers
from lc_data.reports.page.markup import Html, element, join, table


def cost_section(report: Report) -> Html:
    """A bar for the time of each stage, and the table behind it."""
    timed = [(books, books.timing) for books in report.stages if books.timing is not None]
    if not timed:
        return element("p", "This run has kept no timings.")
    total = sum(timing.seconds for _, timing in timed)
    peak = max(timing.peak_rss_bytes for _, timing in timed)
    longest = max(timing.seconds for _, timing in timed) or 1.0
    lead = (
        f"{numbers.duration(total)} for all stages together, each as it last ran; the largest process held "
        f"{numbers.size(peak)}."
    )
    return join(
        element("p", lead, class_="lead"),
        element("div", (_row(books.stage, timing.seconds, longest) for books, timing in timed), class_="rows"),
        table(
            "Time and memory of each stage",
            ["stage", "phases", "time", "text read per second", "most memory of a process"],
            [_cells(books, timing) for books, timing in timed],
            text_columns=2,
        ),
    )


def _row(stage: str, seconds: float, longest: float) -> Html:
    text = f"{stage}: {numbers.duration(seconds)}"
    return element(
        "div",
        element("span", stage, class_="name"),
        element("span", numbers.duration(seconds), class_="unit number"),
        charts.bar([charts.Segment(0, seconds / longest, "column", text)], text),
        class_="row",
    )


def _cells(books: StageBooks, timing: Timing) -> list[str]:
    read = books.total.came_in.bytes
    speed = f"{numbers.size(round(read / timing.seconds))}/s" if read and timing.seconds else numbers.NONE
    phases = ", ".join(f"{name} {numbers.duration(seconds)}" for name, seconds in timing.phases.items())
    return [books.stage, phases, numbers.duration(timing.seconds), speed, numbers.size(timing.peak_rss_bytes)]
