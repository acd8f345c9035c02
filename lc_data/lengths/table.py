"""The two tables of a corpus's lengths: share of documents and share of tokens, by class of length and domain.

One without the other misleads: of the corpus behind Index-1.9B-32K, 97% of the documents are shorter than 4K tokens and
hold 73% of its tokens; what decides about long context is the 27%.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lc_data.lengths.buckets import bucket_names
from lc_data.lengths.histogram import LengthHistogram
from lc_data.recipe.errors import RecipeError

STEP_CLASSES = 8
"""Classes of one step each, before the last one that holds all longer documents."""

_LENGTH = re.compile(r"(\d+)([KkMm]?)")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}
_LEAST_EDGE, _MOST_EDGE = 1 << 10, 1 << 20


def choose_edges(longest_tokens: int, edges: str | None = None, step: int | None = None) -> tuple[int, ...]:
    """The lengths at which a class begins, ascending.

    ``edges`` lists them (``4K,8K,32768``; K is 1,024). ``step`` makes eight classes of so many tokens and a last one,
    so that 4096 gives the classes of the Index-1.9B-32K report. With neither, powers of two from 1K up to the first
    that ``longest_tokens`` does not exceed, or 1M. Raises :class:`RecipeError` for edges that do not ascend.
    """
    if edges is not None and step is not None:
        raise RecipeError("--edges and --step both say where classes begin: give one of them")
    if step is not None:
        if step < 1:
            raise RecipeError(f"--step is {step}; it must be at least 1")
        return tuple(step * number for number in range(1, STEP_CLASSES + 1))
    if edges is not None:
        chosen = tuple(_tokens(part) for part in edges.split(","))
        if any(low >= high for low, high in zip((0, *chosen), chosen, strict=False)) or len(chosen) > 254:
            raise RecipeError(f"--edges must be at most 254 ascending lengths above 0, got {edges!r}")
        return chosen
    last = max(_LEAST_EDGE, min(_MOST_EDGE, 1 << max(longest_tokens - 1, 0).bit_length()))
    return tuple(1 << power for power in range(_LEAST_EDGE.bit_length() - 1, last.bit_length()))


def _tokens(text: str) -> int:
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        raise RecipeError(f"--edges: {text!r} is not a length; write tokens as 4096 or 4K, separated by commas")
    return int(found[1]) * _UNITS[found[2].lower()]


@dataclass(frozen=True)
class ShareTable:
    """Shares by domain (rows, the whole corpus last) and class of length (columns)."""

    what: str
    """documents or tokens"""
    classes: tuple[str, ...]
    domains: tuple[str, ...]
    counts: np.ndarray
    """int64 [domains + 1, classes]"""

    @property
    def shares(self) -> np.ndarray:
        """float64 [domains + 1, classes]: rows sum to 1, or are 0."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.divide(self.counts, totals, out=np.zeros(self.counts.shape), where=totals > 0)

    def as_text(self) -> str:
        """The table in columns of one width, shares in percent."""
        header = [f"share of {self.what}, %", *self.classes, self.what]
        rows = [
            [name, *map(_percent, shares), f"{total:,}"]
            for name, shares, total in zip(
                (*self.domains, "all"), self.shares.tolist(), self.counts.sum(axis=1).tolist(), strict=True
            )
        ]
        return _aligned([header, *rows])


def tables(histogram: LengthHistogram, domains: Sequence[str], edges: Sequence[int]) -> tuple[ShareTable, ShareTable]:
    """The share of documents and the share of tokens. Classes are the histogram's buckets, which ``edges`` name."""
    classes = (f"0-{bucket_names(edges)[0].lstrip('<')}", *bucket_names(edges)[1:])
    return (
        ShareTable("documents", classes, tuple(domains), _with_total(histogram.documents)),
        ShareTable("tokens", classes, tuple(domains), _with_total(histogram.tokens)),
    )


def tables_as_json(documents: ShareTable, tokens: ShareTable) -> dict[str, Any]:
    """Both tables: the classes, and of each domain and of ``all`` counts and shares in the order of the classes."""
    rows = {}
    for place, name in enumerate((*documents.domains, None)):
        rows[name] = {
            "documents": documents.counts[place].tolist(),
            "tokens": tokens.counts[place].tolist(),
            "document_shares": documents.shares[place].tolist(),
            "token_shares": tokens.shares[place].tolist(),
        }
    return {"classes": list(documents.classes), "all": rows.pop(None), "domains": rows}


def _with_total(counts: np.ndarray) -> np.ndarray:
    return np.vstack([counts, counts.sum(axis=0, keepdims=True)])


def _percent(share: float) -> str:
    if share == 0:
        return "-"
    return "<0.1" if share < 0.0005 else f"{100 * share:.1f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines of columns: the first to the left, the others to the right; wide characters take two places."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first + " " * (widths[0] - _width(first))]
        cells += [" " * (width - _width(cell)) + cell for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
