"""What went through each stage, what left and why, and what the stages cost."""

from __future__ import annotations

import json
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus import storage
from lc_data.corpus.ledger import Account, Ledger
from lc_data.corpus.manifest import FileEntry, Manifest
from lc_data.corpus.run import STAGES, RunFolder, StageFolder
from lc_data.corpus.shard import read_batches
from lc_data.reports.content import Example, StageBooks, Timing

EXAMPLES_PER_REASON = 3


def published_manifests(run: RunFolder) -> dict[str, Manifest]:
    """The manifests that a run has, in the order of the stages."""
    return {name: run.stage(name).manifest() for name in STAGES if run.stage(name).is_published()}


def stage_books(folder: StageFolder, manifest: Manifest) -> StageBooks:
    """The books of one stage."""
    accounts = manifest.ledger.domains
    return StageBooks(
        stage=manifest.stage,
        fingerprint=manifest.fingerprint,
        total=_sum_accounts(manifest.ledger),
        domains=dict(sorted(accounts.items())),
        examples=_examples(folder, manifest),
        timing=_timing(folder),
    )


def count_values(folder: StageFolder, shards: list[FileEntry], column: str) -> dict[str, int]:
    """Documents by the value of a string column, commonest first; null counts as the empty string.

    Only that column is read, so the texts stay compressed on disk.
    """
    counts: Counter[str] = Counter()
    for entry in shards:
        with storage.map_input(folder.file(entry.file)) as source:
            place = pa.ipc.open_file(source).schema.get_field_index(column)
            options = pa.ipc.IpcReadOptions(included_fields=[place])
            values = pa.ipc.open_file(source, options=options).read_all()[column]
        for item in pc.value_counts(pc.fill_null(values, "")).to_pylist():
            counts[item["values"]] += item["counts"]
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _sum_accounts(ledger: Ledger) -> Account:
    """All domains as one account."""
    merged = Ledger.merge(Ledger(domains={"all": account}) for account in ledger.domains.values())
    return merged.account("all")


def _examples(folder: StageFolder, manifest: Manifest) -> dict[str, list[Example]]:
    """The first few rows of each reason, in the order of the manifest's files; reading stops when all are found."""
    wanted = {
        reason for account in manifest.ledger.domains.values() for reason in (*account.dropped, *account.quarantined)
    }
    found: dict[str, list[Example]] = {}
    for entry in (*manifest.dropped, *manifest.quarantine):
        for batch in read_batches(folder.file(entry.file)):
            _take(batch, wanted, found)
        if not wanted:
            break
    return dict(sorted(found.items()))


def _take(batch: pa.RecordBatch, wanted: set[str], found: dict[str, list[Example]]) -> None:
    name = "id" if "id" in batch.schema.names else "address"
    for reason in sorted(wanted.intersection(pc.unique(batch["reason"]).to_pylist())):
        examples = found.setdefault(reason, [])
        rows = batch.filter(pc.equal(batch["reason"], reason)).slice(0, EXAMPLES_PER_REASON - len(examples))
        examples += [
            Example(id=row[name], domain=row["domain"], bytes=row["bytes"], detail=row["detail"])
            for row in rows.select([name, "domain", "bytes", "detail"]).to_pylist()
        ]
        if len(examples) == EXAMPLES_PER_REASON:
            wanted.discard(reason)


def _timing(folder: StageFolder) -> Timing | None:
    uri = folder.file("timing.json")
    if not storage.exists(uri):
        return None
    timing = json.loads(storage.read_bytes(uri))
    return Timing(
        seconds=timing["seconds"],
        phases=timing["phases"],
        peak_rss_bytes=max(timing["peak_rss_bytes"].values(), default=0),
    )
