from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tests.corpus.readers.reading import documents, make_source, read_records, reasons, rejections, skips, texts
from tests.corpus.readers.test_files import PAGE, PARAGRAPHS

HTML = PAGE.format(PARAGRAPHS).encode()


def make_archive(gz: bool, *responses: tuple[str, str, str, bytes]) -> bytes:
    """(url, status, content type, body) -> an archive."""
    buffer = io.BytesIO()
    writer = WARCWriter(buffer, gzip=gz)
    writer.write_record(writer.create_warcinfo_record("a.warc", {"software": "test"}))
    for url, status, kind, content in responses:
        headers, body = [("Content-Type", kind)], content
        if kind == "gz":
            headers, body = [("Content-Type", "text/html"), ("Content-Encoding", "gzip")], gzip.compress(content)
        http = StatusAndHeaders(status, headers, protocol="HTTP/1.1")
        if kind == "conversion":
            record = writer.create_warc_record(url, "conversion", io.BytesIO(body), warc_content_type="text/plain")
        else:
            record = writer.create_warc_record(url, "response", io.BytesIO(body), http_headers=http)
        writer.write_record(record)
    return buffer.getvalue()


RESPONSES = (
    ("http://a.example/1", "200 OK", "text/html; charset=utf-8", HTML),
    ("http://a.example/2", "200 OK", "image/png", b"\x89PNG"),
    ("http://a.example/3", "404 Not Found", "text/html", HTML),
    ("http://a.example/4", "200 OK", "text/html", b"<html><body></body></html>"),
    ("http://a.example/5", "200 OK", "gz", HTML),
    ("http://a.example/6", "", "conversion", b"plain text of a page"),
)


@pytest.mark.parametrize("gz", [False, True])
def test_html_responses_become_documents(tmp_path: Path, gz: bool) -> None:
    path = tmp_path / f"a.warc{'.gz' if gz else ''}"
    path.write_bytes(make_archive(gz, *RESPONSES))
    records = read_records(make_source("warc", tmp_path))
    first, fifth, sixth = documents(records)
    assert "Paragraph 3 says" in first.text.decode()
    assert fifth.text == first.text
    assert sixth.text == b"plain text of a page"
    assert '"url":"http://a.example/1"' in (first.labels.metadata or "")
    assert [(skip.reason, skip.detail) for skip in skips(records)] == [
        ("not HTML", "http://a.example/2"),
        ("HTTP status is not 200", "http://a.example/3"),
    ]
    assert reasons(records) == ["no extractable text"]
    assert len({document.labels.id for document in documents(records)}) == 3


@pytest.mark.parametrize("gz", [False, True])
def test_addresses_are_offsets_in_the_archive(tmp_path: Path, gz: bool) -> None:
    path = tmp_path / f"a.warc{'.gz' if gz else ''}"
    path.write_bytes(make_archive(gz, *RESPONSES))
    plain = gzip.decompress(path.read_bytes()) if gz else path.read_bytes()
    for document in documents(read_records(make_source("warc", path))):
        offset = int(document.address.rpartition("@")[2])
        assert plain[offset : offset + 8] == b"WARC/1.0"


@pytest.mark.parametrize("gz", [False, True])
def test_a_truncated_archive_keeps_what_is_whole(tmp_path: Path, gz: bool) -> None:
    pages = [(f"http://a.example/{number}", "200 OK", "text/html", HTML) for number in range(4)]
    whole = make_archive(gz, *pages)
    path = tmp_path / f"a.warc{'.gz' if gz else ''}"
    path.write_bytes(whole[: len(whole) - 60])
    records = read_records(make_source("warc", path))
    assert len(documents(records)) == 3
    (rejection,) = rejections(records)
    assert rejection.reason == ("truncated stream" if gz else "truncated WARC")


def test_what_is_no_archive_is_quarantined(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    path.write_bytes(b"this is not an archive\r\n" * 20)
    records = read_records(make_source("warc", path))
    assert texts(records) == []
    (rejection,) = rejections(records)
    assert (rejection.reason, rejection.address, rejection.size_bytes) == ("broken WARC", "a.warc@0", 480)
    assert rejection.sample.startswith(b"this is not")


@pytest.mark.parametrize("junk", [b"junk\r\n\r\nmore\r\n", b"WARC/1.0\r\nWARC-Type: response\r\n\r\nno length\r\n"])
def test_reading_goes_on_after_junk(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "a.warc"
    one = make_archive(False, RESPONSES[0])
    path.write_bytes(one + junk + make_archive(False, RESPONSES[0]))
    records = read_records(make_source("warc", path))
    assert len(documents(records)) == 2
    assert set(reasons(records)) == {"broken WARC"}
    assert rejections(records)[0].address == f"a.warc@{len(one)}"
    assert sum(rejection.size_bytes for rejection in rejections(records)) == len(junk)


def test_headers_without_an_end_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(
        gzip.compress(b"WARC/1.0\r\n" + b"X: " + b"y" * (32 << 20) + b"\r\n" + make_archive(False, RESPONSES[0]))
    )
    records = read_records(make_source("warc", path))
    assert "headers of more than" in (rejections(records)[0].detail or "")
    assert len(documents(records)) == 1


def test_large_pages_are_never_whole_in_memory(tmp_path: Path) -> None:
    bomb = b"<html>" + b"a" * (32 << 20)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(make_archive(True, ("http://a.example/b", "200 OK", "gz", bomb), RESPONSES[0]))
    assert path.stat().st_size < 100_000
    records = read_records(make_source("warc", path, max_document_bytes=1 << 20))
    assert reasons(records) == ["document too large"]
    assert len(documents(records)) == 1
