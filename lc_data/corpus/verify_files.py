"""Verification of one stage: its files, and its ledger against what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import file_checksum
from lc_data.corpus.ledger import Count, Ledger, LedgerError
from lc_data.corpus.lineage import LINEAGE_FOLDER
from lc_data.corpus.manifest import FileEntry, Manifest
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import read_batches

PLANNING_STAGES = ("balance", "augment", "pack")
"""They hold no documents, or not all that they pass on: what they leave out is in their ledger alone."""

Problem = tuple[str, str]
"""The file, below the stage's folder, and what is wrong with it."""

Groups = Counter[tuple[str, str]]
"""Rows by domain and reason; the reason of documents that stay is empty."""


@dataclass
class Contents:
    """What was counted in one file. None: the file holds no such thing."""

    rows: int = 0
    text_bytes: int | None = None
    tokens: int | None = None
    groups: Groups = field(default_factory=Counter)


def verify_files(folder: StageFolder, manifest: Manifest) -> Iterator[Problem]:
    """Compare every file with its entry, look for files without one, and the ledger with all of them."""
    for file, times in Counter(entry.file for entry in manifest.files()).items():
        if times > 1:
            yield file, f"the manifest names this file {times} times"
    contents: dict[str, Contents] = {}
    for entry in manifest.files():
        counted = Contents(rows=entry.rows)
        problems = list(_verify_file(folder.file(entry.file), entry, counted))
        yield from ((entry.file, problem) for problem in problems)
        if not problems:
            contents[entry.file] = counted
    yield from _unnamed_files(folder, manifest)
    try:
        manifest.ledger.balance()
    except LedgerError as error:
        yield "manifest.json", f"the ledger does not balance: {error}"
    if manifest.stage not in PLANNING_STAGES and all(entry.file in contents for entry in manifest.files()):
        yield from (("manifest.json", problem) for problem in _verify_ledger(manifest, contents))


def _unnamed_files(folder: StageFolder, manifest: Manifest) -> Iterator[Problem]:
    named = {entry.file for entry in manifest.files()}
    folders = {"shards", "dropped", "quarantine"} | {file.rpartition("/")[0] for file in named if "/" in file}
    for below in sorted(folders - {LINEAGE_FOLDER}):
        for name in storage.list_files(folder.file(below)):
            if f"{below}/{name}" not in named:
                yield f"{below}/{name}", "the manifest does not name this file"


def _verify_file(uri: str, entry: FileEntry, counted: Contents) -> Iterator[str]:
    if not storage.exists(uri):
        yield "the file is missing"
        return
    size = storage.size_bytes(uri)
    if size != entry.bytes:
        yield f"has {size} bytes, the manifest says {entry.bytes}"
        return
    checksum = file_checksum(uri)
    if checksum != entry.checksum:
        yield f"its bytes have changed: xxh3-128 {checksum}, the manifest says {entry.checksum}"
        return
    if not entry.file.endswith(".arrow"):
        return
    try:
        _count(uri, counted)
    except (pa.ArrowInvalid, OSError) as error:
        yield f"cannot be read as Arrow: {error}"
        return
    for what, found, said in (
        ("rows", counted.rows, entry.rows),
        ("bytes of text", counted.text_bytes, entry.text_bytes),
        ("tokens", counted.tokens, entry.tokens),
    ):
        if found is not None and found != said:
            yield f"holds {found} {what}, the manifest says {said}"
    if "domain" in entry.facts:  # a tokenised shard holds the code of its one domain
        counted.groups = Counter({(entry.facts["domain"], ""): counted.rows})


def _count(uri: str, counted: Contents) -> None:
    counted.rows = 0
    for batch in read_batches(uri):
        names = set(batch.schema.names)
        counted.rows += batch.num_rows
        if "text" in names or "bytes" in names:
            sizes = pc.binary_length(batch["text"]) if "text" in names else batch["bytes"]
            counted.text_bytes = (counted.text_bytes or 0) + (pc.sum(sizes).as_py() or 0)
        if "length" in names:
            counted.tokens = (counted.tokens or 0) + (pc.sum(batch["length"]).as_py() or 0)
        if names & {"text", "reason"}:
            counted.groups += _groups(batch)


def _groups(batch: pa.RecordBatch) -> Groups:
    reason = batch["reason"] if "reason" in batch.schema.names else pa.array([""] * batch.num_rows)
    table = pa.table({"domain": batch["domain"], "reason": reason})
    rows = table.group_by(["domain", "reason"]).aggregate([([], "count_all")]).to_pylist()
    return Counter({(row["domain"], row["reason"]): row["count_all"] for row in rows})


def _verify_ledger(manifest: Manifest, contents: dict[str, Contents]) -> Iterator[str]:
    """The ledger says of every domain and reason what the files list."""
    kept = manifest.ledger.kept()
    shards = Count(
        documents=sum(entry.rows for entry in manifest.shards),
        bytes=sum(entry.text_bytes for entry in manifest.shards),
        tokens=sum(entry.tokens for entry in manifest.shards),
    )
    if shards != kept:
        yield f"the ledger kept {kept}, and the shards hold {shards}"
    for kind, entries in (
        ("kept", manifest.shards),
        ("dropped", manifest.dropped),
        ("quarantined", manifest.quarantine),
    ):
        booked, listed = _booked(manifest.ledger, kind), Counter[tuple[str, str]]()
        for entry in entries:
            listed += contents[entry.file].groups
        for domain, reason in sorted({*booked, *listed}):
            if booked[domain, reason] != listed[domain, reason]:
                about = f"{kind} for {reason!r}" if reason else kind
                yield (
                    f"domain {domain!r}: the ledger says {booked[domain, reason]} documents {about}, and the files "
                    f"list {listed[domain, reason]}"
                )


def _booked(ledger: Ledger, kind: str) -> Groups:
    if kind == "kept":
        return Counter({(domain, ""): account.kept.documents for domain, account in ledger.domains.items()})
    return Counter({
        (domain, reason): count.documents
        for domain, account in ledger.domains.items()
        for reason, count in getattr(account, kind).items()
    })  # fmt: skip
