"""WARC archives: the main text of every HTML response, and the text of WET conversions.

Addresses are offsets in the decompressed archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from lc_data.corpus.readers.archive import ArchiveStream, Junk, read_archive
from lc_data.corpus.readers.html import page_document
from lc_data.corpus.readers.inputs import Input, InputFile, InputRange, Listing, cut_files, list_source
from lc_data.corpus.readers.record import (
    Document,
    Fault,
    InputFault,
    Record,
    Skip,
    check_text,
    make_id,
    make_labels,
    reject,
)
from lc_data.recipe.sources import WarcSource

EXTENSIONS = tuple(f"{name}{ending}" for name in (".warc", ".wet") for ending in ("", ".gz", ".zst"))
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_OK = "200"


def list_input(source: WarcSource) -> Listing:
    """The files of the source."""
    return list_source(source, EXTENSIONS)


def cut(listing: Listing, source: WarcSource, task_bytes: int) -> list[InputRange]:
    """A range a file: where records begin is only known by reading."""
    return cut_files(listing, task_bytes, source.max_bytes, _cut_file)


def read(part: Input, source: WarcSource, max_record_bytes: int) -> Iterator[Record]:
    """A record for every response and conversion; requests and the archive's own records are not documents."""
    assert isinstance(part, InputRange)
    archive = ArchiveStream(part)
    offset = 0
    try:
        for offset, item in read_archive(archive):
            address = f"{part.file.path}@{offset}"
            if isinstance(item, Junk):
                yield reject(source, address, Fault("broken WARC", item.detail), item.sample, item.size_bytes)
                continue
            wanted = item.rec_type in {"response", "conversion"}
            record = _read_record(item, source, address) if wanted else None
            if _drain(item, part) and record is not None:
                yield record
    except InputFault as fault:
        size = max(fault.lost_bytes, archive.position - offset)
        yield reject(source, f"{part.file.path}@{offset}", fault, b"", size)


def _cut_file(file: InputFile, task_bytes: int, max_bytes: int | None) -> list[InputRange]:
    stop = file.size_bytes if max_bytes is None else min(file.size_bytes, max_bytes)
    return [InputRange(file, 0, stop, stop)] if stop else []


def _read_record(warc: Any, source: WarcSource, address: str) -> Record:
    page = b""
    try:
        reason = _unwanted(warc)
        if reason is not None:
            size = int(warc.length or 0)
            return Skip(make_id(source, address), source.domain, size, reason, warc.rec_headers.get("WARC-Target-URI"))
        page = _payload(warc, source.max_document_bytes)
        return _document(warc, page, source, address)
    except Fault as fault:
        if isinstance(fault, InputFault):
            raise
        return reject(source, address, fault, page)


def _document(warc: Any, page: bytes, source: WarcSource, address: str) -> Document:
    known = {"url": warc.rec_headers.get("WARC-Target-URI"), "date": warc.rec_headers.get("WARC-Date")}
    metadata = orjson.dumps({name: value for name, value in known.items() if value is not None}).decode()
    labels = make_labels(source, address, metadata=metadata)
    if warc.rec_type == "conversion":
        return Document(labels, check_text(page, source.max_document_bytes), address)
    return page_document(page, source, labels, address)


def _unwanted(warc: Any) -> str | None:
    """Why a response holds no page; ``None`` when it should hold one."""
    if warc.rec_type == "conversion":
        return None
    if warc.http_headers is None:
        return "not an HTTP response"
    if warc.http_headers.get_statuscode() != _OK:
        return "HTTP status is not 200"
    stated = warc.rec_headers.get("WARC-Identified-Payload-Type") or warc.http_headers.get("Content-Type") or ""
    return None if stated.partition(";")[0].strip().lower() in _HTML_TYPES else "not HTML"


def _payload(warc: Any, max_bytes: int) -> bytes:
    """The content of a record, transfer and content encoding undone, never more than the limit in memory."""
    stream = warc.content_stream()
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > max_bytes:
            raise Fault("document too large", f"{size} bytes or more; max_document_bytes is {max_bytes}")
    return b"".join(pieces)


def _drain(warc: Any, part: InputRange) -> bool:
    """Read a record to its end. False where a trial ends inside it; :class:`InputFault` where the archive does."""
    while warc.raw_stream.read(1 << 16):
        pass
    missing = getattr(warc.raw_stream, "limit", 0)
    if missing > 0 and part.stop >= part.file.size_bytes:
        raise InputFault("truncated WARC", f"the last record lacks {missing} bytes")
    return missing == 0
