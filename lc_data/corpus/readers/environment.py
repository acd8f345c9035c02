"""The Python environment as a corpus: it is real, licensed, the same on equal machines, and needs no download.

Installed distributions are repositories of code with descriptions and licences; the standard library gives
documentation and, made of it, dialogues. What it holds is told by the names and versions of the distributions and of
Python, so these stand for its content in the fingerprint.
"""

from __future__ import annotations

import email
import platform
import re
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path

import orjson

from lc_data.corpus.listing import stat_file
from lc_data.corpus.readers import dialogues, library
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
from lc_data.corpus.readers.text import read_document
from lc_data.corpus.readers.tree import bundle_files, read_bundle
from lc_data.recipe.sources import EnvironmentSource

_OWN_NAME = "lc-data"
_CODE = (".py", ".pyx", ".pxd", ".c", ".h", ".cc", ".cpp", ".hpp", ".cu", ".cuh", ".rs", ".go", ".sh")
_LICENCE_NAME = re.compile(r"(licen[cs]e|copying|notice|copyright)[^/]*", re.IGNORECASE)
_LICENCE_ENDINGS = ("", ".txt", ".md", ".rst", ".apache", ".bsd", ".mit")
_LIBRARY_LICENCE = "PSF-2.0"
_LIBRARY_LEFT_OUT = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "idle_test", "lib2to3", "turtledemo", "__pycache__"}
)


def list_input(source: EnvironmentSource) -> Listing:
    """The files that ``source.what`` needs, by distribution or module."""
    python = f"python=={platform.python_version()}"
    if source.what in {"library_documentation", "dialogues"}:
        return Listing(library_files(Path(sysconfig.get_path("stdlib"))), versions=[python])
    installed = installed_distributions(source.exclude)
    files = [file for distribution in installed for file in _files_of(distribution, source)]
    return Listing(files, versions=[f"{_name_of(each)}=={each.version}" for each in installed])


def cut(listing: Listing, source: EnvironmentSource, task_bytes: int) -> Sequence[Input]:
    """A bundle for every document of code, a range for every other file."""
    if source.what == "code":
        return bundle_files(listing.files, source.max_joined_bytes, source.max_bytes)
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


def installed_distributions(exclude: Sequence[str] = ()) -> list[Distribution]:
    """The distributions that an import would find, sorted by name.

    Left out: this project itself, what is installed in editable mode (its code is somebody's working copy), and what
    has no RECORD of its files.
    """
    left_out = {_normalise(name) for name in (*exclude, _OWN_NAME)}
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        name = _normalise(distribution.metadata["Name"] or "")
        if name and name not in left_out and name not in found:
            found[name] = distribution
    return [found[name] for name in sorted(found) if found[name].files is not None and not _is_editable(found[name])]


def licence_of(distribution: Distribution) -> str | None:
    """The licence that a distribution states: an expression, a short name, or its classifiers."""
    metadata = distribution.metadata
    if expressions := metadata.get_all("License-Expression"):
        return str(expressions[0])
    stated = str((metadata.get_all("License") or [""])[0]).strip()
    if stated and "\n" not in stated and len(stated) <= 100 and stated.upper() != "UNKNOWN":
        return stated
    classifiers = [each for each in metadata.get_all("Classifier") or [] if each.startswith("License ::")]
    names = [each.rpartition("::")[2].strip() for each in classifiers]
    return " OR ".join(names) or None


def library_files(root: Path) -> list[InputFile]:
    """The modules of a standard library below its folder, sorted, without tests and what is installed beside them."""
    files = []
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if not _LIBRARY_LEFT_OUT.intersection(inside.parts) and path.is_file():
            size, version = stat_file(str(path))
            files.append(InputFile(str(path), inside.as_posix(), size, version, license=_LIBRARY_LICENCE))
    return files


def _files_of(distribution: Distribution, source: EnvironmentSource) -> list[InputFile]:
    """The files of a distribution that a source wants, sorted by path; those that are no longer there are left out."""
    name, licence = _name_of(distribution), licence_of(distribution)
    found = []
    for path in sorted(distribution.files or (), key=str):
        if ".." in path.parts or not _is_wanted(path, source.what):
            continue
        uri = str(Path(str(distribution.locate_file(path))).absolute())
        if Path(uri).is_file():
            size, version = stat_file(uri)
            found.append(InputFile(uri, f"{name}/{path.as_posix()}", size, version, name, licence))
    return found


def _is_wanted(path: PackagePath, what: str) -> bool:
    in_metadata = any(part.endswith(".dist-info") for part in path.parts)
    if what == "descriptions":
        return in_metadata and path.name == "METADATA"
    if what == "licences":
        return path.suffix.lower() in _LICENCE_ENDINGS and _LICENCE_NAME.fullmatch(path.name) is not None
    return path.suffix in _CODE and not in_metadata


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


def _is_editable(distribution: Distribution) -> bool:
    stated = distribution.read_text("direct_url.json")
    return bool(stated and orjson.loads(stated).get("dir_info", {}).get("editable", False))


def _name_of(distribution: Distribution) -> str:
    return _normalise(distribution.metadata["Name"])


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
