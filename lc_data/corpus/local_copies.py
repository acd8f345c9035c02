"""Local copies of remote files: what lets a trainer map the shards of an object store.

A copy appears under its name only when it is whole and has the checksum that the manifest gives, so an interrupted or
truncated reply is never served. All processes of a machine share one folder; it is bounded in bytes, and what was used
longest ago goes first. A file that somebody still has mapped stays readable until it is let go of.
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import xxhash

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import file_checksum
from lc_data.failure import Failure

_CHUNK_BYTES = 16 << 20
_FIRST_WAIT_SECONDS = 0.1

log = logging.getLogger(__name__)

T = TypeVar("T")


class CopyError(Failure):
    """A remote file that could not be copied, or that is not the one its manifest names."""


@dataclass(frozen=True)
class LocalCopies:
    """A folder of copies. Instances can be pickled; any number of processes may use the same folder."""

    folder: Path
    max_bytes: int
    """The copies together take no more, except that the newest one always stays."""
    attempts: int = 6
    """How often each part of a file is asked for, with waits that double from 0.1 seconds."""

    @classmethod
    def default(cls) -> LocalCopies:
        """Up to 32 GiB below the user's cache folder (``XDG_CACHE_HOME``)."""
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(home) / "lc_data", 32 << 30)

    def fetch(self, uri: str, checksum: str) -> Path:
        """Return the local copy of a file with this xxh3-128, made first if there is none.

        Raises :class:`CopyError` when the file cannot be read in so many attempts, or is another one.
        """
        final = self.folder / f"{xxhash.xxh3_64_hexdigest(uri)}-{checksum}"
        self.folder.mkdir(parents=True, exist_ok=True)
        if not _use(final):
            with _held(final.with_suffix(".lock")):
                # Another process may have made it while this one waited.
                if not _use(final):
                    self._copy(uri, checksum, final)
        return final

    def map(self, uri: str, checksum: str) -> pa.Buffer:
        """Return the bytes of a file, mapped from its local copy; raises what :meth:`fetch` raises."""
        while True:
            path = self.fetch(uri, checksum)
            try:
                with pa.memory_map(str(path), "r") as source:
                    return source.read_buffer()
            except FileNotFoundError:  # another process made room between the two
                continue

    def _copy(self, uri: str, checksum: str, final: Path) -> None:
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=f"{final.name}{storage.TEMPORARY_MARK}")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as sink:
                for part in self._parts(uri):
                    sink.write(part)
            found = file_checksum(str(temporary))
            if found != checksum:
                raise CopyError(
                    f"{uri} is not the file that the manifest names: checksum {found}, expected {checksum}; restore it"
                )
            self._make_room(temporary.stat().st_size)
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)

    def _parts(self, uri: str) -> Iterator[bytes]:
        size = self._insist(uri, partial(storage.size_bytes, uri))
        for begin in range(0, size, _CHUNK_BYTES):
            end = min(begin + _CHUNK_BYTES, size)
            yield self._insist(uri, partial(_read_range, uri, begin, end))

    def _insist(self, uri: str, read: Callable[[], T]) -> T:
        """Read, again and again after longer and longer waits; CopyError when it never works."""
        for attempt in range(1, self.attempts + 1):
            try:
                return read()
            except (FileNotFoundError, PermissionError) as error:
                raise CopyError(f"{uri}: {error}") from error
            except Exception as error:  # every store's client has exceptions of its own
                if attempt == self.attempts:
                    raise CopyError(
                        f"{uri} could not be read in {attempt} attempts: {type(error).__name__}: {error}"
                    ) from error
                log.warning("%s: %s: %s; trying again", uri, type(error).__name__, error)
                time.sleep(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
        raise AssertionError("attempts is at least 1")

    def _make_room(self, needed_bytes: int) -> None:
        """Remove the copies that were used longest ago until the rest leaves room."""
        copies = []
        for path in self.folder.iterdir():
            if path.suffix != ".lock" and storage.TEMPORARY_MARK not in path.name:
                try:
                    status = path.stat()
                except FileNotFoundError:  # another process made room
                    continue
                copies.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in copies)
        for _, size, path in sorted(copies):
            if total + needed_bytes <= self.max_bytes:
                break
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)
            total -= size


def _use(path: Path) -> bool:
    """Mark a copy as used just now; whether it exists."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _read_range(uri: str, begin: int, end: int) -> bytes:
    fs, path = storage.file_system(uri)
    data: bytes = fs.cat_file(path, start=begin, end=end)
    if len(data) != end - begin:
        raise EOFError(f"bytes {begin} to {end} were asked for, {len(data)} came")
    return data


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a lock file: of several processes that want the same copy, one makes it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
