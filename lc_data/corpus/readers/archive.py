"""The records of a WARC archive, one after the other.

Decompression and framing are ours, the headers and HTTP are warcio's. warcio's own iterator ends silently where an
archive breaks off and reads whatever stands between two records as an older format, without a word to the caller; here
both are told, and reading goes on at the next line that begins a record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from warcio.exceptions import ArchiveLoadFailed
from warcio.recordloader import ArcWarcRecordLoader
from warcio.statusandheaders import StatusAndHeadersParserException

from lc_data.corpus.readers.chunks import read_decompressed
from lc_data.corpus.readers.inputs import InputRange
from lc_data.corpus.readers.record import SAMPLE_BYTES, Fault, InputFault

MAX_HEADER_BYTES = 4 << 20
"""Lines of one record's headers (and of its HTTP chunk sizes): a header without an end must not fill the memory."""

_LINE_BYTES = 64 << 10
_BEGIN = b"WARC/"


class Junk(NamedTuple):
    """Bytes that belong to no record, or a record whose headers cannot be read."""

    size_bytes: int
    sample: bytes
    detail: str


class ArchiveStream:
    """The decompressed archive, with ``read`` and ``readline`` as warcio wants them.

    Both raise :class:`InputFault` where the archive breaks off.
    """

    def __init__(self, part: InputRange) -> None:
        self._chunks = read_decompressed(part)
        self._held = b""
        self._at = 0
        self._line_bytes = 0
        self.position = 0
        """Decompressed bytes handed out."""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end."""
        return self._take(min(self._at + size, len(self._held))) if self._fill() else b""

    def readline(self, size: int = _LINE_BYTES) -> bytes:
        """The next line with its end, or its first 64 KB; raises :class:`Fault` when a record has too many of them."""
        pieces: list[bytes] = []
        left = min(size, _LINE_BYTES)
        while left > 0 and self._fill():
            end = self._held.find(b"\n", self._at, self._at + left)
            piece = self._take(end + 1 if end >= 0 else min(self._at + left, len(self._held)))
            pieces.append(piece)
            left = 0 if end >= 0 else left - len(piece)
        line = b"".join(pieces)
        self._line_bytes += len(line)
        if self._line_bytes > MAX_HEADER_BYTES:
            raise Fault("broken WARC", f"headers of more than {MAX_HEADER_BYTES} bytes")
        return line

    def begin_record(self) -> None:
        """Count header lines anew."""
        self._line_bytes = 0

    def _fill(self) -> bool:
        while self._at >= len(self._held):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._held, self._at = chunk, 0
        return True

    def _take(self, stop: int) -> bytes:
        data = self._held[self._at : stop]
        self._at += len(data)
        self.position += len(data)
        return data


def read_archive(stream: ArchiveStream) -> Iterator[tuple[int, Any]]:
    """Each record, or junk, with its offset. A record's ``raw_stream`` must be read to its end before the next one."""
    loader = ArcWarcRecordLoader(verify_http=False, arc2warc=False)
    junk_offset, junk = 0, b""
    while True:
        offset = stream.position
        stream.begin_record()
        line = stream.readline()
        if line and not line.startswith(_BEGIN):
            if line.strip() or junk:
                junk_offset, junk = (junk_offset, junk) if junk else (offset, b"")
                junk = (junk + line)[:SAMPLE_BYTES]
            continue
        if junk:
            yield junk_offset, Junk(offset - junk_offset, junk, "no record begins here")
            junk = b""
        if not line:
            return
        try:
            yield offset, _parse(loader, stream, line)
        except InputFault:
            raise
        except (ArchiveLoadFailed, StatusAndHeadersParserException, EOFError, Fault) as error:
            detail = str(error) or "the archive ends in a header"
            yield offset, Junk(stream.position - offset, line[:SAMPLE_BYTES], detail)


def _parse(loader: ArcWarcRecordLoader, stream: ArchiveStream, line: bytes) -> Any:
    """The record that begins with a line, HTTP headers parsed where it has them."""
    record = loader.parse_record_stream(stream, line, known_format="warc", no_record_parse=True)
    if record.length is None or not str(record.rec_headers.get_header("Content-Length")).strip().isdigit():
        raise Fault("broken WARC", "a record without a valid Content-Length")
    uri = record.rec_headers.get_header("WARC-Target-URI") or ""
    if record.rec_type == "response" and record.length and uri.startswith(("http:", "https:")):
        record.http_headers = loader.http_parser.parse(record.raw_stream)
    return record
