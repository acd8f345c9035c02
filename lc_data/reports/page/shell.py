"""The frame of a page: its head with the style sheet, the navigation, and the sections in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from lc_data.reports.page.markup import Html, element


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


def render_document(title: str, header: Html, sections: Sequence[Section], footer: str) -> str:
    """One HTML file: no script, no font, no image, nothing from elsewhere."""
    # A style element holds raw text, and the style sheet is the package's own file: the one place without escaping.
    style = Html(f"<style>{files('lc_data.reports').joinpath('style.css').read_text(encoding='utf-8')}</style>")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        style,
    )
    body = element(
        "body",
        element("a", "Skip to the report", href="#main", class_="skip"),
        header,
        element("nav", (element("a", part.name, href=f"#{part.key}") for part in sections), aria_label="Sections"),
        element("main", (part.render() for part in sections), id="main"),
        element("footer", footer),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"
