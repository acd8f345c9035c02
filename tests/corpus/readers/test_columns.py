"""Parquet and Arrow."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.readers.reading import documents, make_source, read_records, reasons, rejections, texts

KINDS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary()]


def write_table(path: Path, table: pa.Table, rows: int = 3) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=rows)
    elif path.suffix == ".arrows":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)


def kind_of(path: Path) -> str:
    return "parquet" if path.suffix == ".parquet" else "arrow"


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_rows_become_documents(tmp_path: Path, name: str, kind: pa.DataType) -> None:
    path = tmp_path / name
    words = [f"row {number} 行" for number in range(8)]
    text = pa.array(words).cast(kind) if not pa.types.is_dictionary(kind) else pa.array(words).dictionary_encode()
    columns = {"text": text, "id": pa.array([str(number) for number in range(7)] + [None]), "year": range(8)}
    write_table(path, pa.table(columns))
    source = make_source(kind_of(path), path, fields={"metadata": ["year", "absent"]})
    for task_bytes in (1, 1 << 20):
        found = documents(read_records(source, task_bytes=task_bytes))
        assert [document.text.decode() for document in found] == words
        assert [document.labels.id for document in found[:7]] == [str(number) for number in range(7)]
        assert found[7].labels.id == f"s/{name}@{'7' if name == 'a.parquet' else '2.1'}"
        assert found[3].labels.metadata == '{"year":3}'


@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=12), st.integers(1, 5), st.integers(1, 400))
def test_no_row_is_lost_and_the_split_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, values: list[str | None], rows: int, task_bytes: int
) -> None:
    for name in ("a.parquet", "a.arrow", "a.arrows"):
        path = tmp_path_factory.mktemp("rows") / name
        write_table(path, pa.table({"text": pa.array(values, pa.string())}), rows)
        whole = read_records(make_source(kind_of(path), path))
        assert read_records(make_source(kind_of(path), path), task_bytes=task_bytes) == whole
        assert len(whole) == len(values)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_bad_rows_are_quarantined(tmp_path: Path, name: str) -> None:
    raw = pa.array([b"ok", None, b"", b"\xff\xfe", b"a\0b", b"x" * 999, b"end"], pa.large_binary())
    text = pa.LargeStringArray.from_buffers(len(raw), *raw.buffers()[1:], raw.buffers()[0], raw.null_count)
    identifiers = pa.array(["1", "2", "3", "4", "5", "6", None])
    path = tmp_path / name
    write_table(path, pa.table({"text": text, "id": identifiers}))
    records = read_records(make_source(kind_of(path), path, max_document_bytes=500))
    assert texts(records) == ["ok", "end"]
    assert reasons(records) == ["null text", "empty text", "invalid UTF-8", "NUL bytes", "document too large"]
    assert rejections(records)[0].address == ("a.parquet@1" if name == "a.parquet" else "a.arrow@0.1")
    assert rejections(records)[2].sample == b"\xff\xfe"


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_file_without_text_is_one_rejection(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_table(path, pa.table({"body": ["a"] * 9}), 9)
    (rejection,) = rejections(read_records(make_source(kind_of(path), path)))
    assert rejection.reason == "missing text"
    assert "body" in (rejection.detail or "")
    write_table(path, pa.table({"text": range(9)}), 9)
    (rejection,) = rejections(read_records(make_source(kind_of(path), path)))
    assert (rejection.reason, rejection.detail) == ("wrong type", "column 'text' holds int64, not strings")


def test_truncated_parquet_is_one_rejection(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", pa.table({"text": ["a"] * 9}))
    write_table(tmp_path / "b.parquet", pa.table({"text": ["b"]}))
    data = (tmp_path / "a.parquet").read_bytes()
    for size in (0, 3, len(data) // 2, len(data) - 1):
        (tmp_path / "a.parquet").write_bytes(data[:size])
        records = read_records(make_source("parquet", tmp_path))
        assert texts(records) == ["b"]
        (rejection,) = rejections(records)
        assert rejection.reason == "broken Parquet"
        assert rejection.lost_bytes == size


def test_damage_in_a_row_group_costs_that_row_group(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [f"{number} {number * 7919}" for number in range(3000)]
    pq.write_table(pa.table({"text": rows}), path, row_group_size=1000, use_dictionary=False, compression="zstd")
    group = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    start = group.data_page_offset
    data[start : start + group.total_compressed_size] = b"\xff" * group.total_compressed_size
    path.write_bytes(data)
    records = read_records(make_source("parquet", path))
    assert texts(records) == rows[:1000] + rows[2000:]
    (rejection,) = rejections(records)
    assert (rejection.reason, rejection.address) == ("broken Parquet", "a.parquet@1000")
    assert rejection.lost_bytes > 0


@pytest.mark.parametrize("name", ["a.arrow", "a.arrows"])
def test_truncated_arrow_keeps_what_is_readable(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rows = [f"row {number} {'x' * 100}" for number in range(30)]
    write_table(path, pa.table({"text": rows}), 10)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    records = read_records(make_source("arrow", path))
    assert texts(records) == rows[:10]
    assert reasons(records) == ["broken Arrow file"]
    path.write_bytes(b"not arrow at all")
    assert reasons(read_records(make_source("arrow", path))) == ["broken Arrow file"]


def test_memory_uris(tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    for name in ("a.parquet", "a.arrow"):
        write_table(tmp_path / name, pa.table({"text": ["x", "y"]}), 1)
        fs.pipe_file(f"/tables/{name}", (tmp_path / name).read_bytes())
        assert texts(read_records(make_source(kind_of(Path(name)), f"memory://tables/{name}"))) == ["x", "y"]


def test_max_bytes_takes_whole_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, pa.table({"text": [str(number) for number in range(9)]}))
    assert texts(read_records(make_source("parquet", path, max_bytes=1))) == ["0", "1", "2"]
