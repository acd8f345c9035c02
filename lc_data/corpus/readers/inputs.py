"""What is to be read: files as they were listed, ranges of them, and bundles that become one document.

Ranges are planned by stored bytes, so that a 5 GB file is many tasks and ten thousand small ones are a few. What a
range means belongs to the format: bytes of JSON Lines, row groups of Parquet, record batches of Arrow. Ids and
addresses never depend on how files were cut.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lc_data.corpus import storage
from lc_data.corpus.listing import FoundFile, Unusable, find_files, stat_file
from lc_data.corpus.readers.record import InputFault, Rejection
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.sources import PathSource, SourceBase

COMPRESSED = (".gz", ".zst", ".zstd")
"""Endings of streams that can only be read from their beginning."""

_MACHINE_ERRORS = frozenset({12, 23, 24, 28})
"""ENOMEM, ENFILE, EMFILE, ENOSPC: faults of this machine, never of the data."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of a source."""

    uri: str
    path: str
    """Relative, with forward slashes: the stem of addresses and ids."""
    size_bytes: int
    version: str
    bundle: str = ""
    """The repository or distribution that it belongs to, where a kind has them."""
    license: str | None = None

    @property
    def is_compressed(self) -> bool:
        """Whether its ending says that it is a compressed stream."""
        return self.uri.lower().endswith(COMPRESSED)


@dataclass(frozen=True, slots=True)
class InputRange:
    """A part of one file, from ``start`` up to ``stop`` in the unit of its format."""

    file: InputFile
    start: int
    stop: int
    weight_bytes: int
    """Stored bytes."""

    @property
    def address(self) -> str:
        """For people."""
        return f"{self.file.path}@{self.start}-{self.stop}"

    @property
    def files(self) -> tuple[InputFile, ...]:
        """The files that it needs unchanged."""
        return (self.file,)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files that are joined to one document."""

    address: str
    """Name of the repository, with ``#n`` where it became several documents."""
    files: tuple[InputFile, ...]
    earlier: tuple[InputFile, ...] = ()
    """Files of the documents before it that one of its own may repeat."""

    @property
    def weight_bytes(self) -> int:
        """Stored bytes."""
        return sum(file.size_bytes for file in self.files)


Input = InputRange | Bundle


@dataclass(frozen=True)
class Listing:
    """The input of a source before it is cut."""

    files: Sequence[InputFile]
    rejections: Sequence[Rejection] = ()
    """What was found and cannot be used."""

    def identity(self) -> list[list[str | int]]:
        """What the output depends on: it changes when a file comes, goes or changes."""
        files: list[list[str | int]] = [[file.path, file.size_bytes, file.version] for file in self.files]
        return files + [[rejection.address, rejection.reason] for rejection in self.rejections]


def list_source(source: PathSource, extensions: tuple[str, ...]) -> Listing:
    """The files of a source, sorted; raises :class:`RecipeError` for a path at which there is nothing to read."""
    found = [list_path(source, index, extensions) for index in range(len(source.paths))]
    return relative_listing(source, found)


def list_path(source: PathSource, index: int, extensions: tuple[str, ...]) -> list[FoundFile | Unusable]:
    """What one of a source's paths leads to; raises :class:`RecipeError` when that is nothing."""
    path = source.paths[index]
    found = find_files(path, lambda name: name.lower().endswith(extensions))
    if found:
        return found
    where = f"sources.{source.name}.paths.{index}: {path!r}"
    if storage.exists(path):
        endings = ", ".join(extensions)
        raise RecipeError(f"{where} holds no file ending in {endings}; give its files by a glob, or another folder")
    raise RecipeError(f"{where} matches nothing; give an existing file, folder or glob")


