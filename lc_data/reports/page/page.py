"""The page as a whole: its head, its sections in the order in which data flows, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

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
from lc_data.reports.page.training import evaluation_section, training_section


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    key: str
    """Its anchor."""
    name: str
    """What the navigation calls it."""
    title: str
    content: Html

    def render(self) -> Html:
        """The part as an element."""
        heading = f"{self.key}-title"
        return element(
            "section", element("h2", self.title, id=heading), self.content, id=self.key, aria_labelledby=heading
        )


def render_page(report: Report) -> str:
    """The report as one HTML file: no script, no font, no image, nothing from elsewhere."""
    sections = _sections(report)
    # A style element holds raw text, and the style sheet is the package's own file: the one place without escaping.
    style = Html(f"<style>{files('lc_data.reports').joinpath('style.css').read_text(encoding='utf-8')}</style>")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{report.name}: what is in this corpus"),
        style,
    )
    made_by = f"Written by lc_data {report.package_version} from the run's own files; every number is in report.json."
    body = element(
        "body",
        element("a", "Skip to the report", href="#main", class_="skip"),
        _header(report),
        element("nav", (element("a", part.name, href=f"#{part.key}") for part in sections), aria_label="Sections"),
        element("main", (part.render() for part in sections), id="main"),
        element("footer", made_by),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


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
    if report.lengths and report.plans:
        content = packs_section(report.plans, report.lengths.edges_tokens, palette)
        parts.append(Section("rows", "Rows", "The rows that a model reads", content))
    if report.trainings:
        parts.append(Section("training", "Training", "How training went", training_section(report.trainings)))
    if report.evaluations:
        content = evaluation_section(report.evaluations, palette)
        parts.append(Section("evaluation", "Evaluation", "Loss by position, on held-out documents", content))
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
