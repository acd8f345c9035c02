"""The files in which a run's records lie, counted from the manifests."""

from __future__ import annotations

import hashlib

from lc_data.corpus import storage
from lc_data.corpus.manifest import FileEntry, Manifest
from lc_data.corpus.run import StageFolder
from lc_data.reports.content import StageFiles

WITH_RECORDS = ("ingest", "filter", "dedupe", "bucket", "augment")


def stage_files(folder: StageFolder, manifest: Manifest) -> list[StageFiles]:
    """The shards of a stage that passes documents on; of pack, the blocks of each plan; else nothing."""
    manifest_bytes = storage.read_bytes(folder.manifest_uri)
    digest = hashlib.sha256(manifest_bytes).hexdigest()

    def count(entries: list[FileEntry], pattern: str, purpose: str | None) -> StageFiles:
        return StageFiles(
            stage=manifest.stage,
            purpose=purpose,
            manifest_sha256=digest,
            manifest_bytes=len(manifest_bytes),
            pattern=pattern,
            files=len(entries),
            rows=sum(entry.rows for entry in entries),
            bytes=sum(entry.bytes for entry in entries),
        )

    if manifest.stage in WITH_RECORDS:
        return [count(manifest.shards, "shards/*.arrow", None)]
    if manifest.stage != "pack":
        return []
    blocks: dict[str, list[FileEntry]] = {}
    for entry in manifest.extra:
        if "purpose" in entry.facts:
            blocks.setdefault(entry.facts["purpose"], []).append(entry)
    return [count(entries, f"plan/{purpose}/*.arrow", purpose) for purpose, entries in blocks.items()]