def relative_listing(source: SourceBase, found: list[list[FoundFile | Unusable]]) -> Listing:
    """One listing of what several paths led to.

    Where two files would have the same relative path, all are named from the folder that the source's files share.
    """
    files = {item.uri: item for group in found for item in group if isinstance(item, FoundFile)}
    names = {uri: item.path for uri, item in files.items()}
    if len(set(names.values())) < len(names):
        shared = _shared_folder(list(files))
        names = {uri: uri[len(shared) :] for uri in files}
    listed = [InputFile(uri, names[uri], item.size_bytes, item.version) for uri, item in files.items()]
    unusable = [item for group in found for item in group if isinstance(item, Unusable)]
    return Listing(
        files=sorted(listed, key=lambda file: file.path),
        rejections=[unusable_input(source, item) for item in unusable],
    )


def unusable_input(source: SourceBase, item: Unusable) -> Rejection:
    """The rejection of something that could be listed and not opened."""
    return Rejection(source.name, source.domain, item.path, 0, item.reason, item.detail, b"")


def describe_change(file: InputFile) -> str | None:
    """How a file differs from what was listed; ``None`` when it does not."""
    try:
        size, version = stat_file(file.uri)
    except OSError as error:
        return f"{file.path} is gone: {error.strerror or error}"
    if size != file.size_bytes:
        return f"{file.path} had {file.size_bytes} bytes and has {size}"
    return None if version == file.version else f"{file.path} was written to"


def unreadable(error: OSError, lost_bytes: int) -> InputFault:
    """The fault of a file that cannot be read; errors of this machine are raised on, because data is not to blame."""
    if error.errno in _MACHINE_ERRORS:
        raise error
    return InputFault("unreadable file", f"{type(error).__name__}: {error.strerror or error}", lost_bytes)


def read_whole(file: InputFile, max_bytes: int) -> bytes:
    """The content of a file of at most ``max_bytes``; raises :class:`InputFault` for a larger or unreadable one."""
    try:
        with storage.open_input(file.uri) as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise unreadable(error, file.size_bytes) from None
    if len(data) > max_bytes:
        detail = f"{file.size_bytes} bytes; max_document_bytes is {max_bytes}"
        raise InputFault("document too large", detail)
    return data


def whole_files(listing: Listing, max_bytes: int | None = None) -> list[InputRange]:
    """Every file as one range; with ``max_bytes``, only so many files that these bytes are reached."""
    return [InputRange(file, 0, file.size_bytes, file.size_bytes) for file in take_bytes(listing.files, max_bytes)]


def take_bytes(files: Sequence[InputFile], max_bytes: int | None) -> Sequence[InputFile]:
    """The first files that together hold ``max_bytes`` or, at the end, a little more."""
    total = 0
    for index, file in enumerate(files):
        if max_bytes is not None and total >= max_bytes:
            return files[:index]
        total += file.size_bytes
    return files


Cut = Callable[[InputFile, int, int | None], list[InputRange]]
"""(file, bytes of a range, bytes of the file to read or all) -> ranges."""


def cut_files(listing: Listing, task_bytes: int, max_bytes: int | None, cut: Cut) -> list[InputRange]:
    """Ranges of about ``task_bytes`` over all files, up to ``max_bytes`` in all."""
    ranges: list[InputRange] = []
    left = max_bytes
    for file in listing.files:
        if left is not None and left <= 0:
            break
        pieces = cut(file, task_bytes, left)
        ranges += pieces
        if left is not None:
            left -= sum(piece.weight_bytes for piece in pieces)
    return ranges


def even_cuts(total: int, pieces: int) -> list[tuple[int, int]]:
    """``[0, total)`` in at most ``pieces`` pieces of nearly equal size, none of them empty."""
    borders = [total * index // pieces for index in range(pieces + 1)] if total else []
    return [(low, high) for low, high in pairwise(borders) if low < high]


def _shared_folder(uris: list[str]) -> str:
    shared = os.path.commonprefix(uris)  # noqa: RUF071 (commonpath would take the // out of a URI)
    return shared[: shared.rfind("/") + 1]
