"""Source trees: each path is a repository whose files become one document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lc_data.corpus.listing import FoundFile, find_files, find_folders
from lc_data.corpus.readers.inputs import (
    Input,
    InputFile,
    InputRange,
    Listing,
    list_path,
    unusable_input,
    whole_files,
)
from lc_data.corpus.readers.record import Record, Rejection
from lc_data.corpus.readers.repository import bundle_files, read_apart, read_bundle
from lc_data.recipe.sources import TreeSource


def list_input(source: TreeSource) -> Listing:
    """The files of each repository, named ``repository/path``."""
    files: dict[str, InputFile] = {}
    rejections: list[Rejection] = []
    taken: set[str] = set()
    for index, path in enumerate(source.paths):
        list_path(source, index, source.extensions)
        for folder in find_folders(path):
            name = _unique(folder.rstrip("/").rsplit("/", 1)[-1], taken)
            for item in find_files(folder, lambda file: file.lower().endswith(source.extensions)):
                inside = name if item.path == name else f"{name}/{item.path}"
                if isinstance(item, FoundFile):
                    files.setdefault(item.uri, InputFile(item.uri, inside, item.size_bytes, item.version, name))
                else:
                    rejections.append(unusable_input(source, replace(item, path=inside)))
    return Listing(sorted(files.values(), key=lambda file: (file.bundle, file.path)), rejections)


def cut(listing: Listing, source: TreeSource, task_bytes: int) -> Sequence[Input]:
    """A bundle for every document that a repository becomes, or a range for every file."""
    return bundle_files(listing.files, source) if source.join_files else whole_files(listing, source.max_bytes)


def read(part: Input, source: TreeSource, max_record_bytes: int) -> Iterator[Record]:
    """The joined document of a bundle after what became of its other files; or a file as a document."""
    if isinstance(part, InputRange):
        yield read_apart(part, source)
    else:
        yield from read_bundle(part, source)


def _unique(name: str, taken: set[str]) -> str:
    """The name, or with a number where another repository has it already."""
    number = 1
    unique = name
    while unique in taken:
        number += 1
        unique = f"{name}~{number}"
    taken.add(unique)
    return unique
