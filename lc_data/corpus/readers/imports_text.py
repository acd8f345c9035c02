"""What files of other languages import from their own repository, by one expression a language."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Protocol

C_ENDINGS = (".c", ".h", ".cc", ".hh", ".cpp", ".hpp", ".cxx", ".hxx", ".cu", ".cuh")
SCRIPT_ENDINGS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".vue", ".svelte")

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]', re.MULTILINE)
_SCRIPT = re.compile(r"""(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*["'](\.[^"'\n]*)["']""")
_GO = re.compile(r'^\s*import\s+(?:[\w.]+\s+)?"([^"\n]+)"|^\s*import\s*\(([^)]*)\)', re.MULTILINE)
_QUOTED = re.compile(r'"([^"\n]+)"')
_JAVA = re.compile(r"^\s*import\s+(static\s+)?([\w.]+)(\.\*)?\s*;", re.MULTILINE)
_RUST = re.compile(
    r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:mod\s+(\w+)\s*;|use\s+((?:crate|self|super)(?:::\w+)+))", re.MULTILINE
)
_RUST_ROOTS = ("mod", "lib", "main")


class Files(Protocol):
    """The files of a repository: see :class:`lc_data.corpus.readers.imports.Repository`."""

    paths: list[str]

    @property
    def by_folder(self) -> dict[str, list[int]]:
        """The files of each folder."""
        ...

    def find(self, paths: Iterable[str]) -> list[int]:
        """The first of some paths at which there is a file."""
        ...

    def find_ending(self, ending: str, near: str) -> list[int]:
        """The file whose path ends so."""
        ...


def read_includes(path: str, text: str, files: Files) -> Iterator[int]:
    """C and C++: beside the file first, then anywhere in the repository."""
    for name in _INCLUDE.findall(text):
        beside = files.find([posixpath.join(posixpath.dirname(path), name)])
        yield from beside or files.find_ending(name.removeprefix("./"), path)


def read_scripts(path: str, text: str, files: Files) -> Iterator[int]:
    """JavaScript and TypeScript: relative paths, with the endings that bundlers try."""
    for name in _SCRIPT.findall(text):
        target = posixpath.join(posixpath.dirname(path), name)
        stem = re.sub(r"\.[cm]?jsx?$", "", target)
        tries = [target, *(f"{target}{ending}" for ending in SCRIPT_ENDINGS)]
        tries += [f"{stem}{ending}" for ending in (".ts", ".tsx", ".mts")]
        yield from files.find([*tries, *(f"{target}/index{ending}" for ending in SCRIPT_ENDINGS)])


def read_go(path: str, text: str, files: Files) -> Iterator[int]:
    """Go: an import is a folder; those of the standard library have no dot in their first element."""
    names = [name for one, several in _GO.findall(text) for name in ([one] if one else _QUOTED.findall(several))]
    for name in names:
        host, *folders = name.split("/")
        if "." not in host:
            continue
        for start in range(len(folders)):
            if found := files.by_folder.get("/".join(folders[start:])):
                yield from (number for number in found if _is_go_source(files.paths[number]))
                break


def read_java(path: str, text: str, files: Files) -> Iterator[int]:
    """Java: a class by its package, or with ``*`` all of a package's."""
    for static, name, star in _JAVA.findall(text):
        target = name.replace(".", "/")
        if static and not star:
            target = posixpath.dirname(target)
        found = files.find_ending(f"{target}.java", path)
        if star and not found:
            folders = (numbers for folder, numbers in files.by_folder.items() if f"/{folder}".endswith(f"/{target}"))
            found = [number for numbers in folders for number in numbers if files.paths[number].endswith(".java")]
        yield from found


def read_rust(path: str, text: str, files: Files) -> Iterator[int]:
    """Rust: ``mod`` and ``use`` of the own crate, to the deepest module that is a file."""
    folder, stem = posixpath.dirname(path), posixpath.basename(path).removesuffix(".rs")
    own = folder if stem in _RUST_ROOTS else posixpath.join(folder, stem)
    for module, used in _RUST.findall(text):
        if module:
            yield from files.find([posixpath.join(own, f"{module}.rs"), posixpath.join(own, module, "mod.rs")])
            continue
        first, *names = used.split("::")
        base = own if first == "self" else _crate(folder, files) if first == "crate" else posixpath.dirname(own)
        while names and names[0] == "super":
            base, names = posixpath.dirname(base), names[1:]
        for depth in range(len(names), 0, -1):
            stem = posixpath.join(base, *names[:depth])
            if found := files.find([f"{stem}.rs", posixpath.join(stem, "mod.rs")]):
                yield from found
                break


def _crate(folder: str, files: Files) -> str:
    """The folder of the crate's root: the nearest with a ``lib.rs`` or ``main.rs``."""
    above = folder
    while not files.find([posixpath.join(above, "lib.rs"), posixpath.join(above, "main.rs")]):
        if not above:
            return folder
        above = posixpath.dirname(above)
    return above


def _is_go_source(path: str) -> bool:
    return path.endswith(".go") and not path.endswith("_test.go")
