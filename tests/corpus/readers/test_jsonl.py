from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus import storage
from lc_data.corpus.readers.jsonl import parse_object
from lc_data.corpus.readers.record import Fault
from lc_data.recipe.errors import RecipeError
from tests.corpus.readers.reading import (
    COMPRESS,
    documents,
    make_source,
    read_records,
    reasons,
    rejections,
    texts,
    to_lines,
)


def test_fields_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        to_lines(
            {"id": "one", "body": "text", "licence": "MIT", "lang": "en", "from": "x", "kind": "web", "year": 1999},
            {"id": 2, "body": "文本", "kind": None},
            {"body": "third"},
        )
    )
    fields = {"text": "body", "license": "licence", "language": "lang", "source": "from", "domain": "kind"}
    source = make_source("jsonl", path, license="CC0", language="zh", fields={**fields, "metadata": ["year", "from"]})
    one, two, three = documents(read_records(source))
    assert (one.labels.id, one.labels.domain, one.labels.source, one.labels.license) == ("one", "web", "x", "MIT")
    assert (one.labels.language, one.labels.metadata) == ("en", '{"from":"x","year":1999}')
    assert (two.labels.id, two.text.decode(), two.labels.domain, two.labels.license) == ("2", "文本", "d", "CC0")
    assert two.labels.language == "zh"
    offset = path.read_bytes().index(b'{"body": "third"')
    assert three.labels.id == three.labels.source == f"s/a.jsonl@{offset}"
    assert three.labels.metadata is None


FAULTS = [
    (b'{"text": "cut', "broken JSON"),
    (b'{"text": "\xff\xfe"}', "invalid UTF-8"),
    (b'{"text": "a\0b"}', "NUL bytes"),
    (b'{"text": "a\\u0000b"}', "NUL bytes"),
    (b'{"text": "\\ud800"}', "broken JSON"),
    (b'{"title": "x"}', "missing text"),
    (b'{"text": null}', "null text"),
    (b'{"text": ""}', "empty text"),
    (b'{"text": " \\n\\u3000\\t"}', "empty text"),
    (b'{"text": 7}', "wrong type"),
    (b'{"text": ["a"]}', "wrong type"),
    (b'["text"]', "not an object"),
    (b'{"text": "a", "id": [1]}', "wrong type"),
    (b'{"text": "a", "id": ""}', "empty field"),
    (b'{"text": "a", "domain": ""}', "empty field"),
    (b'{"text": "a", "domain": 3}', "wrong type"),
    (b'{"text": "a", "license": {"name": "MIT"}}', "wrong type"),
    (b'{"text": "' + b"x" * 2000 + b'"}', "document too large"),
    (b'{"text": "' + "é".encode() * 600 + b'"}', "document too large"),
    (b'{"text": "a", "more": "' + b"x" * 9000 + b'"}', "record too large"),
    (b"[" * 5000, "broken JSON"),
]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize(("line", "reason"), FAULTS, ids=range(len(FAULTS)))
def test_a_bad_line_is_quarantined_with_its_address_and_reading_goes_on(
    tmp_path: Path, line: bytes, reason: str, ending: str
) -> None:
    before, after = b'{"text": "before"}\n', b'\n\n \r\n{"text": "after"}\r\n'
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(COMPRESS[ending](before + line + after))
    source = make_source("jsonl", path, max_document_bytes=1000, fields={"domain": "domain"})
    records = read_records(source, max_record_bytes=8000)
    assert texts(records) == ["before", "after"]
    (rejection,) = rejections(records)
    assert rejection.reason == reason
    assert (rejection.source, rejection.domain) == ("s", "d")
    assert rejection.address == f"a.jsonl{ending}@{len(before)}"
    assert rejection.size_bytes == len(line)
    assert rejection.sample == line[:256]
    assert rejection.detail or reason == "empty text"


