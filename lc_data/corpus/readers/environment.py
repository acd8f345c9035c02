"""The Python environment as a corpus: it is real, licensed, the same on equal machines, and needs no download.

Installed distributions are repositories of code with descriptions and licences; the standard library gives
documentation and, made of it, dialogues. What it holds is told by the names and versions of the distributions and of
Python, so these stand for its content in the fingerprint.
"""

from __future__ import annotations

import email
import os
import platform
import re
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from lc_data.corpus.listing import stat_file
from lc_data.corpus.readers import dialogues, library
from lc_data.corpus.readers.distributions import Installed, installed_distributions
from lc_data.corpus.readers.inputs import Bundle, Input, InputFile, InputRange, Listing, read_whole, whole_files
from lc_data.corpus.readers.record import (
    Document,
    Fault,
    InputFault,
    Origin,
    Record,
    Skip,
    check_text,
    make_id,
    make_labels,
    reject,
)
from lc_data.corpus.readers.repository import bundle_files, read_bundle
from lc_data.corpus.readers.text import read_document
from lc_data.recipe.sources import EnvironmentSource

_LIBRARY_KINDS = ("library_documentation", "dialogues")
_CODE = (".py", ".pyx", ".pxd", ".c", ".h", ".cc", ".cpp", ".hpp", ".cu", ".cuh", ".rs", ".go", ".sh")
_LICENCE_NAME = re.compile("licen[cs]e|copying|notice|copyright", re.IGNORECASE)
_LICENCE_ENDINGS = ("", ".txt", ".md", ".rst", ".apache", ".bsd", ".mit")
_LIBRARY_LICENCE = "PSF-2.0"
_LIBRARY_LEFT_OUT = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "idle_test", "lib2to3", "turtledemo", "__pycache__"}
)


def identify(source: EnvironmentSource) -> list[str]:
    """What the output of a source depends on: the names and versions of what it reads."""
    if source.what in _LIBRARY_KINDS:
        return [f"python=={platform.python_version()}"]
    return [f"{each.name}=={each.version}" for each in installed_distributions(source.exclude)]


def list_input(source: EnvironmentSource) -> Listing:
    """The files that ``source.what`` needs, by distribution or module."""
    if source.what in _LIBRARY_KINDS:
        return Listing(library_files(Path(sysconfig.get_path("stdlib"))))
    return Listing([file for each in installed_distributions(source.exclude) for file in _files_of(each, source)])


def cut(listing: Listing, source: EnvironmentSource, task_bytes: int) -> Sequence[Input]:
    """A bundle for every document of code, a range for every other file."""
    if source.what == "code":
        return bundle_files(listing.files, source)
    return whole_files(listing, source.max_bytes)


def read(part: Input, source: EnvironmentSource, max_record_bytes: int) -> Iterator[Record]:
    """The documents of a bundle, a description, a licence or a module of the standard library."""
    if isinstance(part, Bundle):
        yield from read_bundle(part, source)
    elif source.what == "licences":
        yield read_document(part, source)
    elif source.what == "descriptions":
        yield _read_description(part, source)
    else:
        yield from _read_module(part, source)


def library_files(root: Path) -> list[InputFile]:
    """The modules of a standard library below its folder, sorted, without tests and what is installed beside them."""
    files = []
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if not _LIBRARY_LEFT_OUT.intersection(inside.parts) and path.is_file():
            size, version = stat_file(str(path))
            files.append(InputFile(str(path), inside.as_posix(), size, version, license=_LIBRARY_LICENCE))
    return files


def _files_of(installed: Installed, source: EnvironmentSource) -> list[InputFile]:
    """The files of a distribution that a source wants, sorted by path; those that are no longer there are left out."""
    found = []
    for path in installed.files():
        uri = os.path.join(installed.root, path)
        if _is_wanted(path, source.what) and os.path.isfile(uri):
            size, version = stat_file(uri)
            name = f"{installed.name}/{path}"
            found.append(InputFile(os.path.abspath(uri), name, size, version, installed.name, installed.license))
    return found


def _is_wanted(path: str, what: str) -> bool:
    folder, _, name = path.rpartition("/")
    stem, ending = os.path.splitext(name)
    if what == "descriptions":
        return name == "METADATA" and folder.endswith(".dist-info") and "/" not in folder  # vendored ones lie deeper
    if what == "licences":
        return ending.lower() in _LICENCE_ENDINGS and _LICENCE_NAME.match(stem) is not None
    return ending in _CODE and ".dist-info/" not in path


def _read_description(part: InputRange, source: EnvironmentSource) -> Record:
    """The description in a METADATA file: the body, or the header of old ones."""
    file = part.file
    data = b""
    try:
        data = read_whole(file, source.max_document_bytes)
        message = email.message_from_string(check_text(data, source.max_document_bytes).decode())
        body = str(message.get_payload() or message.get("Description") or "")
        if not body.strip() or body.strip() == "UNKNOWN":
            return Skip(make_id(source, file.bundle), source.domain, len(data), "no description")
        metadata = orjson.dumps({"version": message.get("Version"), "summary": message.get("Summary")}).decode()
        labels = make_labels(source, file.bundle, file.license, metadata)
        text = check_text(body, source.max_document_bytes)
        return Document(labels, text, file.bundle, origin=Origin("extracted", 1, len(data)))
    except InputFault as fault:
        return reject(source, file.path, fault, data, file.size_bytes)
    except Fault as fault:
        return reject(source, file.path, fault, data)


def _read_module(part: InputRange, source: EnvironmentSource) -> Iterator[Record]:
    """The documentation of a module as one document, or every dialogue about it."""
    file = part.file
    name = library.module_name(file.path)
    data = b""
    try:
        data = read_whole(file, source.max_document_bytes)
        module = library.parse_module(name, data)
        if source.what == "dialogues":
            yield from dialogues.module_dialogues(module, source, file)
            return
        if not module.is_documented:
            yield Skip(make_id(source, name), source.domain, len(data), "no documentation")
            return
        text = check_text(library.render_module(module), source.max_document_bytes)
        yield Document(make_labels(source, name, file.license), text, name, origin=Origin("extracted", 1, len(data)))
    except InputFault as fault:
        yield reject(source, file.path, fault, data, file.size_bytes)
    except Fault as fault:
        yield reject(source, file.path, fault, data)
