"""What Python files import from their own repository, by their syntax trees."""

from __future__ import annotations

import ast
import posixpath
import warnings
from collections.abc import Iterator, Mapping

_INIT = "__init__"


class PythonModules:
    """The modules of a repository by their dotted names.

    A file's name begins at its topmost package, and besides at the root of the repository, for packages without an
    ``__init__.py``. A module of no package is known in its own folder only: ``scripts/json.py`` is not what others mean
    by ``import json``.
    """

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._numbers = {path: number for path, number in numbers.items() if path.endswith((".py", ".pyi"))}
        self._packages = {
            posixpath.dirname(path) for path in self._numbers if posixpath.basename(path).startswith(f"{_INIT}.")
        }
        self._modules: dict[str, int] = {}
        for path, number in sorted(self._numbers.items()):
            for name in self._names(path):
                self._modules.setdefault(name, number)

    def find_imports(self, path: str, data: bytes) -> Iterator[int]:
        """The files that a module imports when it is loaded; none where it is no Python of this version."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about the text of others
                tree = ast.parse(data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        folder = posixpath.dirname(path)
        for node in _outside_functions(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from self._find(alias.name, folder)
            elif node.level:
                yield from self._find_relative(node, folder)
            else:
                for alias in node.names:
                    yield from self._find(f"{node.module}.{alias.name}", folder) or self._find(
                        node.module or "", folder
                    )

    def _names(self, path: str) -> Iterator[str]:
        stem = path.rpartition(".")[0]
        module = posixpath.dirname(stem) if posixpath.basename(stem) == _INIT else stem
        top = posixpath.dirname(path)
        if top in self._packages:
            while top in self._packages and top:
                top = posixpath.dirname(top)
            yield module[len(top) :].strip("/").replace("/", ".")
        if "/" in module:
            yield module.replace("/", ".")

    def _find(self, name: str, folder: str) -> list[int]:
        if name in self._modules:
            return [self._modules[name]]
        return self._at(posixpath.join(folder, name)) if "." not in name and folder not in self._packages else []

    def _find_relative(self, node: ast.ImportFrom, folder: str) -> Iterator[int]:
        for _ in range(node.level - 1):
            folder = posixpath.dirname(folder)
        base = posixpath.join(folder, *(node.module or "").split("."))
        for alias in node.names:
            yield from self._at(posixpath.join(base, alias.name)) or self._at(base)

    def _at(self, stem: str) -> list[int]:
        stem = stem.rstrip("/")
        paths = [f"{stem}.py", posixpath.join(stem, f"{_INIT}.py"), f"{stem}.pyi", posixpath.join(stem, f"{_INIT}.pyi")]
        return next(([self._numbers[path]] for path in paths if path in self._numbers), [])


def _outside_functions(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a module that loading it runs; those in functions are mostly there to break a circle."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.stmt | ast.Module | ast.excepthandler) and not isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef
        ):
            pending += ast.iter_child_nodes(node)
