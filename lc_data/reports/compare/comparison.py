"""What differs between two reports: a function of the two, so whoever doubts a line finds it in both report.json."""

from __future__ import annotations

from lc_data.reports.compare.figures import Figure, Measured, measure
from lc_data.reports.compare.recipes import RecipeDifference, recipe_differences
from lc_data.reports.content import Report
from lc_data.reports.model import ReportModel

FORMAT_VERSION = 1


class Group(ReportModel):
    """The figures of one subject, those of both runs together."""

    key: str
    title: str
    differing: list[Figure]
    """Figures that are not the same in both, or that only one run has."""
    same: int
    """How many are the same in both."""


class Comparison(ReportModel):
    """Two runs, A and B. Differences are B less A."""

    format_version: int = FORMAT_VERSION
    names: tuple[str, str]
    """What the two runs are called."""
    titles: tuple[str, str]
    """The names of their recipes."""
    headline: list[Figure]
    """The same few figures in every comparison, differing or not."""
    recipe: list[RecipeDifference]
    recipe_same: int
    """How many keys of the recipes are the same in both."""
    groups: list[Group]
    same_plans: list[str]
    """Purposes whose plans are the same to the last piece."""
    same_stages: list[str]
    """Stages with the same fingerprint: they did the same work on the same input."""


def compare_reports(first: Report, second: Report, names: tuple[str, str]) -> Comparison:
    """Compare two reports, called ``names``."""
    one, two = measure(first), measure(second)
    differences, same = recipe_differences(first.recipe, second.recipe)
    stages = [books.stage for books in first.stages if (other := second.stage(books.stage))
              and other.fingerprint == books.fingerprint]  # fmt: skip
    plans = [plan.purpose for plan in first.plans if (twin := second.plan(plan.purpose))
             and twin.plan_hash == plan.plan_hash]  # fmt: skip
    return Comparison(
        names=names,
        titles=(first.name, second.name),
        headline=_figures(one.headline, two.headline),
        recipe=differences,
        recipe_same=same,
        groups=[
            _group(key, title, one.groups[key], two.groups[key])
            for key, title in (
                ("ledger", "What went through the stages"),
                ("lengths", "How long the documents are"),
                ("mixture", "The mixture of the plans"),
                ("rows", "The rows of the plans"),
                ("losses", "What the plans leave out"),
            )
        ],
        same_plans=plans,
        same_stages=stages,
    )


def _group(key: str, title: str, one: Measured, two: Measured) -> Group:
    figures = _figures(one, two)
    differing = [figure for figure in figures if figure.first != figure.second]
    return Group(key=key, title=title, differing=differing, same=len(figures) - len(differing))


def _figures(one: Measured, two: Measured) -> list[Figure]:
    """All figures of either, in the order of the first, then those that only the second has."""
    return [
        Figure(
            where=where, what=what, unit=unit, first=one.get((where, what, unit)), second=two.get((where, what, unit))
        )
        for where, what, unit in dict.fromkeys([*one, *two])
    ]
