"""Files by URI: a local path, or anything fsspec knows (s3, gs, hf, memory).

Every output goes through :func:`create` or :func:`write_atomic`, so that a name either holds a whole file or does not
exist. Local files are written beside their final name, flushed to the disk and renamed. Object stores publish a file
only when it is closed, and readers follow manifests alone, so there the final name is written directly.
"""

from __future__ import annotations

import io
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import fsspec
import pyarrow as pa

TEMPORARY_MARK = ".tmp-"


def is_local(uri: str) -> bool:
    """Whether a URI names a file of this machine's file system."""
    return "://" not in uri or uri.startswith("file://")


def local_path(uri: str) -> Path:
    """The path of a local URI."""
    return Path(uri.removeprefix("file://"))


def join(uri: str, *names: str) -> str:
    """A URI below another one."""
    return "/".join([uri.rstrip("/"), *names])


def file_system(uri: str) -> tuple[Any, str]:
    """The fsspec file system of a URI and the path inside it."""
    return fsspec.core.url_to_fs(uri)


def exists(uri: str) -> bool:
    """Whether a file or folder stands at this URI."""
    if is_local(uri):
        return local_path(uri).exists()
    fs, path = file_system(uri)
    return bool(fs.exists(path))


def size_bytes(uri: str) -> int:
    """The size of a file."""
    if is_local(uri):
        return local_path(uri).stat().st_size
    fs, path = file_system(uri)
    return int(fs.size(path))


def open_input(uri: str) -> IO[bytes]:
    """Open a file for reading, as stored (no decompression)."""
    if is_local(uri):
        return local_path(uri).open("rb")
    fs, path = file_system(uri)
    return fs.open(path, "rb")


def read_bytes(uri: str) -> bytes:
    """A whole file."""
    with open_input(uri) as file:
        return file.read()


def map_input(uri: str) -> pa.NativeFile:
    """A file as an Arrow input: memory-mapped when local, otherwise read into memory."""
    if is_local(uri):
        return pa.memory_map(str(local_path(uri)), "r")
    return pa.BufferReader(read_bytes(uri))


def map_buffer(uri: str) -> pa.Buffer:
    """The bytes of a file: mapped when local, otherwise read into memory."""
    with map_input(uri) as source:
        return source.read_buffer()


@contextmanager
def create(uri: str) -> Iterator[IO[bytes]]:
    """Open a new file for writing; it appears under its name when the block ends well, and never otherwise."""
    if not is_local(uri):
        fs, path = file_system(uri)
        buffer = io.BytesIO()
        yield buffer
        fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        fs.pipe_file(path, buffer.getvalue())
        return
    final = local_path(uri)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f"{final.name}{TEMPORARY_MARK}{uuid.uuid4().hex[:12]}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(uri: str, data: bytes) -> None:
    """Write a whole file, or nothing."""
    with create(uri) as file:
        file.write(data)


def list_files(uri: str) -> list[str]:
    """The names of the files directly in a folder, sorted; temporary files of a crashed writer are left out."""
    if is_local(uri):
        folder = local_path(uri)
        names = [entry.name for entry in os.scandir(folder) if entry.is_file()] if folder.is_dir() else []
    else:
        fs, path = file_system(uri)
        found = fs.ls(path, detail=True) if fs.exists(path) else []
        names = [entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in found if entry["type"] == "file"]
    return sorted(name for name in names if TEMPORARY_MARK not in name)


def remove_file(uri: str) -> None:
    """Remove a file if it exists."""
    if is_local(uri):
        local_path(uri).unlink(missing_ok=True)
        return
    fs, path = file_system(uri)
    if fs.exists(path):
        fs.rm_file(path)


def remove_tree(uri: str) -> None:
    """Remove a folder and what is in it, if it exists."""
    if is_local(uri):
        shutil.rmtree(local_path(uri), ignore_errors=not local_path(uri).exists())
        return
    fs, path = file_system(uri)
    if fs.exists(path):
        fs.rm(path, recursive=True)


def remove_temporaries(uri: str, below: bool = True) -> None:
    """Remove what writers that were killed left in a local folder and, unless told otherwise, in those below it.

    Object stores leave nothing. Files that another process is writing just now would go too: hold the run's lock.
    """
    if is_local(uri):
        folder, pattern = local_path(uri), f"*{TEMPORARY_MARK}*"
        for path in folder.rglob(pattern) if below else folder.glob(pattern):
            path.unlink(missing_ok=True)
