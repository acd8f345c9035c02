"""Finding files: by path, folder or glob, on a disk or behind any fsspec URI, always in the same order.

What cannot be used (a link that leads nowhere or back into its own folder, a folder that may not be opened, a pipe) is
listed too, with its reason: a corpus that silently lacks a folder is worse than an error.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lc_data.corpus import storage

_VERSION_KEYS = ("ETag", "etag", "md5Hash", "blob_id", "sha", "mtime", "LastModified", "last_modified", "created")
"""Under which names file systems tell that a file is no longer the one it was."""


@dataclass(frozen=True)
class FoundFile:
    """A file as it stood when it was listed."""

    uri: str
    """Absolute."""
    path: str
    """Relative to what it was asked for: to the folder, to the fixed part of the glob, or the bare name."""
    size_bytes: int
    version: str
    """Changes when the content does: modification time in ns on a disk, the entity tag of an object."""


@dataclass(frozen=True)
class Unusable:
    """Something that was found and cannot be read."""

    path: str
    reason: str
    detail: str


Found = FoundFile | Unusable
Wanted = Callable[[str], bool]
"""Whether a file of a folder is wanted, by its name."""


def find_files(path: str, wanted: Wanted) -> list[Found]:
    """Everything at a path, folder or glob, sorted by path; empty when nothing is there.

    Files named directly or by a glob are taken as they are. In folders, at any depth, those that are ``wanted``;
    names that begin with a dot are left out.
    """
    found = _find_local(path, wanted) if storage.is_local(path) else _find_remote(path, wanted)
    unique = {item.uri if isinstance(item, FoundFile) else f"{item.path}\0{item.reason}": item for item in found}
    return sorted(unique.values(), key=lambda item: (item.path, isinstance(item, Unusable)))


def find_folders(path: str) -> list[str]:
    """What a path or glob matches, not looked into: sorted absolute URIs of files and folders."""
    if storage.is_local(path):
        return sorted({str(match.absolute()) for match in _local_matches(storage.local_path(path))})
    fs, inside = storage.file_system(path)
    names = fs.glob(inside) if glob.has_magic(inside) else [inside] if fs.exists(inside) else []
    return sorted({fs.unstrip_protocol(name.rstrip("/")) for name in names})


def stat_file(uri: str) -> tuple[int, str]:
    """Size and version of a file now; raises ``OSError`` when it is not there or may not be looked at."""
    if storage.is_local(uri):
        status = storage.local_path(uri).stat()
        return status.st_size, str(status.st_mtime_ns)
    fs, path = storage.file_system(uri)
    fs.invalidate_cache()
    return _remote_version(fs.info(path))


def _find_local(path: str, wanted: Wanted) -> Iterator[Found]:
    given = storage.local_path(path)
    matches = _local_matches(given)
    is_pattern = matches != [given]
    base = _fixed_part(given)
    for match in matches:
        if os.path.isdir(match):
            prefix = f"{match.relative_to(base).as_posix()}/" if is_pattern and match != base else ""
            yield from _walk(match, prefix, wanted)
        else:
            yield _look(match, match.relative_to(base).as_posix() if is_pattern else match.name)


def _local_matches(given: Path) -> list[Path]:
    if os.path.lexists(given):
        return [given]
    return sorted(Path(match) for match in glob.glob(str(given), recursive=True))


def _fixed_part(pattern: Path) -> Path:
    """The folder above the first name of a pattern that holds a wildcard."""
    fixed = Path(pattern.anchor)
    for name in pattern.relative_to(pattern.anchor).parts[:-1]:
        if glob.has_magic(name):
            break
        fixed /= name
    return fixed


def _walk(root: Path, prefix: str, wanted: Wanted) -> Iterator[Found]:
    """The wanted files below a folder. Real folders come before links to folders, and each real one is read once."""
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        links: list[Path] = []
        for folder in waiting:
            for item in _walk_real(folder, seen, links):
                if isinstance(item, Unusable):
                    yield Unusable(f"{prefix}{Path(item.path).relative_to(root).as_posix()}", item.reason, item.detail)
                elif wanted(item.name) or not os.path.exists(item):
                    yield _look(item, f"{prefix}{item.relative_to(root).as_posix()}")
        waiting = sorted(links)


def _walk_real(folder: Path, seen: set[str], links: list[Path]) -> Iterator[Path | Unusable]:
    real = os.path.realpath(folder)
    if real in seen:
        within = os.path.realpath(folder.parent)
        loop = within == real or within.startswith(f"{real}{os.sep}")
        reason = "symlink loop" if loop else "folder reached twice"
        yield Unusable(str(folder), reason, "its link leads to a folder that is listed already")
        return
    seen.add(real)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Unusable(str(folder), "unreadable folder", str(error.strerror or error))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if not os.path.isdir(path):  # unlike DirEntry.is_dir it says no to a link that leads to itself
            yield path
        elif entry.is_symlink():
            links.append(path)
        else:
            yield from _walk_real(path, seen, links)


def _look(path: Path, name: str) -> Found:
    try:
        status = path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Unusable(name, "symlink loop", "the link leads to itself")
        dangling = path.is_symlink() and isinstance(error, FileNotFoundError)
        return Unusable(name, "dangling symlink" if dangling else "unreadable file", str(error.strerror or error))
    if not stat.S_ISREG(status.st_mode):
        return Unusable(name, "not a regular file", stat.filemode(status.st_mode))
    return FoundFile(str(path.absolute()), name, status.st_size, str(status.st_mtime_ns))


def _find_remote(uri: str, wanted: Wanted) -> Iterator[Found]:
    fs, path = storage.file_system(uri)
    fs.invalidate_cache()
    if glob.has_magic(path):
        base = path[: next(index for index, letter in enumerate(path) if letter in "*?[")].rsplit("/", 1)[0]
        matches = fs.glob(path, detail=True)
    elif fs.exists(path):
        base = path if fs.isdir(path) else path.rsplit("/", 1)[0]
        matches = {path: fs.info(path)}
    else:
        return
    for name, information in sorted(matches.items()):
        if information["type"] != "directory":
            yield _remote_file(fs, name, base, information)
            continue
        for inner, details in sorted(fs.find(name, detail=True).items()):
            below = inner[len(name) :].lstrip("/")
            hidden = any(part.startswith(".") for part in below.split("/"))
            if not hidden and wanted(inner.rsplit("/", 1)[-1]):
                yield _remote_file(fs, inner, base, details)


def _remote_file(fs: Any, name: str, base: str, information: dict[str, Any]) -> FoundFile:
    size, version = _remote_version(information)
    return FoundFile(fs.unstrip_protocol(name), name[len(base) :].lstrip("/"), size, version)


def _remote_version(information: dict[str, Any]) -> tuple[int, str]:
    version = next((str(information[key]) for key in _VERSION_KEYS if information.get(key) is not None), "")
    return int(information.get("size") or 0), version
