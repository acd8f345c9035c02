"""Predictions at rest: one JSON object a line in a file per task, in LongBench's layout.

The keys ``pred``, ``answers``, ``all_classes`` and ``length`` are those of LongBench, so that its own scorer reads the
files too; ``_id`` lets a run that was stopped go on, and whatever else a metric needs stands beside them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lc_data.failure import Failure

_KEYS = ("_id", "pred", "answers", "all_classes", "length")


@dataclass(frozen=True)
class Prediction:
    """What a model answered to one item, and what was expected."""

    id: str
    pred: str
    answers: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """The classes of a classification task."""
    length: int | None = None
    """The length that the benchmark states: words, or characters of a Chinese text."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else is known of the item: depth, length in tokens, how many of them were cut."""

    def as_line(self) -> bytes:
        """The line of the file, with its end."""
        known = dict(
            zip(_KEYS, (self.id, self.pred, self.answers, list(self.labels) or None, self.length), strict=True)
        )
        return json.dumps({**known, **self.facts}, ensure_ascii=False).encode() + b"\n"


def read_predictions(path: Path) -> list[Prediction]:
    """The predictions of one task. A line without ``_id`` is named by its number.

    Raises:
        Failure: for a line that is no JSON object with ``pred`` and ``answers``.

    """
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            if line.strip():
                rows.append(_parse(line, f"{path}:{number + 1}", str(number)))
    return rows


def _parse(line: str, where: str, name: str) -> Prediction:
    try:
        row = json.loads(line)
        pred, answers = row["pred"], row["answers"]
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"{where}: a prediction is a JSON object with the keys pred and answers ({error!r})") from error
    if not isinstance(pred, str) or not isinstance(answers, list) or not all(isinstance(a, str) for a in answers):
        raise Failure(f"{where}: pred must be a string and answers a list of strings")
    if not answers:
        raise Failure(f"{where}: answers is empty, so nothing can be right")
    facts = {key: value for key, value in row.items() if key not in _KEYS}
    labels = tuple(row.get("all_classes") or ())
    return Prediction(str(row.get("_id", name)), pred, tuple(answers), labels, row.get("length"), facts)
