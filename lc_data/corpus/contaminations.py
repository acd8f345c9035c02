"""What a run shares with evaluations, read from the rows that the filter stage left of every shared stretch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_batches

_FOLDER = "contamination/"


@dataclass(frozen=True)
class Contamination:
    """A stretch that a document shares with an item of an evaluation."""

    document: str
    evaluation: str
    file: str
    """The file of the evaluation, as the recipe's path led to it."""
    item: int
    """The line of the item in its file, from 0."""
    kind: str
    """``question``, ``answer`` or ``context``: whose text it is."""
    span: tuple[int, int]
    """The bytes of the document from and to which it stands."""
    decision: str
    """What became of the document: ``dropped`` or ``reported``."""
    beginning: str
    """How the stretch begins."""


@dataclass(frozen=True)
class Contaminations:
    """All shared stretches of a run, counted, and the first of them."""

    total: int
    counts: dict[str, dict[str, int]]
    """Stretches by ``evaluation/kind`` and by decision, in sorted order."""
    rows: tuple[Contamination, ...]
    """At most as many as were asked for: of documents that were dropped first, each group in the order of the run."""


def read_contaminations(run: str, limit: int) -> Contaminations:
    """The stretches that the filter stage of a run found; none where it looked for none or has not been through it.

    Reads files alone, and keeps no more than ``limit`` rows of each decision in memory.
    """
    total = 0
    counts: dict[str, dict[str, int]] = {}
    kept: dict[str, list[Contamination]] = {"dropped": [], "reported": []}
    for row in _read(RunFolder(run)):
        total += 1
        decision = row["action"]
        of_kind = counts.setdefault(f"{row['evaluation']}/{row['field']}", {})
        of_kind[decision] = of_kind.get(decision, 0) + 1
        if len(kept[decision]) < limit:
            kept[decision].append(_contamination(row))
    ordered = {kind: dict(sorted(counts[kind].items())) for kind in sorted(counts)}
    return Contaminations(total, ordered, tuple([*kept["dropped"], *kept["reported"]][:limit]))


def _read(run: RunFolder) -> Iterator[dict[str, Any]]:
    folder = run.stage("filter")
    if not folder.is_published():
        return
    for entry in folder.manifest().extra:
        if entry.file.startswith(_FOLDER):
            for batch in read_batches(folder.file(entry.file)):
                yield from batch.to_pylist()


def _contamination(row: dict[str, Any]) -> Contamination:
    file, _, number = row["item"].rpartition("#")
    start = row["span_offset"]
    return Contamination(
        document=row["document"],
        evaluation=row["evaluation"],
        file=file,
        item=int(number),
        kind=row["field"],
        span=(start, start + row["span_bytes"]),
        decision=row["action"],
        beginning=row["beginning"],
    )
