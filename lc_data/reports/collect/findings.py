"""The largest clusters of duplicates and the first stretches shared with evaluations, from the rows of their stages."""

from __future__ import annotations

from lc_data.corpus.contaminations import read_contaminations
from lc_data.corpus.duplicates import Duplicate, DuplicatesError, largest_clusters
from lc_data.corpus.run import RunFolder
from lc_data.reports.findings import (
    ClusterMember,
    DuplicateCluster,
    DuplicateClusters,
    SharedStretch,
    SharedStretches,
)

CLUSTERS = 20
MEMBERS = 5
STRETCHES = 50


def read_clusters(run: RunFolder) -> DuplicateClusters | None:
    """The largest clusters; None for a run that has not been through dedupe.

    A run that an older version of lc_data deduplicated is reported all the same, with the reason why it has no list.
    """
    if not run.stage("dedupe").is_published():
        return None
    try:
        found = largest_clusters(run.uri, CLUSTERS, MEMBERS)
    except DuplicatesError as error:
        return DuplicateClusters(clusters=[], not_listed=str(error))
    clusters = [
        DuplicateCluster(
            keeper=cluster.keeper,
            documents=cluster.documents,
            bytes=cluster.bytes,
            members=[_member(duplicate) for duplicate in cluster.members],
        )
        for cluster in found
    ]
    return DuplicateClusters(clusters=clusters, not_listed=None)


def read_shared_stretches(run: RunFolder) -> SharedStretches | None:
    """The stretches shared with evaluations; None where the run looked for none."""
    folder = run.stage("filter")
    if not folder.is_published() or "decontaminate" not in folder.manifest().facts:
        return None
    found = read_contaminations(run.uri, STRETCHES)
    rows = [
        SharedStretch(
            document=row.document,
            evaluation=row.evaluation,
            file=row.file,
            item=row.item,
            kind=row.kind,
            span=list(row.span),
            decision=row.decision,
            beginning=row.beginning,
        )
        for row in found.rows
    ]
    return SharedStretches(total=found.total, counts=found.counts, rows=rows)


def _member(duplicate: Duplicate) -> ClusterMember:
    longest = max(duplicate.spans, key=lambda span: span[1] - span[0], default=())
    return ClusterMember(
        document=duplicate.document,
        domain=duplicate.domain,
        bytes=duplicate.bytes,
        reason=duplicate.reason,
        measure=duplicate.measure,
        similarity=duplicate.similarity,
        longest_span=list(longest),
    )
