"""The dataset card: the front matter that the Hugging Face Hub reads, and what was measured, as Markdown.

A card states what is in the data, so nothing is in it that was not counted. What only people can know (what the data
is meant for, what is wrong with it) is theirs to add.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import yaml

from lc_data.reports.content import Report
from lc_data.reports.page import numbers

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
          (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"))  # fmt: skip
"""The Hub's size categories, each with its upper end in documents."""

_LARGEST_SIZE = "100B<n<1T"
_UNSTATED = "not stated"


def render_card(report: Report) -> str:
    """The card of a run as far as the run has come."""
    parts = [
        f"---\n{yaml.safe_dump(_front_matter(report), sort_keys=False, allow_unicode=True)}---",
        f"# {_escape(report.name)}",
        *([_escape(report.description)] if report.description else []),
        "Every number below was counted from the data.",
        "## Documents",
        _stage_table(report),
        _reasons_table(report),
        *_lengths(report),
        *_mixture(report),
        "## Licences and languages",
        _count_table("licence", report.licenses),
        _count_table("language", report.languages),
        "## How it was made",
        _making(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(report: Report) -> dict[str, object]:
    documents = sum(report.licenses.values())
    languages = sorted(language for language in report.languages if language)
    stated = sorted(report.licenses)
    front: dict[str, object] = {"pretty_name": report.name}
    if languages:
        front["language"] = languages
    # Only one licence that every document states is the licence of the whole.
    front["license"] = stated[0].lower() if len(stated) == 1 and stated[0] else "other"
    front["size_categories"] = [next((name for limit, name in _SIZES if documents < limit), _LARGEST_SIZE)]
    front["tags"] = ["lc_data", "long-context"]
    return front


def _stage_table(report: Report) -> str:
    rows = [
        [books.stage, numbers.exact(books.total.came_in.documents), numbers.exact(books.total.kept.documents),
         numbers.exact(books.total.kept.bytes), numbers.exact(books.total.kept.tokens)]
        for books in report.stages
    ]  # fmt: skip
    return _table(["stage", "documents in", "documents kept", "bytes kept", "tokens kept"], rows)


def _reasons_table(report: Report) -> str:
    rows = [
        [books.stage, reason, numbers.exact(count.documents), numbers.exact(count.bytes), numbers.exact(count.tokens)]
        for books in report.stages
        for reason, count in (*books.total.dropped.items(), *books.total.quarantined.items())
    ]
    return _table(["stage", "left because of", "documents", "bytes", "tokens"], rows, text_columns=2) if rows else ""


def _lengths(report: Report) -> Iterable[str]:
    if not report.lengths:
        return
    edges = report.lengths.class_edges_tokens
    names = [numbers.length_range(edges, place) for place in range(len(edges))]
    rows = []
    for domain in report.lengths.domains:
        for unit, counts in (("documents", domain.class_documents), ("tokens", domain.class_tokens)):
            total = sum(counts) or 1
            rows.append(
                [domain.domain, unit, numbers.exact(sum(counts)), *(numbers.percent(count / total) for count in counts)]
            )
    yield "## Lengths in tokens"
    yield _table(["domain", "share of", "all", *names], rows, text_columns=2)


def _mixture(report: Report) -> Iterable[str]:
    if not report.plans:
        return
    yield "## Packed rows"
    for plan in report.plans:
        yield (
            f"`{plan.purpose}`: {numbers.exact(plan.packs)} rows of {numbers.exact(plan.seq_len)} tokens, "
            f"{numbers.percent(plan.fill, 2)} full, {numbers.exact(plan.tokens)} tokens, plan `{plan.plan_hash}`."
        )
        rows = [
            [domain.domain, numbers.percent(domain.wanted_share, 2),
             numbers.percent(domain.tokens / max(plan.tokens, 1), 2), numbers.exact(domain.tokens),
             numbers.exact(domain.documents), numbers.exact(domain.most_repeats)]
            for domain in plan.domains
        ]  # fmt: skip
        yield _table(["domain", "wanted", "in the rows", "tokens", "documents", "most repeats"], rows)


def _count_table(name: str, counts: dict[str, int]) -> str:
    rows = [[value or _UNSTATED, numbers.exact(count)] for value, count in counts.items()]
    return _table([name, "documents"], rows)


def _making(report: Report) -> str:
    lines = [f"lc_data {report.package_version}, seed {report.seed}."]
    if report.tokenizer:
        tokens = numbers.exact(report.tokenizer.vocab_size)
        lines.append(
            f"Tokenizer {_escape(report.tokenizer.name)}, {tokens} tokens, xxh3-128 `{report.tokenizer.hash}`."
        )
    lines += [f"Stage {books.stage}: fingerprint `{books.fingerprint}`." for books in report.stages]
    return "\n".join(f"- {line}" for line in lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    rule = ["---" if column < text_columns else "---:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(map(_escape, row))} |" for row in (head, rule, *rows))


def _escape(text: str) -> str:
    """Text that may come from the data, as Markdown that shows it as it is."""
    for character in "\\`*_[]<>|":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
