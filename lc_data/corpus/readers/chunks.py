"""The bytes of a file, decompressed as they stream, in pieces of bounded size.

Every decoder is driven so that a small input can never become a large output at once: zlib by its output limit,
zstandard by feeding it 1 KB at a time (a run-length block makes 128 KB of 4 bytes, so 32 MB at most; it costs 10%
against 64 KB). Whole-stream readers were no choice: some end silently where a stream was cut off, others lose what they
had decoded.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import zstandard

from lc_data.corpus import storage
from lc_data.corpus.readers.inputs import InputRange, unreadable
from lc_data.corpus.readers.record import Fault, InputFault

CHUNK_BYTES = 1 << 20
_GATHERED_BYTES = 256 << 10
_ZSTD_STEP_BYTES = 1 << 10
_GZIP_STEP_BYTES = 16 << 10
_GZIP_OUTPUT_BYTES = 64 << 10
"""Small, because what a call has decoded before it meets damage is lost with the call."""
_GZIP = 16 + zlib.MAX_WBITS


def read_plain(part: InputRange, start: int) -> Iterator[bytes]:
    """The bytes of a file from ``start`` to its end; raises :class:`InputFault` when it cannot be read on."""
    position = start
    try:
        with storage.open_input(part.file.uri) as file:
            file.seek(start)
            while chunk := file.read(CHUNK_BYTES):
                position += len(chunk)
                yield chunk
    except OSError as error:
        raise unreadable(error, max(part.stop - max(position, part.start), 0)) from None


def read_decompressed(part: InputRange) -> Iterator[bytes]:
    """The decompressed bytes of a file by its ending, up to the stored byte ``part.stop``.

    Raises :class:`InputFault` at the place where the stream is broken or breaks off, after all bytes before it.
    """
    blocks = _read_blocks(part)
    name = part.file.uri.lower()
    if name.endswith(".gz"):
        return _gather(_gunzip(blocks, part))
    if name.endswith((".zst", ".zstd")):
        return _gather(_unzstd(blocks, part))
    return read_plain(part, 0)


def _read_blocks(part: InputRange) -> Iterator[bytes]:
    position = 0
    try:
        with storage.open_input(part.file.uri) as file:
            while position < part.stop and (block := file.read(min(CHUNK_BYTES, part.stop - position))):
                position += len(block)
                yield block
    except OSError as error:
        raise unreadable(error, part.stop - position) from None


def _gunzip(blocks: Iterator[bytes], part: InputRange) -> Iterator[bytes]:
    decoder = None
    consumed = 0
    for step in _steps(blocks, _GZIP_STEP_BYTES):
        data = step
        consumed += len(step)
        while data:
            if decoder is None:
                data = data.lstrip(b"\0")  # members may be padded
                if not data:
                    break
                decoder = zlib.decompressobj(_GZIP)
            try:
                yield decoder.decompress(data, _GZIP_OUTPUT_BYTES)
            except zlib.error as error:
                raise InputFault("broken gzip stream", str(error), part.stop - consumed + len(data)) from None
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            decoder = None if decoder.eof else decoder
    if decoder is not None:
        yield decoder.flush()
        _break_off(part)


def _unzstd(blocks: Iterator[bytes], part: InputRange) -> Iterator[bytes]:
    decoder = None
    consumed = 0
    for step in _steps(blocks, _ZSTD_STEP_BYTES):
        data = step
        consumed += len(step)
        while data:
            decoder = decoder or zstandard.ZstdDecompressor().decompressobj()
            try:
                yield decoder.decompress(data)
            except zstandard.ZstdError as error:
                raise InputFault("broken zstd stream", str(error), part.stop - consumed + len(data)) from None
            data = decoder.unused_data if decoder.eof else b""
            decoder = None if decoder.eof else decoder
    if decoder is not None:
        _break_off(part)


def _steps(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), size):
            yield block[start : start + size]


def _break_off(part: InputRange) -> None:
    if part.stop >= part.file.size_bytes:
        raise InputFault("truncated stream", f"the file ends inside a compressed stream, after {part.stop} bytes")


def _gather(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces worth handling; those before a fault are delivered before it."""
    held: list[bytes] = []
    held_bytes = 0
    try:
        for piece in pieces:
            held.append(piece)
            held_bytes += len(piece)
            if held_bytes >= _GATHERED_BYTES:
                yield b"".join(held)
                held, held_bytes = [], 0
    except Fault:
        yield b"".join(held)
        raise
    if held_bytes:
        yield b"".join(held)
