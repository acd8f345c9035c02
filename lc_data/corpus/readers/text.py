"""Folders of text, Markdown or TeX: one document a file."""

from __future__ import annotations

from collections.abc import Iterator

from lc_data.corpus.readers.inputs import Input, InputRange, Listing, list_source, read_whole, whole_files
from lc_data.corpus.readers.record import Document, Fault, InputFault, Record, check_text, make_labels, reject
from lc_data.recipe.sources import SourceBase, TextSource

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def list_input(source: TextSource) -> Listing:
    """The files of the source."""
    return list_source(source, source.extensions)


def cut(listing: Listing, source: TextSource, task_bytes: int) -> list[InputRange]:
    """A range a file."""
    return whole_files(listing, source.max_bytes)


def read(part: Input, source: TextSource, max_record_bytes: int) -> Iterator[Record]:
    """The file as one document. A byte order mark is how the file is encoded, not text, and is left out."""
    assert isinstance(part, InputRange)
    yield read_document(part, source)


def read_document(part: InputRange, source: SourceBase) -> Record:
    """A text file as a document with the file's licence or the source's, or its rejection."""
    file = part.file
    data = b""
    try:
        data = read_whole(file, source.max_document_bytes)
        text = check_text(data.removeprefix(_BYTE_ORDER_MARK), source.max_document_bytes)
        return Document(make_labels(source, file.path, file.license), text, file.path)
    except InputFault as fault:
        return reject(source, file.path, fault, data, file.size_bytes)
    except Fault as fault:
        return reject(source, file.path, fault, data)
