"""The manifest: written last and atomically, it is what makes a stage's output exist.

It holds no time, host or process name, so that the same recipe gives the same bytes on one worker, on many, and after
a crash; how long things took stands beside it in ``timing.json``.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import lc_data
from lc_data.corpus import storage
from lc_data.corpus.ledger import Ledger
from lc_data.failure import Failure

FORMAT_VERSION = 1


class FileEntry(BaseModel):
    """A file that a manifest names: its place below the stage's folder, what is in it, and its xxh3-128."""

    model_config = ConfigDict(extra="forbid")

    file: str
    rows: int
    bytes: int
    """The size of the file."""
    text_bytes: int = 0
    """UTF-8 bytes of the documents' text in it (for rejected rows: of the text that was rejected)."""
    tokens: int = 0
    checksum: str
    facts: dict[str, Any] = Field(default_factory=dict)


class Manifest(BaseModel):
    """What a stage made, from what, and where every document went."""

    model_config = ConfigDict(extra="forbid")

    format_version: int = FORMAT_VERSION
    stage: str
    fingerprint: str
    upstream: dict[str, str] = Field(default_factory=dict)
    shards: list[FileEntry] = Field(default_factory=list)
    dropped: list[FileEntry] = Field(default_factory=list)
    quarantine: list[FileEntry] = Field(default_factory=list)
    extra: list[FileEntry] = Field(default_factory=list)
    """Other files of the stage: an index, a tokenizer, a plan."""
    ledger: Ledger = Field(default_factory=Ledger)
    package_version: str = lc_data.__version__
    seed: int
    config: dict[str, Any] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(default_factory=dict)

    def files(self) -> list[FileEntry]:
        """Every file that belongs to the stage."""
        return [*self.shards, *self.dropped, *self.quarantine, *self.extra]


class ManifestError(Failure):
    """A manifest that is missing where one is needed, or that cannot be read."""


def write_manifest(uri: str, manifest: Manifest) -> None:
    """Publish a stage."""
    storage.write_atomic(uri, manifest.model_dump_json(indent=1, by_alias=True).encode() + b"\n")


def read_manifest(uri: str) -> Manifest:
    """The manifest at a URI; :class:`ManifestError` names what is wrong with it."""
    if not storage.exists(uri):
        raise ManifestError(f"{uri} does not exist: this stage has not been run to its end")
    try:
        manifest = Manifest.model_validate_json(storage.read_bytes(uri))
    except ValidationError as error:
        raise ManifestError(f"{uri} is not a manifest of format {FORMAT_VERSION}: {error}") from error
    if manifest.format_version != FORMAT_VERSION:
        raise ManifestError(f"{uri} has format {manifest.format_version}; this version reads {FORMAT_VERSION}")
    return manifest
