"""What the stage augment made of documents: a row for each transform."""

from __future__ import annotations

from collections.abc import Sequence

from lc_data.reports.content import Transformed
from lc_data.reports.page import numbers
from lc_data.reports.page.markup import Html, element, join, table


def transforms_section(transforms: Sequence[Transformed]) -> Html:
    """The table, and what it counts."""
    rows = [
        [
            one.name,
            numbers.exact(one.taken_documents),
            numbers.exact(one.taken_tokens),
            numbers.exact(one.source_documents),
            numbers.exact(one.source_tokens),
            numbers.exact(one.made_tokens),
            numbers.exact(one.rows),
        ]
        for one in transforms
    ]
    head = ["transform", "documents taken", "tokens taken", "documents transformed", "tokens transformed",
            "tokens added", "derived documents"]  # fmt: skip
    text = (
        "Documents that share a row with no other are taken and stay as they are. Derived documents are one attention "
        "span each, and count as documents of the domain that they were made from."
    )
    return join(element("p", text, class_="lead"), table("Transforms, over all domains", head, rows, text_columns=1))
