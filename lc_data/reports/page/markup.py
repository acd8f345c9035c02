"""HTML and SVG built from elements, so that text is escaped where it enters and nowhere can be forgotten.

Ids, domains and rule details come from the data and may hold anything; a plain string is always text, and only what
:func:`element` returns is markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_VOID = frozenset({"meta", "link", "br", "hr", "rect", "line", "path", "circle"})


class Html(str):
    """A string that is markup already."""

    __slots__ = ()


Child = str | Iterable["Html"] | None


def element(tag: str, *children: Child, **attributes: str | float | None) -> Html:
    """An element. ``class_`` and ``aria_label`` become ``class`` and ``aria-label``; None leaves an attribute out."""
    opening = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_text(value), quote=True)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID and not children:
        return Html(f"<{tag}{opening}/>")
    return Html(f"<{tag}{opening}>{join(*children)}</{tag}>")


def join(*children: Child) -> Html:
    """Several pieces of markup or text, one after the other."""
    return Html("".join(_render(child) for child in children))


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> Html:
    """A table of numbers: the first columns are text, the others are aligned to the right.

    It scrolls by itself where it is wider than the page, by touch and by keyboard.
    """
    aligned = [None if column < text_columns else "number" for column in range(len(head))]
    header = (element("th", name, scope="col", class_=kind) for name, kind in zip(head, aligned, strict=True))
    body = (
        element(
            "tr", (_cell(value, kind, column) for column, (value, kind) in enumerate(zip(row, aligned, strict=True)))
        )
        for row in rows
    )
    whole = element(
        "table", element("caption", caption), element("thead", element("tr", header)), element("tbody", body)
    )
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def folded(summary: str, *children: Child) -> Html:
    """Content that opens on demand."""
    return element("details", element("summary", summary), *children)


def _cell(value: str, kind: str | None, column: int) -> Html:
    return element("th", value, scope="row") if column == 0 else element("td", value, class_=kind)


def _render(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return escape(child, quote=False)
    return "".join(_render(piece) for piece in child)


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
