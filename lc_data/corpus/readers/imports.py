"""The files of a repository in the order of their imports: what a file needs stands before it.

A model that reads a repository as one document then meets a function before its callers (DeepSeek-Coder: Guo et al.
2024, arXiv 2401.14196, section 2.2). What a file imports is read from its text: Python by its syntax tree, the others
by one expression a language, which is right for what people write and costs a tenth of a parser. An import that leads
to no file of the repository says nothing. Python's parser sets the pace: 1 to 2 MB/s on a busy core, 20 s for the 26 MB
of sympy.
"""

from __future__ import annotations

import heapq
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property

from lc_data.corpus.readers.imports_python import PythonModules
from lc_data.corpus.readers.imports_text import (
    C_ENDINGS,
    SCRIPT_ENDINGS,
    read_go,
    read_includes,
    read_java,
    read_rust,
    read_scripts,
)


class Repository:
    """The paths of a repository, and how names in its files lead to them."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)
        self.numbers = {path: number for number, path in enumerate(self.paths)}

    @cached_property
    def by_name(self) -> dict[str, list[int]]:
        """The files of each bare name."""
        return self._group(posixpath.basename)

    @cached_property
    def by_folder(self) -> dict[str, list[int]]:
        """The files of each folder."""
        return self._group(posixpath.dirname)

    @cached_property
    def python(self) -> PythonModules:
        """The Python modules."""
        return PythonModules(self.numbers)

    def find(self, paths: Iterable[str]) -> list[int]:
        """The first of some paths at which there is a file."""
        return next(([self.numbers[path]] for path in map(posixpath.normpath, paths) if path in self.numbers), [])

    def find_ending(self, ending: str, near: str) -> list[int]:
        """The file whose path ends so; of several the one that shares most folders with ``near``, then the first."""
        named = self.by_name.get(posixpath.basename(ending), [])
        found = [number for number in named if f"/{self.paths[number]}".endswith(f"/{ending}")]
        shared = [len(posixpath.commonpath([near, self.paths[number]])) for number in found]
        return [found[shared.index(max(shared))]] if found else []

    def _group(self, key: Callable[[str], str]) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = defaultdict(list)
        for number, path in enumerate(self.paths):
            groups[key(path)].append(number)
        return dict(groups)


def order_by_imports(files: Sequence[tuple[str, bytes]]) -> list[int]:
    """The numbers of files (path, valid UTF-8) such that each comes after those that it imports.

    Files that import each other, directly or round a circle, stand together in the order given, as do files that have
    nothing to do with one another. Every number occurs once.
    """
    repository = Repository([path for path, _ in files])
    imported = [
        sorted(set(_find_imports(path, data, repository)) - {number}) for number, (path, data) in enumerate(files)
    ]
    group_of = _find_circles(imported)
    members: dict[int, list[int]] = defaultdict(list)
    for number, group in enumerate(group_of):
        members[group].append(number)
    needs = {group: {group_of[to] for number in files_of for to in imported[number]} - {group}
             for group, files_of in members.items()}  # fmt: skip
    return [
        number for group in _sort(needs, {group: of[0] for group, of in members.items()}) for number in members[group]
    ]


def _find_imports(path: str, data: bytes, repository: Repository) -> Iterable[int]:
    ending = posixpath.splitext(path)[1].lower()
    if ending in (".py", ".pyi"):
        return repository.python.find_imports(path, data)
    text = data.decode()
    if ending in C_ENDINGS:
        return read_includes(path, text, repository)
    if ending in SCRIPT_ENDINGS:
        return read_scripts(path, text, repository)
    reader = {".go": read_go, ".java": read_java, ".rs": read_rust}.get(ending)
    return reader(path, text, repository) if reader else ()


def _find_circles(imported: list[list[int]]) -> list[int]:
    """For each file the least number of the files with which it lies on a circle, itself among them (Tarjan 1972)."""
    index = [-1] * len(imported)
    low = [0] * len(imported)
    group = [-1] * len(imported)
    stack: list[int] = []
    count = 0
    for root in range(len(imported)):
        if index[root] >= 0:
            continue
        path: list[tuple[int, Iterator[int]]] = [(root, iter(imported[root]))]
        index[root] = low[root] = count
        count += 1
        stack.append(root)
        while path:
            file, targets = path[-1]
            target = next(targets, None)
            if target is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[file])
                if low[file] == index[file]:
                    _close(stack, file, group)
            elif index[target] < 0:
                index[target] = low[target] = count
                count += 1
                stack.append(target)
                path.append((target, iter(imported[target])))
            elif group[target] < 0:
                low[file] = min(low[file], index[target])
    return group


def _close(stack: list[int], root: int, group: list[int]) -> None:
    """Take a finished circle off the stack."""
    circle = [stack.pop()]
    while circle[-1] != root:
        circle.append(stack.pop())
    least = min(circle)
    for file in circle:
        group[file] = least


def _sort(needs: dict[int, set[int]], first: dict[int, int]) -> Iterator[int]:
    """Groups after those that they need; of those that could come next the one with the first file."""
    left = {group: len(needed) for group, needed in needs.items()}
    users: dict[int, list[int]] = defaultdict(list)
    for group, needed in needs.items():
        for each in needed:
            users[each].append(group)
    ready = [(first[group], group) for group, count in left.items() if not count]
    heapq.heapify(ready)
    while ready:
        _, group = heapq.heappop(ready)
        yield group
        for user in users[group]:
            left[user] -= 1
            if not left[user]:
                heapq.heappush(ready, (first[user], user))