@given(
    st.lists(st.one_of(st.text(max_size=20), st.none(), st.just("x" * 300)), max_size=25),
    st.lists(st.integers(1, 500), min_size=2, max_size=2),
)
def test_ids_and_texts_do_not_depend_on_the_split(
    tmp_path_factory: pytest.TempPathFactory, values: list[str | None], sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("split") / "a.jsonl"
    path.write_bytes(to_lines(*({"text": value} for value in values)))
    source = make_source("jsonl", path)
    first, second = (read_records(source, task_bytes=size, max_record_bytes=200) for size in sizes)
    assert first == second
    assert len(first) == len(values)


def test_a_byte_order_mark_is_not_data(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + to_lines({"text": "x"}))
    assert texts(read_records(make_source("jsonl", path))) == ["x"]


def test_folders_globs_and_uris(tmp_path: Path) -> None:
    for name in ("b/2.jsonl", "a/1.jsonl.gz", "a/.hidden.jsonl", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(COMPRESS[".gz" if name.endswith("gz") else ""](to_lines({"text": name})))
    folder = read_records(make_source("jsonl", tmp_path))
    assert [document.address for document in documents(folder)] == ["a/1.jsonl.gz@0", "b/2.jsonl@0"]
    pattern = read_records(make_source("jsonl", tmp_path / "*" / "*.jsonl*"))
    assert [document.labels for document in documents(pattern)] == [document.labels for document in documents(folder)]
    twice = read_records(make_source("jsonl", tmp_path / "b", f"file://{tmp_path}/b/2.jsonl"))
    assert len(documents(twice)) == 1


def test_two_files_of_one_name_are_named_from_their_shared_folder(tmp_path: Path) -> None:
    for name in ("2023", "2024"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.jsonl").write_bytes(to_lines({"text": name}))
    records = read_records(make_source("jsonl", tmp_path / "2023", tmp_path / "2024" / "part.jsonl"))
    assert [document.labels.id for document in documents(records)] == ["s/2023/part.jsonl@0", "s/2024/part.jsonl@0"]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_memory_uris(ending: str) -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe_file(f"/corpus/x/b.jsonl{ending}", COMPRESS[ending](to_lines({"text": "b"}, {"text": "c"})))
    fs.pipe_file("/corpus/a.jsonl", to_lines({"text": "a"}))
    try:
        whole = read_records(make_source("jsonl", "memory://corpus"), task_bytes=5)
        assert texts(whole) == ["a", "b", "c"]
        assert documents(whole)[1].address == f"x/b.jsonl{ending}@0"
        assert texts(read_records(make_source("jsonl", "memory://corpus/*/b.jsonl*"))) == ["b", "c"]
        assert texts(read_records(make_source("jsonl", "memory://corpus/a.jsonl"))) == ["a"]
    finally:
        fs.rm("/corpus", recursive=True)


def test_nothing_to_read_is_a_fault_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    empty = tmp_path / "empty"
    empty.mkdir()
    for path, said in (
        (tmp_path / "absent", "matches nothing"),
        (tmp_path / "*.jsonl", "matches nothing"),
        (tmp_path, "holds no file ending in .jsonl"),
        (empty, "holds no file"),
        ("memory://nothing/here", "matches nothing"),
    ):
        with pytest.raises(RecipeError, match=said) as error:
            read_records(make_source("jsonl", path))
        assert "sources.s.paths.0" in str(error.value)
        assert repr(str(path)) in str(error.value)


def test_an_unreadable_file_is_quarantined_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jsonl").write_bytes(to_lines({"text": name}))
    real = storage.open_input

    def refuse(uri: str):
        if uri.endswith("b.jsonl"):
            raise PermissionError(13, "Permission denied", uri)
        return real(uri)

    monkeypatch.setattr(storage, "open_input", refuse)
    records = read_records(make_source("jsonl", tmp_path))
    assert texts(records) == ["a", "c"]
    (rejection,) = rejections(records)
    assert (rejection.reason, rejection.address) == ("unreadable file", "b.jsonl@0")
    assert rejection.size_bytes == rejection.lost_bytes == (tmp_path / "b.jsonl").stat().st_size
    assert "Permission denied" in (rejection.detail or "")


def test_faults_of_the_machine_are_not_blamed_on_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_bytes(to_lines({"text": "a"}))

    def refuse(uri: str):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(storage, "open_input", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        read_records(make_source("jsonl", tmp_path))


def test_max_bytes_reads_a_beginning(tmp_path: Path) -> None:
    rows = [{"text": f"row {number}"} for number in range(100)]
    (tmp_path / "a.jsonl").write_bytes(to_lines(*rows))
    (tmp_path / "b.jsonl").write_bytes(to_lines(*rows))
    size = (tmp_path / "a.jsonl").stat().st_size
    for task_bytes in (100, 1 << 20):
        records = read_records(make_source("jsonl", tmp_path, max_bytes=size + 50), task_bytes=task_bytes)
        assert texts(records) == [row["text"] for row in rows] + [f"row {number}" for number in range(3)]


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=5), st.integers(-9, 9)), max_size=5))
def test_every_object_parses(value: dict) -> None:
    assert parse_object(json.dumps(value).encode()) == value


@given(st.binary(max_size=40))
def test_every_line_is_an_object_or_a_fault(line: bytes) -> None:
    try:
        outcome: object = parse_object(line)
    except Fault as fault:
        outcome = fault.reason
    assert isinstance(outcome, dict) or outcome in {"broken JSON", "invalid UTF-8", "NUL bytes", "not an object"}


def test_no_document_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(line for line, _ in FAULTS))
    records = read_records(make_source("jsonl", path, fields={"domain": "domain"}, max_document_bytes=1000))
    assert len(records) == len(FAULTS)
    assert len(reasons(records)) == len(FAULTS) - 1  # one is too large only under a smaller record limit
