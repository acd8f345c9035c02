"""Text files, source trees and HTML pages."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.readers.reading import documents, make_source, read_records, reasons, rejections, texts

PAGE = """<html><head><title>T</title></head><body><nav><a href="/">Home</a><a href="/b">Menu</a></nav>
<article><h1>On rivers</h1>{}</article><footer>Imprint</footer></body></html>"""
PARAGRAPHS = "".join(
    f"<p>Paragraph {number} says at some length how the river goes to the sea.</p>" for number in range(9)
)


def put(root: Path, **contents: bytes | str) -> None:
    for name, content in contents.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def test_text_files_are_documents(tmp_path: Path) -> None:
    put(tmp_path, b_dot_md="# b", a__x_dot_tex="\\x", a__y_dot_png=b"\x89PNG", c_dot_txt=b"\xef\xbb\xbf c ")
    found = documents(read_records(make_source("text", tmp_path, license="CC0")))
    assert [document.labels.id for document in found] == ["s/a/x.tex", "s/b.md", "s/c.txt"]
    assert [document.text for document in found] == [b"\\x", b"# b", b" c "]
    assert {document.labels.license for document in found} == {"CC0"}


def test_bad_text_files_are_quarantined(tmp_path: Path) -> None:
    put(
        tmp_path,
        a_dot_txt=b"\xff\xfeh",
        b_dot_txt=b"a\0b",
        c_dot_txt="",
        d_dot_txt=" \n",
        e_dot_txt="x" * 99,
        f_dot_txt="f",
    )
    (tmp_path / "g.txt").symlink_to(tmp_path / "nowhere")
    records = read_records(make_source("text", tmp_path, max_document_bytes=50))
    assert texts(records) == ["f"]
    assert {rejection.address: rejection.reason for rejection in rejections(records)} == {
        "a.txt": "invalid UTF-8",
        "b.txt": "NUL bytes",
        "c.txt": "empty text",
        "d.txt": "empty text",
        "e.txt": "document too large",
        "g.txt": "dangling symlink",
    }


def test_a_tree_is_one_document_with_its_files(tmp_path: Path) -> None:
    put(tmp_path, repo__b_dot_py="b = 2", repo__a__é_dot_py="é = 1\n", repo__a____init___dot_py="", repo__n_dot_bin="n")
    (document,) = documents(read_records(make_source("tree", tmp_path / "repo")))
    assert document.text.decode() == "é = 1\nb = 2\n"
    assert document.labels.id == "s/repo"
    assert document.parts is not None
    assert [part.source for part in document.parts] == ["a/é.py", "b.py"]
    cut = [document.text[part.offset : part.offset + part.length].decode() for part in document.parts]
    assert cut == ["é = 1\n", "b = 2"]
    assert document.origin == ("joined", 3 if (tmp_path / "repo/a/__init__.py").exists() else 2, 12)


@given(st.lists(st.text("ab\n", min_size=1, max_size=9), min_size=1, max_size=8), st.integers(1, 30))
def test_cut_trees_hold_every_file_once(
    tmp_path_factory: pytest.TempPathFactory, contents: list[str], max_joined_bytes: int
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for number, content in enumerate(contents):
        (root / f"{number}.py").write_text(content)
    found = documents(read_records(make_source("tree", root, max_joined_bytes=max_joined_bytes)))
    seen = {}
    for document in found:
        assert len(document.text) <= max_joined_bytes or len(document.parts or ()) == 1
        for part in document.parts or ():
            seen[part.source] = document.text[part.offset : part.offset + part.length].decode()
    assert seen == {f"{number}.py": content for number, content in enumerate(contents) if content.strip()}


def test_each_match_of_a_glob_is_a_repository(tmp_path: Path) -> None:
    put(tmp_path, r__one__a_dot_py="1", r__two__a_dot_py="2", q__one__a_dot_py="3")
    source = make_source("tree", tmp_path / "r" / "*", tmp_path / "q" / "one")
    assert {document.labels.id: document.text for document in documents(read_records(source))} == {
        "s/one": b"1\n",
        "s/two": b"2\n",
        "s/one~2": b"3\n",
    }
    apart = make_source("tree", tmp_path / "r" / "*", join_files=False)
    assert [document.labels.id for document in documents(read_records(apart))] == ["s/one/a.py", "s/two/a.py"]


def test_a_bad_file_leaves_the_rest_of_its_repository(tmp_path: Path) -> None:
    put(tmp_path, r__a_dot_py="a", r__b_dot_py=b"\xff", r__c_dot_py=b"c\0", r__d_dot_py="d")
    (tmp_path / "r" / "loop").symlink_to(tmp_path / "r", target_is_directory=True)
    records = read_records(make_source("tree", tmp_path / "r"))
    assert texts(records) == ["a\nd\n"]
    assert [(rejection.address, rejection.reason) for rejection in rejections(records)] == [
        ("r/loop", "symlink loop"),
        ("r/b.py", "invalid UTF-8"),
        ("r/c.py", "NUL bytes"),
    ]


def test_trees_from_memory() -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/forge/one/src/a.py", b"a = 1")
    fs.pipe_file("/forge/one/README.md", b"# one")
    (document,) = documents(read_records(make_source("tree", "memory://forge/*")))
    assert (document.labels.id, document.text) == ("s/one", b"# one\na = 1\n")


def test_html_gives_its_main_text(tmp_path: Path) -> None:
    put(
        tmp_path,
        a_dot_html=PAGE.format(PARAGRAPHS),
        b_dot_htm=PAGE.format("<p>" + "长江流入大海。" * 60 + "</p>").encode("gb18030"),
    )
    records = read_records(make_source("html", tmp_path))
    english, chinese = documents(records)
    assert "Paragraph 3 says at some length" in english.text.decode()
    assert "Imprint" not in english.text.decode()
    assert "长江流入大海" in chinese.text.decode()
    assert english.origin == ("extracted", 1, (tmp_path / "a.html").stat().st_size)


def test_html_without_text_is_quarantined(tmp_path: Path) -> None:
    put(
        tmp_path, a_dot_html="<html><body><nav></nav></body></html>", b_dot_html="", c_dot_html=b"\x00\x01\x02\xff" * 40
    )
    put(tmp_path, d_dot_html=PAGE.format(PARAGRAPHS * 9))
    records = read_records(make_source("html", tmp_path, max_document_bytes=4000))
    assert texts(records) == []
    assert reasons(records)[:2] == ["no extractable text", "empty text"]
    assert reasons(records)[3] == "document too large"
    assert len(records) == 4
