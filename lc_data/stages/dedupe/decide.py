"""Who goes, decided range by range of the documents from what was verified, without anyone holding all of it.

The rule (``dedup.decision``) asks for those before a document that can stand for it, and they may lie in other ranges.
So it goes in rounds: each range decides what it can, and writes which of its documents go and which are still open; in
the next round the others know. A round decides the first document that is open at least, and in practice nearly all:
most have one keeper that nobody stands for. What is left is decided in one task as soon as it fits one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.dedup.decision import GOES, OPEN, STAYS, resolve
from lc_data.engine.stage import StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.stages.dedupe import bounds
from lc_data.stages.dedupe.numbering import Corpus
from lc_data.stages.dedupe.slices import Range, find_ranges, one_batch, read_slices

_EDGES = ("document", "keeper")
_STATE_SCHEMA = pa.schema([("document", pa.int64()), ("keeper", pa.int64())])
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_GONE, _OPEN = 0, 1
"""The batches of a file: the documents that go, with themselves as keepers; and those that are open, with each of the
documents that they may go for."""


@dataclass(frozen=True)
class States:
    """What the rounds so far have decided: for each round the file of each range."""

    borders: tuple[int, ...]
    rounds: tuple[tuple[str, ...], ...] = ()

    def look_up(self, documents: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """What is known of sorted documents: before the first round nothing is."""
        states = np.full(len(documents), STAYS if self.rounds else OPEN, np.int8)
        for part, where in find_ranges(documents, self.borders):
            for files in self.rounds:
                states[where][_among(documents[where], files[part], _GONE)] = GOES
            if self.rounds:
                still_open = _among(documents[where], self.rounds[-1][part], _OPEN)
                states[where][still_open] = OPEN
        return states


@dataclass(frozen=True)
class RangesToDecide:
    """The payload of a task: a run of ranges, what was verified, and what is known."""

    first: int
    last: int
    """Excluded."""
    verified_uris: tuple[str, ...]
    states: States
    output: str
    """The kind of work file that is written."""


def decide_ranges(task: Task, folder: StageFolder) -> TaskRecord:
    """Write which documents of some ranges go, of those that were open, and which are open still."""
    payload: RangesToDecide = task.payload
    edges = _read_edges(payload)
    keepers = np.unique(edges[:, 1])
    known = payload.states.look_up(keepers)
    if not payload.states.rounds:
        # Whoever can go in these ranges has its rows here.
        borders = payload.states.borders
        known[(keepers >= borders[payload.first]) & (keepers < borders[payload.last])] = STAYS
    documents, states = resolve(edges, known[np.searchsorted(keepers, edges[:, 1])])
    gone = documents[states == GOES]
    left = edges[states[np.searchsorted(documents, edges[:, 0])] == OPEN] if len(edges) else edges
    uri = f"{folder.work_uri}/{payload.output}/{task.key}.arrow"
    write_batches(uri, _STATE_SCHEMA, [_batch(np.stack([gone, gone], axis=1)), _batch(left)])
    return TaskRecord(facts={"gone": len(gone), "open": len(left)})


def decide(context: StageContext, corpus: Corpus, name: str, verified_uris: tuple[str, ...]) -> States:
    """Run rounds until every document is decided."""
    states = States(corpus.borders)
    ranges, left = len(corpus.borders) - 1, 0
    while not states.rounds or left:
        phase = f"{name}_{len(states.rounds)}"
        # A single task for all ranges sees what only several together can decide.
        whole = bool(states.rounds) and left <= bounds.MAX_PAIRS
        runs = [(0, ranges)] if whole else [(number, number + 1) for number in range(ranges)]
        tasks = [
            Task(f"{first:05d}", RangesToDecide(first, last, verified_uris, states, phase)) for first, last in runs
        ]
        records = context.map(phase, decide_ranges, tasks)
        left = sum(record.facts["open"] for record in records)
        files = tuple(
            f"{context.folder.work_uri}/{phase}/{0 if whole else number:05d}.arrow" for number in range(ranges)
        )
        states = replace(states, rounds=(*states.rounds, files))
    return states


def _read_edges(payload: RangesToDecide) -> npt.NDArray[np.int64]:
    """The open documents of the ranges with those that can stand for them, each pair once, sorted."""
    borders, rounds = payload.states.borders, payload.states.rounds
    documents = Range(borders[payload.first], borders[payload.last])
    batches: Iterator[pa.RecordBatch]
    if rounds:
        batches = (batch for uri in rounds[-1][payload.first : payload.last] for batch in pick_batches(uri, [_OPEN]))
    else:
        batches = (
            rows.select(list(_EDGES)) for rows in read_slices(payload.verified_uris, "document", documents, _EDGES)
        )
    rows = one_batch(_STATE_SCHEMA, batches)
    packed = np.unique(
        rows.column("document").to_numpy().astype(np.uint64) << _HALF
        | rows.column("keeper").to_numpy().astype(np.uint64)
    )
    return np.stack([packed >> _HALF, packed & _LOW], axis=1).astype(np.int64)


def _among(documents: npt.NDArray[np.int64], uri: str, batch: int) -> npt.NDArray[np.bool_]:
    """Whether each document is one of those that a file holds, sorted, in one of its batches."""
    (rows,) = pick_batches(uri, [batch])
    held = rows.column("document").to_numpy()
    if not len(held):
        return np.zeros(len(documents), bool)
    places = np.minimum(np.searchsorted(held, documents), len(held) - 1)
    return np.equal(held[places], documents)


def _batch(edges: npt.NDArray[np.int64]) -> pa.RecordBatch:
    columns = np.ascontiguousarray(edges.T)
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=_STATE_SCHEMA)
