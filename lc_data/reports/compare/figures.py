"""The figures by which runs are compared: every number of a report that two runs can have in common, by name."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from lc_data.corpus.ledger import Count
from lc_data.reports.content import PlanContent, Report
from lc_data.reports.model import ReportModel

Unit = Literal["documents", "tokens", "bytes", "share", "points", "number", "ratio", "nats"]
Measured = dict[tuple[str, str, Unit], float]
"""By where, what and unit. ``share`` is a part of 1, ``nats`` per token."""


class Figure(ReportModel):
    """One number of both runs."""

    where: str
    what: str
    unit: Unit
    first: float | None
    """None where the run does not have it."""
    second: float | None

    @property
    def difference(self) -> float | None:
        """The second less the first; None where one is missing."""
        return None if self.first is None or self.second is None else self.second - self.first


@dataclass(frozen=True)
class ReportFigures:
    """All figures of one report."""

    headline: Measured
    groups: dict[str, Measured]


def measure(report: Report) -> ReportFigures:
    """Name every figure of a report."""
    groups: dict[str, Measured] = {"ledger": _ledger(report), "lengths": _lengths(report)}
    for key, of_plan in (("mixture", _mixture), ("rows", _rows), ("losses", _losses)):
        groups[key] = {name: value for plan in report.plans for name, value in of_plan(plan).items()}
    return ReportFigures(_headline(report), groups)


def _headline(report: Report) -> Measured:
    read = report.stages[0].total.came_in
    figures: Measured = {("input", "documents read", "documents"): read.documents}
    figures["input", "text read", "bytes"] = read.bytes
    if report.lengths:
        figures["corpus", "documents kept", "documents"] = sum(sum(one.documents) for one in report.lengths.domains)
        figures["corpus", "tokens, each once", "tokens"] = sum(sum(one.tokens) for one in report.lengths.domains)
    for plan in report.plans:
        figures[plan.purpose, "rows", "number"] = plan.packs
        figures[plan.purpose, "tokens in the rows", "tokens"] = plan.tokens
        figures[plan.purpose, "of the rows filled", "share"] = plan.fill
        if plan.tokens:
            mean = sum(domain.context_sum for domain in plan.domains) / plan.tokens
            figures[plan.purpose, "mean context of a token, tokens", "ratio"] = mean
    for training in report.trainings:
        figures[training.kind, "last loss", "nats"] = training.last_loss
        if training.gains:
            figures[training.kind, "gain from long context", "nats"] = training.gains[-1].gain
    for evaluation in report.evaluations:
        figures[f"checkpoint of {evaluation.checkpoint}", "loss on held-out documents", "nats"] = evaluation.nll
    return figures


def _ledger(report: Report) -> Measured:
    figures: Measured = {}
    for books in report.stages:
        for domain, account in books.domains.items():
            where = f"{books.stage}, {domain}"
            _enter(figures, where, "in", account.came_in)
            _enter(figures, where, "kept", account.kept)
            for what, counts in (("changed by", account.added), ("dropped by", account.dropped),
                                 ("quarantined by", account.quarantined)):  # fmt: skip
                for reason, count in counts.items():
                    _enter(figures, where, f"{what} {reason}", count)
    return figures


def _enter(figures: Measured, where: str, what: str, count: Count) -> None:
    figures[where, what, "documents"] = count.documents
    figures[where, what, "bytes"] = count.bytes
    if count.tokens:
        figures[where, what, "tokens"] = count.tokens


def _lengths(report: Report) -> Measured:
    figures: Measured = {}
    if report.lengths is None:
        return figures
    edges = report.lengths.class_edges_tokens
    names = [f"{low:,} to {high - 1:,} tokens" for low, high in pairwise(edges)] + [f"{edges[-1]:,} tokens and more"]
    for domain in report.lengths.domains:
        for name, documents, tokens in zip(names, domain.class_documents, domain.class_tokens, strict=True):
            figures[domain.domain, f"documents of {name}", "documents"] = documents
            figures[domain.domain, f"tokens in documents of {name}", "tokens"] = tokens
        figures[domain.domain, "longest document", "tokens"] = domain.longest_tokens
        figures[domain.domain, "median document", "tokens"] = domain.median_tokens
        figures[domain.domain, "median by tokens", "tokens"] = domain.token_median_tokens
    return figures


def _mixture(plan: PlanContent) -> Measured:
    figures: Measured = {}
    for domain in plan.domains:
        where = f"{plan.purpose}, {domain.domain}"
        if domain.wanted_share is not None:
            figures[where, "wanted", "share"] = domain.wanted_share
        figures[where, "in the rows", "share"] = domain.tokens / max(plan.tokens, 1)
        figures[where, "tokens in the rows", "tokens"] = domain.tokens
        figures[where, "most repeats of a document", "number"] = domain.most_repeats
    for stage in plan.promises.stages if plan.promises else []:
        for draw in stage.domains:
            where = f"{plan.purpose}, stage {stage.name}, {draw.domain}"
            figures[where, "asked for", "share"] = draw.asked_share
            figures[where, "settled on", "share"] = draw.settled_share
            figures[where, "in the rows", "share"] = draw.tokens / max(stage.tokens, 1)
        if stage.long:
            where = f"{plan.purpose}, stage {stage.name}"
            figures[where, "long share before mixing", "share"] = stage.long.before
            figures[where, "long share after mixing", "share"] = stage.long.after
    return figures


def _rows(plan: PlanContent) -> Measured:
    figures: Measured = {
        (plan.purpose, "row length", "tokens"): plan.seq_len,
        (plan.purpose, "rows", "number"): plan.packs,
        (plan.purpose, "pieces", "number"): plan.pieces,
        (plan.purpose, "padding", "tokens"): plan.padding_tokens,
        (plan.purpose, "filled", "share"): plan.fill,
        (plan.purpose, "documents in several pieces", "documents"): plan.documents_cut,
    }
    for domain in plan.domains:
        mean = domain.context_sum / max(domain.tokens, 1)
        figures[f"{plan.purpose}, {domain.domain}", "mean context of a token, tokens", "ratio"] = mean
    if plan.promises:
        figures[plan.purpose, "attention work, slowest by mean", "ratio"] = plan.promises.attention_max_over_mean
        if plan.promises.window:
            figures[plan.purpose, "worst window of 10 M tokens, off by", "points"] = plan.promises.window.share_off
    return figures


def _losses(plan: PlanContent) -> Measured:
    figures: Measured = {(plan.purpose, "documents not seen to their end", "documents"): plan.documents_shortened}
    if plan.promises is None:
        return figures
    for reason, loss in plan.promises.losses.items():
        figures[plan.purpose, reason.replace("_", " "), "documents"] = loss.documents
        figures[plan.purpose, reason.replace("_", " "), "tokens"] = loss.tokens
    figures[plan.purpose, "cut though they fit one row", "documents"] = plan.promises.documents_cut
    figures[plan.purpose, "taken out", "tokens"] = plan.promises.take_down.removed_tokens
    return figures
