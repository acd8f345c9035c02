"""Copies inside the corpus and stretches shared with evaluations: counts first, then rows to look at."""

from __future__ import annotations

from lc_data.reports.content import Report
from lc_data.reports.findings import ClusterMember, DuplicateClusters, SharedStretches
from lc_data.reports.page import numbers
from lc_data.reports.page.markup import Html, element, folded, join, table


def findings_section(report: Report) -> Html:
    """Both findings of a run that has been through the stage filter."""
    rows = [["copies and near-copies inside the corpus", _copies_line(report)],
            ["stretches shared with evaluations", _shared_line(report.shared_stretches)]]  # fmt: skip
    clusters, shared = report.duplicates, report.shared_stretches
    return join(
        table("What was looked for, and what was found", ["what", "found"], rows, text_columns=2),
        _clusters(clusters) if clusters else None,
        _shared(shared) if shared and shared.total else None,
    )


def _copies_line(report: Report) -> str:
    books = report.stage("dedupe")
    if books is None:
        return "not looked for"
    removed = sum(count.documents for count in books.total.dropped.values())
    size = sum(count.bytes for count in books.total.dropped.values())
    return f"{numbers.exact(removed)} documents ({numbers.size(size)}) removed" if removed else "none found"


def _shared_line(shared: SharedStretches | None) -> str:
    if shared is None:
        return "not looked for: the recipe names no evaluations under filter.decontaminate"
    return f"{numbers.exact(shared.total)} stretches" if shared.total else "none found"


def _clusters(found: DuplicateClusters) -> Html | None:
    if found.not_listed is not None:
        return element("p", f"The clusters cannot be listed: {found.not_listed}", class_="note")
    if not found.clusters:
        return None
    rows = [
        [one.keeper, member.document, member.domain, member.reason, f"{member.measure} {member.similarity:.3f}",
         _span(member), numbers.exact(member.bytes)]
        for one in found.clusters
        for member in one.members
    ]  # fmt: skip
    head = ["document that stays", "document that went", "domain", "reason", "what decided",
            "longest stretch in both, bytes", "bytes"]  # fmt: skip
    return join(
        element("h3", "The largest clusters of duplicates"),
        _sizes(found),
        folded("The first documents of each cluster", table("First members of the largest clusters", head, rows, 6)),
    )


def _sizes(found: DuplicateClusters) -> Html:
    head = ["document that stays", "reason of the first that went", "documents that went", "size of these"]
    rows = [
        [one.keeper, one.members[0].reason, numbers.exact(one.documents), numbers.size(one.bytes)]
        for one in found.clusters
    ]
    return table("Documents that stay for the most others", head, rows, text_columns=2)


def _span(member: ClusterMember) -> str:
    if not member.longest_span:
        return numbers.NONE
    own_from, own_to, other_from, other_to = member.longest_span
    return f"{own_from:,} to {own_to:,}; in the other {other_from:,} to {other_to:,}"


def _shared(shared: SharedStretches) -> Html:
    decisions = sorted({decision for counts in shared.counts.values() for decision in counts})
    counted = [
        [kind, *(numbers.exact(counts.get(decision, 0)) for decision in decisions)]
        for kind, counts in shared.counts.items()
    ]
    rows = [
        [one.document, one.decision, one.evaluation, one.kind, f"{one.file}, line {one.item + 1:,}", one.beginning,
         f"{one.span[0]:,} to {one.span[1]:,}"]
        for one in shared.rows
    ]  # fmt: skip
    head = ["document", "decision", "evaluation", "whose text", "item", "how the stretch begins", "bytes from and to"]
    shown = f"The first {len(shared.rows):,} of {shared.total:,} stretches"
    return join(
        element("h3", "Stretches shared with evaluations"),
        table("Stretches by evaluation and kind", ["evaluation/kind", *decisions], counted),
        folded(shown, table("Stretches shared with evaluations", head, rows, 6)),
    )
