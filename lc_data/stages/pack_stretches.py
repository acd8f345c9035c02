"""Planning a large plan side by side: its streams written once, its stretches planned by as many tasks as there are.

What every stretch draws from is the order of documents in each stratum, 16 bytes a document. It is worked out by one
task and mapped by the others, which read of it only what their blocks draw. A stretch leaves its blocks and what they
had left over in files of the stage's work folder; whoever writes the plan joins them, see
:class:`lc_data.packing.planner.Planning`. A plan of one stretch is planned by the task that writes it.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lc_data.corpus import storage
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_table, write_table
from lc_data.engine.task import Task, TaskRecord
from lc_data.mixing.continued import Stream
from lc_data.mixing.stream import DocumentStream, Pieces
from lc_data.packing.plan import PLAN_SCHEMA, PlanBlock
from lc_data.packing.planner import STRETCH_BLOCKS, Draw, PlannedBlock, Planning, Rest
from lc_data.recipe.packing import PackSection

_ABOUT = b"lc_data"


@dataclass(frozen=True)
class StretchOrder:
    """A stretch to be planned."""

    purpose: str
    packing: PackSection
    seed: int
    number: int


def is_parallel(planned_tokens: np.ndarray, packing: PackSection) -> bool:
    """Return whether a plan is worth more than one task, from the tokens of each mixture stage, [n_stages].

    It decides who plans, never what: the plan is the same either way.
    """
    if packing.keep is not None or packing.method == "concat" or packing.curriculum != "natural":
        return False
    return int((-(-planned_tokens // (packing.row_tokens * packing.block_packs))).sum()) > STRETCH_BLOCKS


def draws_of(streams: Mapping[int, Stream], planned: np.ndarray, buckets: int) -> list[list[Draw]]:
    """Return what each mixture stage draws of each stratum; ``planned`` is its tokens, int64 [n_stages, n_strata]."""
    begins = np.cumsum(planned, axis=0) - planned
    stages: list[list[Draw]] = [[] for _ in planned]
    for number, stream in streams.items():
        for stage, begin, tokens in zip(stages, begins[:, number].tolist(), planned[:, number].tolist(), strict=True):
            if tokens:
                stage.append(Draw(stream, tokens, number // buckets, number % buckets, begin))
    return stages


def write_streams(
    folder: StageFolder, purpose: str, streams: Mapping[int, DocumentStream], planned: np.ndarray, buckets: int
) -> None:
    """Write the streams of a purpose for the tasks that plan its stretches."""
    empty = np.empty(0, np.int64)
    columns = {
        name: np.concatenate([empty, *(getattr(stream, name) for stream in streams.values())])
        for name in ("document", "ends")
    }
    about = {
        "strata": [[number, len(stream.ends), stream.piece_tokens] for number, stream in streams.items()],
        "planned": planned.tolist(),
        "buckets": buckets,
    }
    _write(folder, f"streams-{purpose}.arrow", pa.table(columns), about)


def plan_stretch(task: Task, folder: StageFolder) -> TaskRecord:
    """Plan a stretch into the work folder."""
    order: StretchOrder = task.payload
    stretch = read_planning(folder, order).plan_stretch(order.number)
    blocks: list[PlannedBlock] = []
    while True:
        try:
            blocks.append(next(stretch))
        except StopIteration as end:
            rest: Rest = end.value
            break
    tables = [planned.block.to_table() for planned in blocks] or [PLAN_SCHEMA.empty_table()]
    about = [[planned.stage, planned.cycle, planned.block.pieces] for planned in blocks]
    _write(folder, f"{_stem(order)}.arrow", pa.concat_tables(tables), {"blocks": about})
    left = {name: getattr(rest.pieces, name) for name in vars(rest.pieces)}
    _write(folder, f"{_stem(order)}-rest.arrow", pa.table(left), {"ahead": rest.ahead.tolist()})
    return TaskRecord()


def read_planning(folder: StageFolder, order: StretchOrder) -> Planning:
    """Return the plan that is to be made, its streams mapped."""
    table, about = _read(folder, f"streams-{order.purpose}.arrow")
    document, ends = table["document"].to_numpy(), table["ends"].to_numpy()
    streams, begin = {}, 0
    for number, rows, piece_tokens in about["strata"]:
        part = slice(begin, begin + rows)
        streams[number] = DocumentStream(document[part], ends[part], piece_tokens)
        begin += rows
    stages = draws_of(streams, np.array(about["planned"], np.int64), about["buckets"])
    return Planning(stages, order.packing, order.seed)


def read_stretch(folder: StageFolder, order: StretchOrder) -> Generator[PlannedBlock, None, Rest]:
    """Yield the blocks of a stretch that has been planned; returns what it left over."""
    table, about = _read(folder, f"{_stem(order)}.arrow")
    whole, begin = PlanBlock.from_table(table), 0
    for stage, cycle, pieces in about["blocks"]:
        yield PlannedBlock(stage, cycle, whole.take(slice(begin, begin + pieces)))
        begin += pieces
    left, about = _read(folder, f"{_stem(order)}-rest.arrow")
    columns = {name: left[name].to_numpy() for name in left.column_names}
    return Rest(Pieces(**columns), np.array(about["ahead"], np.float64))


def _stem(order: StretchOrder) -> str:
    return f"{order.purpose}-{order.number:05d}"


def _write(folder: StageFolder, file: str, table: pa.Table, about: dict) -> None:
    write_table(folder.work_uri, file, table.replace_schema_metadata({_ABOUT: json.dumps(about).encode()}))


def _read(folder: StageFolder, file: str) -> tuple[pa.Table, dict]:
    table = read_table(storage.join(folder.work_uri, file))
    return table, json.loads(table.schema.metadata[_ABOUT])
