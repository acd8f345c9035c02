"""The gzip band: which documents compress too well or too badly for their stratum can only be known from all of them.

The first phase writes each shard's documents with their ratios and hands up one histogram per stratum. Histograms of
whole numbers add up to the same sum however the corpus is cut into shards, so the limits are exact and one number of a
few bytes decides each document in the second phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus import storage
from lc_data.corpus.document import DROPPED_SCHEMA
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry
from lc_data.corpus.rows import RowFile
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_batches, write_documents, write_table
from lc_data.engine.stage import Outcome, StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.quality.chain import in_domains, write_notes
from lc_data.quality.compression import (
    Histogram,
    band_limits,
    gzip_ratio,
    gzip_steps,
    length_bucket,
    merge_histograms,
)
from lc_data.quality.judgement import Failure
from lc_data.recipe.filtering import GzipBand
from lc_data.text.buffers import each_text

_RATIOS = pa.schema([pa.field("stratum", pa.string()), pa.field("steps", pa.int64())])
"""One row per document that the rules kept; null where the band does not judge."""


class BandRatios:
    """The gzip ratios of a shard's documents, in their order, and how many documents have each."""

    def __init__(self, band: GzipBand, dialogue_domains: Sequence[str]) -> None:
        self._band = band
        self._dialogue_domains = pa.array(dialogue_domains, pa.string())
        self._rows: list[tuple[str | None, int | None]] = []
        self.histograms: dict[str, Histogram] = {}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The documents with their ratio in the metadata of those that the band judges."""
        judged = in_domains(documents, self._band.domains, self._dialogue_domains).to_pylist()
        domains = documents.column("domain").to_pylist()
        notes = {}
        for row, text in enumerate(each_text(documents.column("text"))):
            if not judged[row] or len(text) < max(self._band.min_bytes, 1):
                self._rows.append((None, None))
                continue
            stratum = f"{domains[row]}/{length_bucket(self._band, len(text))}"
            steps = gzip_steps(text)
            histogram = self.histograms.setdefault(stratum, {})
            histogram[steps] = histogram.get(steps, 0) + 1
            self._rows.append((stratum, steps))
            notes[row] = {"gzip_ratio": gzip_ratio(steps)}
        return write_notes(documents, notes)

    def table(self) -> pa.Table:
        """One row per document measured, in order."""
        strata, steps = zip(*self._rows, strict=True) if self._rows else ((), ())
        return pa.table([pa.array(strata, pa.string()), pa.array(steps, pa.int64())], schema=_RATIOS)


@dataclass(frozen=True)
class BandShard:
    """The payload of a task: the documents of one shard that the rules kept, and what stays in each stratum."""

    judged_uri: str
    ratios_uri: str
    limits: dict[str, tuple[int, int]]


def write_shard(folder: StageFolder, key: str, tables: Iterable[pa.Table]) -> list[FileEntry]:
    """Publish the documents that stay; no file where none do."""
    entry = write_documents(folder.uri, f"shards/{key}.arrow", tables)
    if entry.rows:
        return [entry]
    storage.remove_file(folder.file(entry.file))
    return []


def write_judged(folder: StageFolder, key: str, tables: Iterable[pa.Table], ratios: BandRatios) -> None:
    """Leave what the rules kept for the second phase."""
    write_documents(folder.work_uri, f"judged/{key}.arrow", tables)
    write_table(folder.work_uri, f"ratios/{key}.arrow", ratios.table())


def drop_band(
    context: StageContext, band: GzipBand, tasks: list[Task], records: list[TaskRecord], facts: dict[str, Any]
) -> Outcome:
    """The second phase: the outcome of both, in one set of books."""
    histograms = merge_histograms(record.facts["gzip_band"] for record in records)
    found = {stratum: band_limits(band, histogram) for stratum, histogram in histograms.items()}
    limits = {stratum: limit for stratum, limit in found.items() if limit is not None}
    work = context.folder.work_uri
    last = context.map(
        "gzip_band",
        drop_from_shard,
        [
            Task(
                task.key,
                BandShard(f"{work}/judged/{task.key}.arrow", f"{work}/ratios/{task.key}.arrow", limits),
                task.weight_bytes,
            )
            for task in tasks
        ],
    )
    report = {
        stratum: {"documents": sum(histogram.values()), "stays": [gzip_ratio(steps) for steps in limits[stratum]]}
        for stratum, histogram in histograms.items()
        if stratum in limits
    }
    return Outcome(
        ledger=_join(Ledger.merge(record.ledger for record in records), Ledger.merge(record.ledger for record in last)),
        shards=[entry for record in last for entry in record.shards],
        dropped=[entry for record in (*records, *last) for entry in record.dropped],
        extra=[entry for record in records for entry in record.extra],
        facts=facts | {"gzip_band": report},
    )


def drop_from_shard(task: Task, folder: StageFolder) -> TaskRecord:
    """Write the documents within the limits of their stratum and a row for each that goes."""
    payload: BandShard = task.payload
    ledger = Ledger()
    with RowFile(folder.uri, f"dropped/{task.key}-gzip_band.arrow", DROPPED_SCHEMA) as dropped:
        shards = write_shard(folder, task.key, _within(payload, ledger, dropped))
    return TaskRecord(shards=shards, dropped=[dropped.entry] if dropped.entry else [], ledger=ledger)


def _within(payload: BandShard, ledger: Ledger, dropped: RowFile) -> Iterator[pa.Table]:
    ratios = [row for batch in read_batches(payload.ratios_uri) for row in batch.to_pylist()]
    first = 0
    for batch in read_batches(payload.judged_uri):
        ids, domains = batch.column("id").to_pylist(), batch.column("domain").to_pylist()
        stays = np.ones(batch.num_rows, bool)
        for row, size in enumerate(pc.binary_length(batch.column("text")).to_pylist()):
            ledger.come_in(domains[row], 1, size)
            failure = _judge(payload.limits, **ratios[first + row])
            if failure is None:
                ledger.keep(domains[row], 1, size)
                continue
            stays[row] = False
            reason = f"gzip_band/{failure.test}"
            ledger.drop(domains[row], reason, 1, size)
            dropped.add(ids[row], reason, domains[row], size, failure.detail_json(), text_bytes=size)
        first += batch.num_rows
        yield pa.Table.from_batches([batch]).filter(pa.array(stays))


def _judge(limits: dict[str, tuple[int, int]], stratum: str | None, steps: int | None) -> Failure | None:
    if stratum is None or steps is None or stratum not in limits:
        return None
    least, greatest = limits[stratum]
    if steps < least:
        return Failure("too_compressible", gzip_ratio(steps), gzip_ratio(least))
    return Failure("too_dense", gzip_ratio(steps), gzip_ratio(greatest)) if steps > greatest else None


def _join(first: Ledger, second: Ledger) -> Ledger:
    """The books of two phases, the second of which took in what the first kept."""
    joined = Ledger.merge([first, second])
    for domain, account in joined.domains.items():
        account.came_in = first.account(domain).came_in
        account.kept = second.account(domain).kept
    return joined
