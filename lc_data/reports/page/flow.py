"""Where every document went: a picture from the sources down to the rows, and the books of every stage under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lc_data.corpus.ledger import Account, Count
from lc_data.reports.content import Report, StageBooks
from lc_data.reports.page import charts, numbers
from lc_data.reports.page.markup import Html, element, folded, join, table
from lc_data.reports.page.palette import ALL, REMOVED, Palette


@dataclass(frozen=True)
class Level:
    """One bar of the picture: how much of each domain is there after a stage."""

    name: str
    volume: dict[str, float]
    """By domain, in bytes of text or their equivalent in tokens."""
    removed_share: dict[str, float]
    """By domain, of what came in."""
    summary: str
    changes: str
    """What transforms changed, what was removed and why, in words."""


def flow_section(report: Report, palette: Palette) -> Html:
    """The picture and the books."""
    first, last_of_text = report.stages[0], [books for books in report.stages if books.total.kept.bytes][-1]
    read, kept = first.total.came_in, last_of_text.total.kept
    lead = (
        f"{numbers.exact(read.documents)} documents ({numbers.size(read.bytes)}) were read; "
        f"{numbers.exact(kept.documents)} ({numbers.size(kept.bytes)}) are there after {last_of_text.stage}."
    )
    legend = charts.legend(
        [*((domain, palette.style(domain), None) for domain in report.domains), ("removed", REMOVED, None)]
    )
    note = (
        "Width is bytes of text down to dedupe and tokens from bucket on, scaled so that the two meet there. "
        "Grey goes no further. A colour that changes its width without grey was changed by a named transform, "
        "or is repeated."
    )
    return join(
        element("p", lead, class_="lead"),
        legend,
        element("div", _picture(levels_of(report), palette), class_="flow"),
        element("p", note, class_="note"),
        (_stage_details(books, palette) for books in report.stages),
    )


def levels_of(report: Report) -> list[Level]:
    """The bars of the picture: what was read, then what each stage passed on."""
    scale = _bytes_per_token(report)
    first = report.stages[0]
    read = {domain: float(account.came_in.bytes) for domain, account in first.domains.items()}
    levels = [Level("sources", read, {}, _amount(first.total.came_in), "")]
    for books in report.stages:
        volume = {domain: _volume(account.kept, scale) for domain, account in books.domains.items()}
        removed = {domain: _removed_share(account) for domain, account in books.domains.items()}
        levels.append(Level(books.stage, volume, removed, _amount(books.total.kept), _changes_line(books.total)))
    return levels


def _bytes_per_token(report: Report) -> float:
    """Bytes of text per token where both are known, so that both can be drawn on one scale."""
    for books in report.stages:
        if books.total.kept.tokens and books.total.kept.bytes:
            return books.total.kept.bytes / books.total.kept.tokens
    return 1.0


def _volume(count: Count, bytes_per_token: float) -> float:
    return count.tokens * bytes_per_token if count.tokens else float(count.bytes)


def _removed_share(account: Account) -> float:
    """How much of what came in was dropped or quarantined, in tokens where they are known, else in bytes."""
    unit = "tokens" if account.came_in.tokens else "bytes"
    removed = sum(getattr(count, unit) for count in (*account.dropped.values(), *account.quarantined.values()))
    return removed / max(getattr(account.came_in, unit), removed, 1)


def _picture(levels: Sequence[Level], palette: Palette) -> Html:
    widest = max(sum(level.volume.values()) for level in levels) or 1.0
    drawn: list[Html] = []
    before: dict[str, tuple[float, float]] = {}
    for level in levels:
        places = _places(level.volume, palette, widest)
        text = element(
            "p",
            element("strong", level.name),
            " ",
            element("span", level.summary),
            element("span", f" {level.changes}", class_="gone") if level.changes else None,
        )
        drawn.append(
            element("div", charts.ribbons(_bands(before, places, level.removed_share, palette)), text, class_="step")
        )
        segments = [
            charts.Segment(
                *place, palette.style(domain), f"{domain}: {numbers.percent((place[1] - place[0]) / _width(places))}"
            )
            for domain, place in places.items()
        ]
        drawn.append(charts.bar(segments, f"{level.name}: {level.summary}, by domain"))
        before = places
    return join(drawn)


def _places(volume: dict[str, float], palette: Palette, widest: float) -> dict[str, tuple[float, float]]:
    places, at = {}, 0.0
    for domain in palette.order_names(volume):
        end = at + volume[domain] / widest
        places[domain] = (at, end)
        at = end
    return places


def _width(places: dict[str, tuple[float, float]]) -> float:
    return max((end for _, end in places.values()), default=0.0) or 1.0


def _bands(
    above: dict[str, tuple[float, float]],
    below: dict[str, tuple[float, float]],
    removed_share: dict[str, float],
    palette: Palette,
) -> list[charts.Band]:
    bands = []
    for domain, (begin, end) in above.items():
        stays = end - (end - begin) * removed_share.get(domain, 0.0)
        bands.append(charts.Band((begin, stays), below.get(domain, (end, end)), palette.style(domain)))
        if end > stays:
            bands.append(charts.Band((stays, end), (end, end), REMOVED))
    return bands


def _changes_line(total: Account) -> str:
    causes = sorted({**total.dropped, **total.quarantined}.items(), key=lambda item: -item[1].documents)
    named = [f"{reason} {numbers.exact(count.documents)}" for reason, count in causes if count.documents]
    rest = f" and {len(named) - 3} more" if len(named) > 3 else ""
    removed = [f"removed: {', '.join(named[:3])}{rest}"] if named else []
    return "; ".join([*(_transform(name, count) for name, count in total.added.items()), *removed])


def _transform(name: str, count: Count) -> str:
    """What a transform added or took away, in the first unit in which it did."""
    if count.documents:
        return f"{name}: {count.documents:+,} documents"
    if count.bytes:
        return f"{name}: {'+' if count.bytes > 0 else ''}{numbers.size(count.bytes)}"
    return f"{name}: {count.tokens:+,} tokens"


def _amount(count: Count) -> str:
    amounts = [f"{numbers.exact(count.documents)} documents"]
    if count.bytes and not count.tokens:
        amounts.append(numbers.size(count.bytes))
    if count.tokens:
        amounts.append(f"{numbers.rounded(count.tokens)} tokens")
    return ", ".join(amounts)


def _stage_details(books: StageBooks, palette: Palette) -> Html:
    total = books.total
    gone = sum(count.documents for count in (*total.dropped.values(), *total.quarantined.values()))
    summary = f"{books.stage}: {numbers.exact(total.kept.documents)} documents kept, {numbers.exact(gone)} removed"
    return folded(summary, _domain_table(books, palette), _reason_table(books), _examples(books))


def _domain_table(books: StageBooks, palette: Palette) -> Html:
    domains = [(domain, books.domains[domain]) for domain in palette.order_names(books.domains)]
    unit = "tokens" if books.total.kept.tokens else "bytes"
    rows = []
    for name, account in [*domains, (ALL, books.total)]:
        came_in = account.came_in.documents
        removed = sum(count.documents for count in (*account.dropped.values(), *account.quarantined.values()))
        rows.append([
            name,
            numbers.exact(came_in),
            numbers.exact(sum(count.documents for count in account.added.values())),
            numbers.exact(removed),
            numbers.percent(removed / came_in if came_in else None),
            numbers.exact(account.kept.documents),
            numbers.exact(getattr(account.kept, unit)),
        ])  # fmt: skip
    head = ["domain", "documents in", "by transforms", "removed", "share removed", "kept", f"{unit} kept"]
    return table(f"{books.stage}: documents by domain", head, rows)


def _reason_table(books: StageBooks) -> Html | None:
    total = books.total
    kinds = (("dropped", total.dropped), ("quarantined", total.quarantined), ("changed", total.added))
    rows = [
        [reason, kind, numbers.exact(count.documents), numbers.exact(count.bytes), numbers.exact(count.tokens)]
        for kind, counts in kinds
        for reason, count in sorted(counts.items(), key=lambda item: -item[1].documents)
    ]
    if not rows:
        return None
    return table(f"{books.stage}: why", ["reason", "what", "documents", "bytes", "tokens"], rows, text_columns=2)


def _examples(books: StageBooks) -> Html | None:
    rows = [
        [example.id, reason, example.domain, example.detail or "", numbers.exact(example.bytes)]
        for reason, examples in books.examples.items()
        for example in examples
    ]
    if not rows:
        return None
    head = ["document", "reason", "domain", "what the rule saw", "bytes"]
    return table(f"{books.stage}: the first few removed for each reason", head, rows, text_columns=4)
