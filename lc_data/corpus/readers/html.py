"""HTML pages: their main text, by trafilatura.

trafilatura finds the character set itself, which is why a page need not be UTF-8. What it finds is a named transform in
the ledger: what came in is markup, what is kept is text.
"""

from __future__ import annotations

from collections.abc import Iterator

from lc_data.corpus.readers.inputs import Input, InputRange, Listing, list_source, read_whole, whole_files
from lc_data.corpus.readers.record import (
    Document,
    Fault,
    InputFault,
    Labels,
    Origin,
    Record,
    check_text,
    make_labels,
    reject,
)
from lc_data.recipe.sources import HtmlSource, SourceBase


def list_input(source: HtmlSource) -> Listing:
    """The files of the source."""
    return list_source(source, source.extensions)


def cut(listing: Listing, source: HtmlSource, task_bytes: int) -> list[InputRange]:
    """A range a file."""
    return whole_files(listing, source.max_bytes)


def read(part: Input, source: HtmlSource, max_record_bytes: int) -> Iterator[Record]:
    """The page's main text as one document."""
    assert isinstance(part, InputRange)
    file = part.file
    page = b""
    try:
        page = read_whole(file, source.max_document_bytes)
        yield page_document(page, source, make_labels(source, file.path), file.path)
    except InputFault as fault:
        yield reject(source, file.path, fault, page, file.size_bytes)
    except Fault as fault:
        yield reject(source, file.path, fault, page)


def page_document(page: bytes, source: SourceBase, labels: Labels, address: str) -> Document:
    """The document of an HTML page; raises :class:`Fault` when no text is found in it."""
    text = check_text(extract_text(page), source.max_document_bytes)
    return Document(labels, text, address, origin=Origin("extracted", 1, len(page)))


def extract_text(page: bytes) -> str:
    """The main text of a page, tables included, comments not; raises :class:`Fault` when there is none."""
    import trafilatura  # its import takes a second, which sources of other kinds should not wait for
    from lxml.etree import LxmlError  # type: ignore[import-untyped]

    if not page.strip():
        raise Fault("empty text")
    try:
        text = trafilatura.extract(page, include_comments=False)
    except (LxmlError, ValueError, AssertionError, RecursionError) as error:
        raise Fault("HTML cannot be parsed", f"{type(error).__name__}: {error}") from None
    if not text:
        raise Fault("no extractable text", "trafilatura finds no main text in the page")
    return text
