"""What dedupe removed from a run, as pairs and as clusters, read from the rows that it left of every removal."""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_batches
from lc_data.failure import Failure

_MEMBERS = 10
_MEASURES = ("jaccard", "coverage", "containment", "keeper_containment")


class DuplicatesError(Failure):
    """There is nothing to list."""


@dataclass(frozen=True)
class Duplicate:
    """A document that was removed, and the one that stays in its place."""

    document: str
    domain: str
    bytes: int
    reason: str
    keeper: str
    measures: dict[str, float]
    spans: tuple[tuple[int, int, int, int], ...]
    """The longest spans that it shares with its keeper: bytes from and to in itself, and from and to in the keeper."""
    same_text_as: str | None
    """A removed document that has the same words, in which the spans lie; None where they lie in this one."""

    @property
    def measure(self) -> str:
        """The measure that decided: ``jaccard`` of copies and near-duplicates, ``coverage`` of what is contained."""
        return next(name for name in _MEASURES if name in self.measures)

    @property
    def similarity(self) -> float:
        """The value of that measure, from 0 to 1."""
        return self.measures[self.measure]


@dataclass(frozen=True)
class Cluster:
    """A document that stays, and what went for it."""

    keeper: str
    documents: int
    """How many went."""
    bytes: int
    """How large their texts were together."""
    members: tuple[Duplicate, ...]
    """The first of them."""


@dataclass(frozen=True)
class Duplicates:
    """All removals of a run."""

    run: str
    pairs: tuple[Duplicate, ...]

    def clusters(self) -> list[tuple[str, list[Duplicate]]]:
        """Each keeper with what went for it, the largest cluster first, equals by the keeper's id."""
        members: dict[str, list[Duplicate]] = defaultdict(list)
        for pair in self.pairs:
            members[pair.keeper].append(pair)
        return sorted(members.items(), key=lambda cluster: (-len(cluster[1]), cluster[0]))

    def table(self) -> dict[str, dict[str, dict[str, int]]]:
        """Documents and bytes by domain and reason, in sorted order."""
        documents = Counter((pair.domain, pair.reason) for pair in self.pairs)
        sizes: Counter[tuple[str, str]] = Counter()
        for pair in self.pairs:
            sizes[pair.domain, pair.reason] += pair.bytes
        table: dict[str, dict[str, dict[str, int]]] = {}
        for domain, reason in sorted(documents):
            counts = {"documents": documents[domain, reason], "bytes": sizes[domain, reason]}
            table.setdefault(domain, {})[reason] = counts
        return table

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values: the table, every pair, and the clusters by ids."""
        clusters = [
            {"keeper": keeper, "documents": [pair.document for pair in members]} for keeper, members in self.clusters()
        ]
        pairs = [asdict(pair) for pair in self.pairs]
        return {"run": self.run, "removed": self.table(), "clusters": clusters, "pairs": pairs}

    def as_text(self, limit: int) -> str:
        """The table, and of each of the ``limit`` largest clusters the first ten documents."""
        lines = [f"{self.run}: dedupe removed {len(self.pairs)} documents"]
        for domain, reasons in self.table().items():
            for reason, count in reasons.items():
                lines.append(
                    f"  {domain:<20} {reason:<16} {count['documents']:>9} documents {count['bytes']:>14} bytes"
                )
        clusters = self.clusters()
        for keeper, members in clusters[:limit]:
            lines.append(f"{keeper} stays for {len(members)}:")
            lines += [f"  {_line(pair)}" for pair in members[:_MEMBERS]]
            if len(members) > _MEMBERS:
                lines.append(f"  and {len(members) - _MEMBERS} more")
        if len(clusters) > limit:
            lines.append(f"and {len(clusters) - limit} smaller clusters; --json lists all")
        return "\n".join(lines)


def list_duplicates(run: str) -> Duplicates:
    """What the dedupe stage of a run removed, all held at once; errors as :func:`iterate_duplicates` has them."""
    return Duplicates(run, tuple(iterate_duplicates(run)))


def iterate_duplicates(run: str) -> Iterator[Duplicate]:
    """What the dedupe stage of a run removed, in the order of its shards, a batch of rows held at a time.

    :class:`DuplicatesError` where the run has not been through the stage, at once, or where a version of lc_data that
    did not name keepers and spans has done it, at the first such row.
    """
    folder = RunFolder(run).stage("dedupe")
    if not folder.is_published():
        raise DuplicatesError(f"{run} has no dedupe stage yet: bring it there with `lc-data dedupe RECIPE --out {run}`")
    uris = [folder.file(entry.file) for entry in folder.manifest().dropped]
    return (_duplicate(row, run) for uri in uris for batch in read_batches(uri) for row in batch.to_pylist())


def largest_clusters(run: str, limit: int = 20, members: int = 10) -> list[Cluster]:
    """The ``limit`` documents that most others went for, the largest cluster first, equals by the keeper's id.

    Of each the first ``members`` documents. Reads the rows twice and holds two numbers for each keeper; errors as
    :func:`iterate_duplicates` has them.
    """
    documents, sizes = Counter[str](), Counter[str]()
    for pair in iterate_duplicates(run):
        documents[pair.keeper] += 1
        sizes[pair.keeper] += pair.bytes
    largest = heapq.nsmallest(limit, documents, key=lambda keeper: (-documents[keeper], keeper))
    found: dict[str, list[Duplicate]] = {keeper: [] for keeper in largest}
    for pair in iterate_duplicates(run):
        if pair.keeper in found and len(found[pair.keeper]) < members:
            found[pair.keeper].append(pair)
    return [Cluster(keeper, documents[keeper], sizes[keeper], tuple(found[keeper])) for keeper in largest]


def _duplicate(row: dict[str, Any], run: str) -> Duplicate:
    try:
        detail = json.loads(row["detail"])
        found = Duplicate(
            document=row["id"],
            domain=row["domain"],
            bytes=row["bytes"],
            reason=row["reason"],
            keeper=detail["keeper"],
            measures={name: detail[name] for name in _MEASURES if name in detail},
            spans=tuple(tuple(span) for span in detail["spans"]),
            same_text_as=detail.get("same_text_as"),
        )
    except (KeyError, TypeError, ValueError):
        found = None
    if found is None or not found.measures:
        raise DuplicatesError(
            f"{run} was deduplicated by an older version of lc_data, that does not say of {row['id']!r} what stays "
            f"for it and what they share: make the stage again with `lc-data dedupe RECIPE --out {run}`"
        )
    return found


def _line(pair: Duplicate) -> str:
    measures = ", ".join(f"{name} {value:.3f}" for name, value in pair.measures.items())
    longest = max(pair.spans, key=lambda span: span[1] - span[0], default=None)
    where = f"; longest span: bytes {longest[0]}-{longest[1]} = {longest[2]}-{longest[3]}" if longest else ""
    same = f"; same text as {pair.same_text_as}" if pair.same_text_as else ""
    return f"{pair.document} [{pair.domain}, {pair.bytes} bytes] {pair.reason}: {measures}{where}{same}"
