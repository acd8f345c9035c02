"""What dedupe and decontamination found, with enough rows to be checked by hand."""

from __future__ import annotations

from lc_data.reports.model import ReportModel


class ClusterMember(ReportModel):
    """A document that went for another one."""

    document: str
    domain: str
    bytes: int
    reason: str
    measure: str
    """What decided: ``jaccard`` of copies and near-duplicates, ``coverage`` of what is contained in the other."""
    similarity: float
    """The value of that measure, from 0 to 1."""
    longest_span: list[int]
    """The longest stretch that both have: bytes from and to in this one, from and to in the other; empty for none."""


class DuplicateCluster(ReportModel):
    """A document that stays, and the first of those that went for it."""

    keeper: str
    documents: int
    """How many went."""
    bytes: int
    members: list[ClusterMember]


class DuplicateClusters(ReportModel):
    """The largest clusters of a run."""

    clusters: list[DuplicateCluster]
    not_listed: str | None
    """Why there is no list, where the stage was run by an older version of lc_data; None otherwise."""


class SharedStretch(ReportModel):
    """A stretch that a document shares with an item of an evaluation."""

    document: str
    evaluation: str
    file: str
    item: int
    """The line of the item in its file, from 0."""
    kind: str
    """``question``, ``answer`` or ``context``."""
    span: list[int]
    """Bytes of the document from and to."""
    decision: str
    beginning: str


class SharedStretches(ReportModel):
    """All shared stretches of a run, counted, and the first of them."""

    total: int
    counts: dict[str, dict[str, int]]
    """By ``evaluation/kind`` and by what became of the document."""
    rows: list[SharedStretch]
