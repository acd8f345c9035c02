"""What a rule says about a batch of documents, and how bounds on measures become verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Measures = Mapping[str, npt.NDArray]
"""Measured columns: one number per document under each name."""


@dataclass(frozen=True)
class Failure:
    """Why a document is dropped: the test that it failed, what was measured, and the limit."""

    test: str
    measured: float | str | None = None
    limit: float | str | None = None
    found: dict[str, Any] = field(default_factory=dict)
    """What else tells why: the windows that failed, the languages of a mixed document."""

    def detail(self) -> dict[str, Any]:
        """The measure, the limit and whatever else was found, for the row of the dropped document."""
        pairs = (("measured", self.measured), ("limit", self.limit), *self.found.items())
        return {
            key: round(value, 6) if isinstance(value, float) else value for key, value in pairs if value is not None
        }

    def detail_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.detail(), ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True)
class Judgement:
    """A rule's verdict on a batch."""

    failures: dict[int, Failure] = field(default_factory=dict)
    """The rows that fail."""
    measures: Measures = field(default_factory=dict)
    languages: dict[int, str] = field(default_factory=dict)
    """Rows whose language the rule found."""
    rewritten: dict[int, tuple[str, list[dict] | None]] = field(default_factory=dict)
    """Rows whose text a transform changed: the new text and its parts."""
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What is written into the metadata of rows, under ``lc_data``."""


class Rule(Protocol):
    """One rule of a recipe, ready to judge. Judging is a pure function of the documents."""

    def judge(self, documents: pa.RecordBatch) -> Judgement:
        """Judge documents (``DOCUMENT_SCHEMA``), all of them the rule's own to judge."""
        ...


@dataclass(frozen=True)
class Bound:
    """A test on one measure: at least ``low``, at most ``high``, where they are given."""

    test: str
    measure: str
    low: float | None = None
    high: float | None = None


def check_bounds(measures: Measures, bounds: Iterable[Bound]) -> dict[int, Failure]:
    """The first bound that each row breaks, in the order of ``bounds``. NaN, not measurable, breaks none."""
    failures: dict[int, Failure] = {}
    for bound in bounds:
        values = measures[bound.measure]
        for limit, broken in (
            (bound.low, values < bound.low if bound.low is not None else None),
            (bound.high, values > bound.high if bound.high is not None else None),
        ):
            if broken is None:
                continue
            for row in np.flatnonzero(broken):
                failures.setdefault(int(row), Failure(bound.test, values[row].item(), limit))
    return failures
