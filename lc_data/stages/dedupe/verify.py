"""Phase four: candidates compared by their texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.corpus.run import StageFolder
from lc_data.corpus.scratch import pick_batches, write_batches
from lc_data.dedup.shingles import shingle_set
from lc_data.dedup.verification import measure_pairs
from lc_data.engine.task import Task, TaskRecord
from lc_data.recipe.dedupe import NearDuplicates
from lc_data.stages.dedupe.join import read_pairs
from lc_data.stages.dedupe.sketch import Sketches
from lc_data.text.buffers import each_text

VERIFIED_SCHEMA = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("similarity", pa.float64())])


@dataclass(frozen=True)
class VerifyPairs:
    """The payload of a task: one batch of likely pairs, and where their documents lie."""

    pairs_uri: str
    number: int
    sketches: Sketches
    shard_uris: tuple[str, ...]
    near: NearDuplicates


def verify_pairs(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the pairs that reach the threshold, with their exact similarity."""
    payload: VerifyPairs = task.payload
    pairs = read_pairs(payload.pairs_uri, payload.number)
    similarity = measure_pairs(pairs, _shingle_sets(np.unique(pairs), payload))
    reached = similarity >= payload.near.threshold
    batch = pa.RecordBatch.from_arrays(
        [pa.array(column[reached]) for column in (*pairs.T, similarity)], schema=VERIFIED_SCHEMA
    )
    write_batches(f"{folder.work_uri}/verified/{task.key}.arrow", VERIFIED_SCHEMA, [batch])
    return TaskRecord()


def _shingle_sets(documents: npt.NDArray[np.int64], payload: VerifyPairs) -> dict[int, npt.NDArray[np.uint64]]:
    """The shingles of sorted documents; each batch of text is read once."""
    where = payload.sketches.look_up(documents, "batch", "row")
    batches, rows = where.column("batch").to_numpy(), where.column("row").to_numpy()
    sets = {}
    for shard, _, part in payload.sketches.shards_of(documents):
        numbers = np.unique(batches[part]).tolist()
        for number, batch in zip(numbers, pick_batches(payload.shard_uris[shard], numbers, ("text",)), strict=True):
            here = np.arange(part.start, part.stop)[batches[part] == number]
            texts = each_text(batch.column("text").take(pa.array(rows[here])))
            for document, text in zip(documents[here].tolist(), texts, strict=True):
                sets[document] = shingle_set(text, payload.near.ngram_words)
    return sets
