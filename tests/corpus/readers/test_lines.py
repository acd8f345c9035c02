from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lc_data.corpus.readers.inputs import InputFile, InputRange
from lc_data.corpus.readers.lines import cut_lines, read_lines, split_lines
from tests.corpus.readers.reading import COMPRESS


def file_at(path: Path) -> InputFile:
    return InputFile(str(path), path.name, path.stat().st_size, "1")


@given(
    st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=30),
    st.integers(1, 60),
    st.booleans(),
)
def test_any_cut_gives_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], task_bytes: int, ended: bool
) -> None:
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    path = tmp_path_factory.mktemp("cut") / "a.jsonl"
    path.write_bytes(data)
    parts = cut_lines(file_at(path), task_bytes, None)
    assert sum(part.weight_bytes for part in parts) == len(data)
    found = [line for part in parts for line in read_lines(part, 1000)]
    assert [line.data for line in found] == data.split(b"\n")[: len(found)]
    assert b"\n".join(line.data for line in found).rstrip(b"\n") == data.rstrip(b"\n")
    assert all(data[line.offset : line.offset + line.size] == line.data for line in found)


@given(st.binary(max_size=200), st.integers(1, 7), st.integers(0, 40))
def test_chunks_do_not_matter(data: bytes, step: int, max_bytes: int) -> None:
    chunks = (data[start : start + step] for start in range(0, len(data), step))
    lines = list(split_lines(chunks, 0, max_bytes))
    expected = data.split(b"\n")
    expected = expected[:-1] if not expected[-1] else expected
    assert [line.size for line in lines] == [len(line) for line in expected]
    for line, whole in zip(lines, expected, strict=True):
        assert (line.fault is not None) == (len(whole) > max_bytes)
        assert line.data == whole


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_a_line_too_long_is_never_held(tmp_path: Path, ending: str) -> None:
    bomb = b"first\n" + b"a" * (64 << 20) + b"\nlast\n"
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(COMPRESS[ending](bomb))
    if ending:
        assert path.stat().st_size < 1 << 20
    size = path.stat().st_size
    lines = list(read_lines(InputRange(file_at(path), 0, size, size), 1 << 20))
    assert [(line.offset, line.size) for line in lines] == [(0, 5), (6, 64 << 20), (7 + (64 << 20), 4)]
    assert str(lines[1].fault).startswith("record too large: 67108864 bytes")
    assert len(lines[1].data) == 256
    assert lines[2].data == b"last"


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@given(st.integers(1, 2000))
def test_truncated_streams_give_all_that_is_readable(
    tmp_path_factory: pytest.TempPathFactory, ending: str, missing: int
) -> None:
    rows = [f"row {number} {'x' * (number % 50)} {number * 7919}".encode() for number in range(2000)]
    whole = COMPRESS[ending](b"\n".join(rows) + b"\n")
    path = tmp_path_factory.mktemp("cut") / f"a.jsonl{ending}"
    path.write_bytes(whole[: len(whole) - missing])
    size = path.stat().st_size
    *good, last = read_lines(InputRange(file_at(path), 0, size, size), 1000)
    assert [line.data for line in good] == rows[: len(good)]
    assert last.fault is not None
    assert last.fault.reason == "truncated stream"
    assert not last.ended


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_damage_inside_a_stream_ends_it(tmp_path: Path, ending: str) -> None:
    rows = [f"{number * 104729 % 99991}".encode() for number in range(50_000)]
    compress = zstandard.ZstdCompressor(write_checksum=True).compress if ending == ".zst" else COMPRESS[ending]
    data = bytearray(compress(b"\n".join(rows) + b"\n"))
    data[len(data) // 2 : len(data) // 2 + 400] = b"\xff" * 400
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(data)
    *good, last = read_lines(InputRange(file_at(path), 0, len(data), len(data)), 1000)
    assert last.fault is not None
    assert last.fault.reason in {f"broken {'gzip' if ending == '.gz' else 'zstd'} stream", "truncated stream"}
    assert len(good) > 0


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_concatenated_streams_are_one(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.jsonl{ending}"
    compress = COMPRESS[ending]
    padding = b"\0" * 512 if ending == ".gz" else b""
    path.write_bytes(compress(b"a\nb") + compress(b"c\nd\n") + padding)
    size = path.stat().st_size
    assert [line.data for line in read_lines(InputRange(file_at(path), 0, size, size), 100)] == [b"a", b"bc", b"d"]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_trial_ends_at_a_whole_line_without_a_fault(tmp_path: Path, ending: str) -> None:
    rows = [f"{number * 104729 % 99991}".encode() for number in range(60_000)]
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(COMPRESS[ending](b"\n".join(rows)))
    (part,) = cut_lines(file_at(path), 1 << 20, max_bytes=path.stat().st_size // 2)
    lines = list(read_lines(part, 100))
    assert 0 < len(lines) < len(rows)
    assert [line.data for line in lines] == rows[: len(lines)]
    assert all(line.fault is None for line in lines)


def test_decompressors_agree_with_the_references(tmp_path: Path) -> None:
    data = b"".join(f"{number} {number * 7919}\n".encode() for number in range(100_000))
    for name, packed in (("a.gz", gzip.compress(data)), ("a.zst", zstandard.compress(data))):
        path = tmp_path / name
        path.write_bytes(packed)
        lines = read_lines(InputRange(file_at(path), 0, len(packed), len(packed)), 100)
        assert b"".join(line.data + b"\n" for line in lines) == data
