"""The page of a comparison: the same few figures first, then what differs, subject by subject."""

from __future__ import annotations

from lc_data.reports.compare.comparison import Comparison, Group
from lc_data.reports.compare.figures import Figure, Unit
from lc_data.reports.page import numbers
from lc_data.reports.page.markup import Html, element, folded, join, table
from lc_data.reports.page.shell import Section, render_document

_SHOWN = 40
"""Differing figures of a subject that are shown at once; the others are folded."""


def render_comparison(comparison: Comparison) -> str:
    """The comparison as one HTML file that needs nothing else."""
    first, second = columns(comparison)
    sections = [Section("headline", "Headline", "The two runs in a few figures", _headline(comparison)),
                Section("recipe", "Recipe", "What their recipes ask for", _recipe(comparison))]  # fmt: skip
    sections += [
        Section(group.key, group.key.capitalize(), group.title, _group(group, (first, second)))
        for group in comparison.groups
        if group.differing
    ]
    header = element(
        "header",
        element("h1", f"{comparison.names[0]} and {comparison.names[1]} compared"),
        element("p", f"{first} was made by the recipe {comparison.titles[0]}, {second} by {comparison.titles[1]}."),
        element("p", "Differences are B less A. Every figure is in comparison.json."),
    )
    title = f"{comparison.names[0]} and {comparison.names[1]} compared"
    return render_document(title, header, sections, "Written by lc_data from the two runs' own files.")


def columns(comparison: Comparison) -> tuple[str, str]:
    """What the columns of the two runs are called; A and B tell apart runs of one name."""
    return f"A: {comparison.names[0]}", f"B: {comparison.names[1]}"


def _headline(comparison: Comparison) -> Html:
    return join(
        element("p", _same_line(comparison), class_="lead"),
        _figures_table("Headline figures", comparison.headline, columns(comparison)),
    )


def _same_line(comparison: Comparison) -> str:
    parts = []
    if comparison.same_stages:
        parts.append(f"Stages that did the same work on the same input: {', '.join(comparison.same_stages)}.")
    if comparison.same_plans:
        parts.append(f"Plans that are the same to the last piece: {', '.join(comparison.same_plans)}.")
    same = [group.title.lower() for group in comparison.groups if not group.differing and group.same]
    if same:
        parts.append(f"Without any difference: {'; '.join(same)}.")
    return " ".join(parts) or "No stage and no plan is the same in both."


def _recipe(comparison: Comparison) -> Html:
    if not comparison.recipe:
        return element("p", f"The recipes are the same: {comparison.recipe_same:,} keys.")
    rows = [[one.key, one.first or numbers.NONE, one.second or numbers.NONE] for one in comparison.recipe]
    return join(
        element("p", f"{len(rows):,} keys differ, {comparison.recipe_same:,} are the same.", class_="lead"),
        table("Keys of the recipe that differ", ["key", *columns(comparison)], rows, text_columns=3),
    )


def _group(group: Group, names: tuple[str, str]) -> Html:
    shown, rest = group.differing[:_SHOWN], group.differing[_SHOWN:]
    return join(
        element("p", f"{len(group.differing):,} figures differ, {group.same:,} are the same.", class_="lead"),
        _figures_table(group.title, shown, names),
        folded(f"{len(rest):,} more", _figures_table(f"{group.title}, continued", rest, names)) if rest else None,
    )


def _figures_table(caption: str, figures: list[Figure], names: tuple[str, str]) -> Html:
    rows = [
        [
            one.where,
            _what(one),
            _value(one.first, one.unit),
            _value(one.second, one.unit),
            _difference(one),
            _relative(one),
        ]
        for one in figures
    ]
    return table(caption, ["where", "what", *names, "difference", "in per cent of A"], rows, text_columns=2)


def _what(figure: Figure) -> str:
    """The name with its unit, where neither the name nor the value has it."""
    if figure.unit not in ("documents", "tokens", "bytes") or figure.unit in figure.what:
        return figure.what
    return f"{figure.what}, {figure.unit}"


def _value(value: float | None, unit: Unit) -> str:
    if value is None:
        return numbers.NONE
    if unit == "share":
        return numbers.percent(value, 2)
    if unit == "points":
        return f"{value * 100:.3f} points"
    if unit == "nats":
        return f"{value:.4f} nats"
    return f"{value:,.3f}" if unit == "ratio" else numbers.exact(round(value))


def _difference(figure: Figure) -> str:
    off = figure.difference
    if off is None:
        return "only in A" if figure.second is None else "only in B"
    if off == 0:
        return "same"
    if figure.unit in ("share", "points"):
        return f"{off * 100:+.3f} points"
    if figure.unit == "nats":
        return f"{off:+.4f} nats"
    return f"{off:+,.3f}" if figure.unit == "ratio" else f"{round(off):+,}"


def _relative(figure: Figure) -> str:
    off = figure.difference
    if not off or not figure.first or figure.unit in ("share", "points"):
        return numbers.NONE
    return f"{off / figure.first * 100:+.2f}%"
