"""The layout of a run: where each stage's files stand below the run's URI."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from lc_data.corpus import storage
from lc_data.corpus.local_copies import LocalCopies
from lc_data.corpus.manifest import Manifest, read_manifest

STAGES = ("ingest", "filter", "dedupe", "bucket", "balance", "augment", "pack")
"""The stages of the pipeline, in the order in which documents go through them."""

OPTIONAL_STAGES = ("augment",)
"""Those that a run has only where its recipe asks for them."""

STEPS = (*STAGES, "pretrain", "sft", "evaluate", "report")
"""Everything that a run can go through; the later ones where its recipe has their section."""


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage. Names of files are relative to it, as in its manifest."""

    uri: str
    copies: LocalCopies | None = None
    """Where remote files are copied to before they are mapped; without it they are read into memory."""

    def file(self, name: str) -> str:
        """The URI of a file that a manifest names."""
        return storage.join(self.uri, name)

    @property
    def is_copied(self) -> bool:
        """Whether files are mapped from local copies."""
        return self.copies is not None and not storage.is_local(self.uri)

    def copy(self, name: str, checksum: str) -> None:
        """Make the local copy of a file that a manifest names with this checksum, where there are copies."""
        if self.copies is not None and self.is_copied:
            self.copies.fetch(self.file(name), checksum)

    def map(self, name: str, checksum: str) -> pa.Buffer:
        """The bytes of a file, mapped where it is local or copied. Only a copy is compared with the checksum."""
        if self.copies is not None and self.is_copied:
            return self.copies.map(self.file(name), checksum)
        return storage.map_buffer(self.file(name))

    @property
    def manifest_uri(self) -> str:
        """Where the manifest is published."""
        return self.file("manifest.json")

    @property
    def tasks_uri(self) -> str:
        """Records of finished tasks while the stage runs."""
        return self.file("tasks")

    @property
    def work_uri(self) -> str:
        """What one phase leaves for the next; removed when the stage is done."""
        return self.file("work")

    def manifest(self) -> Manifest:
        """The published manifest; raises ``ManifestError`` when there is none."""
        return read_manifest(self.manifest_uri)

    def is_published(self) -> bool:
        """Whether a manifest stands here."""
        return storage.exists(self.manifest_uri)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run of one recipe, by path or URI."""

    uri: str
    copies: LocalCopies | None = None
    """See :class:`StageFolder`."""

    def stage(self, name: str) -> StageFolder:
        """The folder of a stage, or of another part of the run (report, pretrain, ...)."""
        return StageFolder(storage.join(self.uri, name), self.copies)

    @property
    def recipe_uri(self) -> str:
        """The resolved recipe that the run was made from."""
        return storage.join(self.uri, "recipe.yaml")
