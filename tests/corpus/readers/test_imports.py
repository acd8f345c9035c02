"""Repositories in the order of their imports."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lc_data.corpus.readers.imports import order_by_imports
from lc_data.corpus.readers.record import Document
from tests.corpus.readers.reading import documents, make_source, read_records, skips
from tests.corpus.readers.test_repository import put


def ordered(files: dict[str, str]) -> list[str]:
    named = sorted(files.items())
    return [named[number][0] for number in order_by_imports([(path, text.encode()) for path, text in named])]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.py": "import c\nimport b", "b.py": "import os", "c.py": "from b import x"}, "b.py c.py a.py"),
        (
            {
                "src/p/__init__.py": "from .z import run",
                "src/p/z.py": "from p.sub.m import f",
                "src/p/sub/m.py": "",
                "src/p/a.py": "from . import z\nfrom .sub import m",
                "tests/t.py": "import p",
            },
            "src/p/sub/m.py src/p/z.py src/p/__init__.py src/p/a.py tests/t.py",
        ),
        ({"a/json.py": "", "a.py": "import json", "b/x.py": "from a import json"}, "a.py a/json.py b/x.py"),
        ({"a.py": "def f():\n    import b", "b.py": "import a"}, "a.py b.py"),
        (
            {"a.py": "try:\n  import b\nexcept ImportError:\n  b = 0", "b.py": "if x:\n  import c", "c.py": ""},
            "c.py b.py a.py",
        ),
        ({"a.py": "import b(", "b.py": ""}, "a.py b.py"),
        (
            {
                "main.c": '#include "lib/x.h"\n#include <stdio.h>',
                "lib/x.c": '# include "x.h"',
                "lib/x.h": "#include <inc/z.h>",
                "inc/z.h": "",
            },
            "inc/z.h lib/x.h lib/x.c main.c",
        ),
        (
            {"a/i.h": "", "b/i.h": "", "b/u/main.cpp": '#include "i.h"', "a.cc": '#include "i.h"'},
            "a/i.h a.cc b/i.h b/u/main.cpp",
        ),
        (
            {
                "app.ts": "import { b } from './b.js'\nimport x from 'react'",
                "b.ts": 'export * from "./lib"',
                "lib/index.tsx": "const c = require('../z')",
                "z.js": "",
            },
            "z.js lib/index.tsx b.ts app.ts",
        ),
        (
            {
                "cmd/main.go": 'package main\nimport (\n\t"fmt"\n\tx "github.com/u/r/internal/x"\n)',
                "internal/x/x.go": "package x",
                "fmt/own.go": 'import "github.com/u/r/cmd"',
            },
            "internal/x/x.go cmd/main.go fmt/own.go",
        ),
        (
            {
                "a/App.java": "package a;\nimport b.c.Tool;\nimport static b.c.Names.ONE;\nimport d.*;",
                "b/c/Tool.java": "",
                "src/b/c/Names.java": "",
                "d/D.java": "",
            },
            "b/c/Tool.java d/D.java src/b/c/Names.java a/App.java",
        ),
        (
            {
                "src/lib.rs": "mod a;\npub mod b;",
                "src/a.rs": "use crate::b::deep::Thing;",
                "src/b/mod.rs": "mod deep;",
                "src/b/deep.rs": "use super::super::z;",
                "src/z.rs": "",
            },
            "src/z.rs src/b/deep.rs src/a.rs src/b/mod.rs src/lib.rs",
        ),
        ({"README.md": "import a", "z.md": ""}, "README.md z.md"),
    ],
)
def test_what_is_imported_comes_first(files: dict[str, str], expected: str) -> None:
    assert ordered(files) == expected.split()


def test_files_on_a_circle_stand_together_in_the_order_of_paths() -> None:
    files = {
        "a.py": "import z",
        "b.py": "",
        "m.py": "import a",
        "y.py": "import m",
        "z.py": "import y\nimport q",
        "q.py": "",
    }
    assert ordered(files) == ["b.py", "q.py", "a.py", "m.py", "y.py", "z.py"]


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=10))
def test_any_graph_is_sorted_and_every_file_stands_once(graph: list[list[int]]) -> None:
    size = len(graph)
    reach = [{to for to in targets if to < size} for targets in graph]
    files = [(f"m{n}.py", "\n".join(f"import m{to}" for to in reach[n]).encode()) for n in range(size)]
    order = order_by_imports(files)
    assert sorted(order) == list(range(size))
    closed = [set(targets) for targets in reach]
    for _ in range(size):
        closed = [targets.union(*(closed[to] for to in targets)) for targets in closed]
    place = {number: at for at, number in enumerate(order)}
    for number in range(size):
        for to in reach[number]:
            if number not in closed[to]:
                assert place[to] < place[number]
    for at, number in enumerate(order):
        circle = {number} | {to for to in closed[number] if number in closed[to]}
        others = [other for other in order[at:] if other in circle]
        assert order[at : at + len(others)] == sorted(others)
    if not any(reach):
        assert order == list(range(size))


FILES = {
    "a.py": b"import z\n",
    "b.py": b"import a\n\n",
    "copy.py": b"z = 1",
    "blank.py": b" \n",
    "z.py": b"z = 1",
    "é.py": b"\xff",
}


def parts_of(document: Document) -> dict[str, bytes]:
    assert document.parts is not None
    return {part.source: document.text[part.offset : part.offset + part.length] for part in document.parts}


def test_a_tree_is_joined_in_the_order_of_imports_and_parts_say_where(tmp_path: Path) -> None:
    put(tmp_path / "repo", FILES)
    by_path, by_import = (
        read_records(make_source("tree", tmp_path / "repo", order=order, unique_files=True, license="MIT"))
        for order in ("path", "imports")
    )
    (plain,), (sorted_one,) = documents(by_path), documents(by_import)
    assert list(parts_of(plain)) == ["a.py", "b.py", "copy.py"]
    assert list(parts_of(sorted_one)) == ["a.py", "b.py", "copy.py"], "z.py repeats copy.py and is gone"
    put(tmp_path / "repo", {"copy.py": b"import b\n"})
    records = read_records(make_source("tree", tmp_path / "repo", order="imports", license="MIT"))
    (document,) = documents(records)
    assert list(parts_of(document)) == ["z.py", "a.py", "b.py", "copy.py"]
    assert parts_of(document) == {name: (FILES | {"copy.py": b"import b\n"})[name] for name in parts_of(document)}
    assert document.text == b"z = 1\nimport z\nimport a\n\nimport b\n"
    assert document.labels.license == "MIT"
    assert len(records) == 2, "é.py is quarantined as before"
    assert not skips(records)


def test_a_repository_of_several_documents_is_ordered_piece_by_piece(tmp_path: Path) -> None:
    put(
        tmp_path / "repo",
        {"a.py": b"import b\n" * 4, "b.py": b"import z\n" * 4, "y.py": b"import z\n" * 4, "z.py": b"z=1\n" * 9},
    )
    source = make_source("tree", tmp_path / "repo", order="imports", max_joined_bytes=80)
    pieces = [list(parts_of(document)) for document in documents(read_records(source))]
    assert pieces == [["b.py", "a.py"], ["z.py", "y.py"]]


def test_order_is_for_files_that_are_joined(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="join_files is false"):
        make_source("tree", tmp_path, order="imports", join_files=False)
    with pytest.raises(ValidationError, match="are for `what: code`"):
        make_source("environment", what="licences", order="imports")
