"""The page as a whole: its head, its sections in the order in which data flows, and what it was made from."""

from __future__ import annotations

import yaml

from lc_data.reports.content import Report
from lc_data.reports.page import numbers
from lc_data.reports.page.cost import cost_section
from lc_data.reports.page.findings import findings_section
from lc_data.reports.page.flow import flow_section
from lc_data.reports.page.lengths import lengths_section
from lc_data.reports.page.markup import Html, element, folded, join, table
from lc_data.reports.page.mixture import mixture_section
from lc_data.reports.page.packs import packs_section
from lc_data.reports.page.palette import Palette
from lc_data.reports.page.shell import Section, render_document
from lc_data.reports.page.suites import suites_section
from lc_data.reports.page.training import evaluation_section, training_section
from lc_data.reports.page.transforms import transforms_section


def render_page(report: Report) -> str:
    """The report as one HTML file: no script, no font, no image, nothing from elsewhere."""
    made_by = f"Written by lc_data {report.package_version} from the run's own files; every number is in report.json."
    return render_document(f"{report.name}: what is in this corpus", _header(report), _sections(report), made_by)


def _sections(report: Report) -> list[Section]:
    """The parts that the run has something for."""
    palette = Palette(report.domains)
    weighed = [plan for plan in report.plans if plan.purpose != "held_out"]
    parts = [Section("flow", "Flow", "Where every document went", flow_section(report, palette))]
    if report.stage("filter"):
        content = findings_section(report)
        parts.append(Section("findings", "Findings", "Copies, and what is shared with evaluations", content))
    if report.lengths and report.lengths.domains:
        content = lengths_section(report, report.lengths, palette)
        parts.append(Section("lengths", "Lengths", "How long the documents are", content))
    if weighed:
        content = mixture_section(weighed, palette)
        parts.append(Section("mixture", "Mixture", "The mixture, wanted and real", content))
    if report.transforms:
        parts.append(Section("transforms", "Transforms", "What was transformed", transforms_section(report.transforms)))
    if report.lengths and report.plans:
        content = packs_section(report.plans, report.lengths.edges_tokens, palette)
        parts.append(Section("rows", "Rows", "The rows that a model reads", content))
    if report.trainings:
        parts.append(Section("training", "Training", "How training went", training_section(report.trainings, palette)))
    if report.evaluations:
        content = evaluation_section(report.evaluations, palette)
        parts.append(Section("evaluation", "Evaluation", "Loss by position, on held-out documents", content))
    if report.suites:
        parts.append(Section("suites", "Tasks", "Scores of suites of tasks", suites_section(report.suites)))
    parts.append(Section("cost", "Cost", "What the stages cost", cost_section(report)))
    parts.append(Section("making", "Making", "How this run was made", _making(report)))
    return parts


def _header(report: Report) -> Html:
    facts = [("documents read", numbers.exact(report.stages[0].total.came_in.documents))]
    if report.lengths:
        documents = sum(sum(domain.documents) for domain in report.lengths.domains)
        tokens = sum(sum(domain.tokens) for domain in report.lengths.domains)
        facts += [("documents kept", numbers.exact(documents)), ("tokens, each once", numbers.rounded(tokens))]
    plan = report.plan("pretrain") or report.plan("sft")
    if plan:
        facts.append((f"rows of {numbers.length(plan.seq_len)} tokens", numbers.exact(plan.packs)))
        facts.append(("of the rows filled", numbers.percent(plan.fill, 2)))
    tiles = (element("div", element("dt", name), element("dd", value)) for name, value in facts)
    return element(
        "header",
        element("h1", report.name),
        element("p", report.description) if report.description else None,
        element("dl", tiles, class_="facts"),
    )


def _making(report: Report) -> Html:
    facts = [["seed", str(report.seed)]]
    if report.tokenizer:
        made_by = report.tokenizer
        facts.append(["tokenizer", f"{made_by.name}, {numbers.exact(made_by.vocab_size)} tokens, {made_by.hash}"])
    facts += [[f"fingerprint of {books.stage}", books.fingerprint] for books in report.stages]
    facts += [[f"hash of the plan {plan.purpose}", plan.plan_hash] for plan in report.plans]
    recipe = yaml.safe_dump(report.recipe, sort_keys=False, allow_unicode=True)
    return join(
        table("Marks by which this run can be told from others", ["what", "value"], facts, text_columns=2),
        folded("The resolved recipe", element("pre", recipe, tabindex="0")),
    )
