"""Lines with their addresses, none of them held beyond a limit.

A line belongs to the range in which it starts, so any cut of a file gives the same lines. A line that is too long is
counted to its end and only its beginning is kept; reading goes on with the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lc_data.corpus import storage
from lc_data.corpus.readers.chunks import CHUNK_BYTES, read_decompressed, read_plain
from lc_data.corpus.readers.inputs import InputFile, InputRange, even_cuts, unreadable
from lc_data.corpus.readers.record import SAMPLE_BYTES, Fault, InputFault


class Line(NamedTuple):
    """A line without its end mark, or why it could not be read."""

    offset: int
    """Of its first byte, after decompression."""
    size: int
    data: bytes
    """Only the beginning, where there is a fault."""
    ended: bool
    """Whether an end mark follows it."""
    fault: Fault | None = None


def cut_lines(file: InputFile, task_bytes: int, max_bytes: int | None) -> list[InputRange]:
    """Byte ranges of a file of lines; a compressed one is one range."""
    stop = file.size_bytes if max_bytes is None else min(file.size_bytes, max_bytes)
    if file.is_compressed:
        return [InputRange(file, 0, stop, stop)]
    return [InputRange(file, low, high, high - low) for low, high in even_cuts(stop, -(-stop // task_bytes))]


def read_lines(part: InputRange, max_bytes: int) -> Iterator[Line]:
    """The lines that start in a range. A break in the input is the last line, with its fault."""
    if part.file.is_compressed:
        is_cut = part.stop < part.file.size_bytes
        for line in split_lines(read_decompressed(part), 0, max_bytes):
            if not (is_cut and not line.ended and line.fault is None):
                yield line
        return
    try:
        start = _first_start(part)
    except InputFault as fault:
        yield Line(part.start, 0, b"", ended=False, fault=fault)
        return
    if start is None:
        return
    for line in split_lines(read_plain(part, start), start, max_bytes):
        if line.offset >= part.stop:
            return
        yield line


def split_lines(chunks: Iterator[bytes], offset: int, max_bytes: int) -> Iterator[Line]:
    """The lines of a stream whose first byte has the address ``offset``."""
    held: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            *ended, rest = chunk.split(b"\n")
            for piece in ended:
                length = size + len(piece)
                held.append(piece)
                yield _take(held, offset, length, max_bytes)
                offset += length + 1
                size = 0
            if rest:
                size += len(rest)
                held.append(rest)
                if size > max_bytes:
                    held = [_beginning(held)]
    except Fault as fault:
        yield Line(offset, size, _beginning(held), ended=False, fault=fault)
        return
    if size:
        yield _take(held, offset, size, max_bytes)._replace(ended=False)


def _take(held: list[bytes], offset: int, size: int, max_bytes: int) -> Line:
    """The line that is held; nothing is held afterwards, so that a large one is not in memory twice."""
    if size > max_bytes:
        data = _beginning(held)
        held.clear()
        fault = Fault("record too large", f"{size} bytes; ingest.max_record_bytes is {max_bytes}")
        return Line(offset, size, data, ended=True, fault=fault)
    data = held[0] if len(held) == 1 else b"".join(held)
    held.clear()
    return Line(offset, size, data, ended=True)


def _beginning(held: list[bytes]) -> bytes:
    """The first bytes of what is held, without joining all of it."""
    head = b""
    for piece in held:
        head += piece[: SAMPLE_BYTES - len(head)]
        if len(head) == SAMPLE_BYTES:
            break
    return head


def _first_start(part: InputRange) -> int | None:
    """Where the first line that starts in a range of a plain file does so; ``None`` when none does."""
    if part.start == 0:
        return 0
    position = part.start - 1
    try:
        with storage.open_input(part.file.uri) as file:
            file.seek(position)
            while position < part.stop - 1 and (chunk := file.read(CHUNK_BYTES)):
                if (found := chunk.find(b"\n")) >= 0:
                    start = position + found + 1
                    return start if start < part.stop else None
                position += len(chunk)
    except OSError as error:
        raise unreadable(error, part.weight_bytes) from None
    return None
