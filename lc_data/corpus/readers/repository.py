"""Repositories: files joined to one document, in the order of their paths or of their imports.

Its parts say where each file lies, so that later stages and readers can tell files apart without a mark in the text.
What is wrong with a file concerns that file alone: it is quarantined, dropped by a rule of the recipe, or dropped as a
repetition, and the repository goes on without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby

import orjson
import xxhash

from lc_data.corpus.readers.imports import order_by_imports
from lc_data.corpus.readers.inputs import Bundle, InputFile, InputRange, read_whole, take_bytes
from lc_data.corpus.readers.left_out import reason_to_leave_out
from lc_data.corpus.readers.record import (
    Document,
    Fault,
    InputFault,
    Origin,
    Part,
    Record,
    Skip,
    check_unicode,
    is_blank,
    make_id,
    make_labels,
    reject,
)
from lc_data.corpus.readers.text import read_document
from lc_data.recipe.sources import RepositorySource


def bundle_files(files: Sequence[InputFile], source: RepositorySource) -> list[Bundle]:
    """Files of the same bundle joined up to ``max_joined_bytes``; whole bundles until ``max_bytes`` are reached."""
    bundles: list[Bundle] = []
    total = 0
    for name, group in groupby(files, key=lambda file: file.bundle):
        if source.max_bytes is not None and total >= source.max_bytes:
            break
        members = list(take_bytes(list(group), None if source.max_bytes is None else source.max_bytes - total))
        pieces = _pieces(members, source.max_joined_bytes)
        for number, piece in enumerate(pieces):
            address = f"{name}#{number + 1}" if len(pieces) > 1 else name
            earlier = _same_sizes(pieces[:number], piece) if source.unique_files else ()
            bundles.append(Bundle(address, tuple(piece), earlier))
        total += sum(file.size_bytes for file in members)
    return bundles


def read_bundle(bundle: Bundle, source: RepositorySource) -> Iterator[Record]:
    """Join the files of a bundle. Each begins on a new line; blank ones are counted and leave nothing."""
    members: list[tuple[str, bytes]] = []
    count = read_bytes = 0
    first = _read_earlier(bundle, source)
    for file in bundle.files:
        data = _read_member(file, source)
        if isinstance(data, bytes) and source.unique_files and (earlier := _find_equal(first, file, data)):
            data = _skip(file, source, "duplicate_file", orjson.dumps({"repeats": earlier}).decode())
        if not isinstance(data, bytes):
            yield data
            continue
        count += 1
        read_bytes += len(data)
        if not is_blank(data):
            members.append((_place(file), data))
    if source.order == "imports":
        members = [members[number] for number in order_by_imports(members)]
    if count:
        yield _join(bundle, source, members, Origin("joined", count, read_bytes))


def read_apart(part: InputRange, source: RepositorySource) -> Record:
    """A file of a repository as a document of its own, unless a rule leaves it out."""
    record = read_document(part, source)
    content = record.text if isinstance(record, Document) else b""
    reason = reason_to_leave_out(_place(part.file), content, source.leave_out)
    return record if reason is None else _skip(part.file, source, reason)


def _read_member(file: InputFile, source: RepositorySource) -> bytes | Record:
    """The content of a file, or what becomes of it instead."""
    # Asked before it is read: for most files that are left out, the path is enough.
    if reason := reason_to_leave_out(_place(file), b"", source.leave_out):
        return _skip(file, source, reason)
    data = b""
    try:
        data = read_whole(file, source.max_document_bytes)
        check_unicode(data)
        if (place := data.find(b"\0")) >= 0:
            raise Fault("NUL bytes", f"the first at byte {place}")
    except Fault as fault:
        return reject(source, file.path, fault, data, max(len(data), getattr(fault, "lost_bytes", 0)))
    reason = reason_to_leave_out(_place(file), data, source.leave_out)
    return data if reason is None else _skip(file, source, reason)


def _read_earlier(bundle: Bundle, source: RepositorySource) -> dict[bytes, str]:
    """The digests of the files before a bundle that its own may repeat, and where each stands."""
    first: dict[bytes, str] = {}
    for file in bundle.earlier:
        data = _read_member(file, source)
        if isinstance(data, bytes):
            _find_equal(first, file, data)
    return first


def _find_equal(first: dict[bytes, str], file: InputFile, data: bytes) -> str | None:
    """The earlier file with the same content, or ``None`` for the first; blank files repeat nothing."""
    if is_blank(data):
        return None
    earlier = first.setdefault(xxhash.xxh3_128_digest(data), _place(file))
    return earlier if earlier != _place(file) else None


def _skip(file: InputFile, source: RepositorySource, reason: str, detail: str | None = None) -> Skip:
    return Skip(make_id(source, file.path), source.domain, file.size_bytes, reason, detail)


def _place(file: InputFile) -> str:
    """Where a file lies in its repository."""
    return file.path.removeprefix(f"{file.bundle}/")


def _join(bundle: Bundle, source: RepositorySource, members: list[tuple[str, bytes]], origin: Origin) -> Record:
    pieces = [data if data.endswith(b"\n") else data + b"\n" for _, data in members]
    starts = accumulate((len(piece) for piece in pieces), initial=0)
    parts = tuple(Part(place, start, len(data)) for (place, data), start in zip(members, starts, strict=False))
    text = b"".join(pieces)
    if not text:
        return reject(source, bundle.address, Fault("empty text", "all its files are blank"), b"", origin.size_bytes)
    if len(text) > source.max_document_bytes:
        detail = f"{len(text)} bytes; max_document_bytes is {source.max_document_bytes}, lower max_joined_bytes"
        return reject(source, bundle.address, InputFault("document too large", detail), text)
    labels = make_labels(source, bundle.address, bundle.files[0].license)
    return Document(labels, text, bundle.address, parts, origin)


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


def _same_sizes(pieces: list[list[InputFile]], later: list[InputFile]) -> tuple[InputFile, ...]:
    """The files of ``pieces`` that have the size of one of ``later``: only those can be equal to it."""
    sizes = {file.size_bytes for file in later}
    return tuple(file for piece in pieces for file in piece if file.size_bytes in sizes)
