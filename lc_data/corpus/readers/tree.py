"""Source trees: each path is a repository whose files, in path order, become one document.

Its parts say where each file lies, so that later stages and readers can tell files apart without a mark in the text.
A file that cannot be read is quarantined alone; the repository goes on without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from lc_data.corpus.listing import FoundFile, find_files, find_folders
from lc_data.corpus.readers.inputs import (
    Bundle,
    Input,
    InputFile,
    InputRange,
    Listing,
    list_path,
    read_whole,
    take_bytes,
    unusable_input,
    whole_files,
)
from lc_data.corpus.readers.record import (
    Document,
    Fault,
    InputFault,
    Origin,
    Part,
    Record,
    Rejection,
    check_unicode,
    is_blank,
    make_labels,
    reject,
)
from lc_data.corpus.readers.text import read_document
from lc_data.recipe.sources import EnvironmentSource, TreeSource


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
    if not source.join_files:
        return whole_files(listing, source.max_bytes)
    return bundle_files(listing.files, source.max_joined_bytes, source.max_bytes)


def read(part: Input, source: TreeSource, max_record_bytes: int) -> Iterator[Record]:
    """The joined document of a bundle after the rejections of its unreadable files; or a file as a document."""
    if isinstance(part, InputRange):
        yield read_document(part, source)
    else:
        yield from read_bundle(part, source)


def bundle_files(files: Sequence[InputFile], max_joined_bytes: int, max_bytes: int | None) -> list[Bundle]:
    """Files of the same bundle joined up to ``max_joined_bytes``; whole bundles until ``max_bytes`` are reached."""
    bundles: list[Bundle] = []
    total = 0
    for name, group in groupby(files, key=lambda file: file.bundle):
        if max_bytes is not None and total >= max_bytes:
            break
        members = list(take_bytes(list(group), None if max_bytes is None else max_bytes - total))
        pieces = _pieces(members, max_joined_bytes)
        numbers = [f"#{number}" for number in range(1, len(pieces) + 1)] if len(pieces) > 1 else [""]
        bundles += [Bundle(f"{name}{number}", tuple(piece)) for number, piece in zip(numbers, pieces, strict=True)]
        total += sum(file.size_bytes for file in members)
    return bundles


def read_bundle(bundle: Bundle, source: TreeSource | EnvironmentSource) -> Iterator[Record]:
    """Join the files of a bundle. Each begins on a new line; blank ones are counted and leave nothing."""
    pieces: list[bytes] = []
    parts: list[Part] = []
    offset = count = read_bytes = 0
    for file in bundle.files:
        data = b""
        try:
            data = read_whole(file, source.max_document_bytes)
            check_unicode(data)
            if (place := data.find(b"\0")) >= 0:
                raise Fault("NUL bytes", f"the first at byte {place}")
        except Fault as fault:
            yield reject(source, file.path, fault, data, max(len(data), getattr(fault, "lost_bytes", 0)))
            continue
        count += 1
        read_bytes += len(data)
        if is_blank(data):
            continue
        text = data if data.endswith(b"\n") else data + b"\n"
        parts.append(Part(file.path.removeprefix(f"{bundle.files[0].bundle}/"), offset, len(data)))
        pieces.append(text)
        offset += len(text)
    if count:
        yield _join(bundle, source, pieces, parts, Origin("joined", count, read_bytes))


def _join(
    bundle: Bundle, source: TreeSource | EnvironmentSource, pieces: list[bytes], parts: list[Part], origin: Origin
) -> Record:
    text = b"".join(pieces)
    if not text:
        return reject(source, bundle.address, Fault("empty text", "all its files are blank"), b"", origin.size_bytes)
    if len(text) > source.max_document_bytes:
        detail = f"{len(text)} bytes; max_document_bytes is {source.max_document_bytes}, lower max_joined_bytes"
        return reject(source, bundle.address, InputFault("document too large", detail), text)
    labels = make_labels(source, bundle.address, bundle.files[0].license)
    return Document(labels, text, bundle.address, tuple(parts), origin)


def _pieces(files: list[InputFile], max_bytes: int) -> list[list[InputFile]]:
    pieces: list[list[InputFile]] = [[]]
    size = 0
    for file in files:
        # One more for the line end that joining may add.
        if pieces[-1] and size + file.size_bytes + 1 > max_bytes:
            pieces.append([])
            size = 0
        pieces[-1].append(file)
        size += file.size_bytes + 1
    return pieces


def _unique(name: str, taken: set[str]) -> str:
    """The name, or with a number where another repository has it already."""
    number = 1
    unique = name
    while unique in taken:
        number += 1
        unique = f"{name}~{number}"
    taken.add(unique)
    return unique
