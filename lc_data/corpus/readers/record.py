"""What a reader yields: a document, a rejection, or a skip.

Text is carried as UTF-8 bytes, not as ``str``: its length is what the ledger counts, its offsets are what parts mean,
and it goes into an Arrow buffer without another copy. A 100 MB book is then copied three times on its way, not six.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from lc_data.recipe.sources import SourceBase

SAMPLE_BYTES = 256
"""How much of what could not be read is kept in the quarantine."""


class Fault(Exception):  # noqa: N818
    """A record that cannot become a document: why, and what exactly was wrong."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason if detail is None else f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class InputFault(Fault):
    """Input that cannot be read on: with the stored bytes that are lost by it."""

    def __init__(self, reason: str, detail: str | None = None, lost_bytes: int = 0) -> None:
        super().__init__(reason, detail)
        self.lost_bytes = lost_bytes


class Part(NamedTuple):
    """A piece of a document: where it came from, and where it lies in the text, in bytes."""

    source: str
    offset: int
    length: int


class Origin(NamedTuple):
    """What a document was made of, where it is not simply one record's text."""

    transform: str
    documents: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known of a document besides its text."""

    id: str
    domain: str
    source: str
    license: str | None = None
    language: str | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read."""

    labels: Labels
    text: bytes
    """Valid UTF-8, free of NUL, not blank."""
    address: str
    """Path and place below the source; the id, where the record has none, is made of it."""
    parts: tuple[Part, ...] | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Input that could not be read."""

    source: str
    domain: str
    address: str
    size_bytes: int
    reason: str
    detail: str | None
    sample: bytes
    lost_bytes: int = 0
    """Stored bytes that were lost with it: more than one record's, when a file breaks off."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Input that was read and is no document, such as an image in a web archive."""

    id: str
    domain: str
    size_bytes: int
    reason: str
    detail: str | None = None


Record = Document | Rejection | Skip


def make_labels(source: SourceBase, address: str, license: str | None = None, metadata: str | None = None) -> Labels:  # noqa: A002
    """Labels of a document that states nothing itself."""
    made = make_id(source, address)
    return Labels(made, source.domain, made, license or source.license, source.language, metadata)


def make_id(source: SourceBase, address: str) -> str:
    """The id of a document that has none: the source's name and the address, whatever the split of the input."""
    return f"{source.name}/{address}"


def reject(source: SourceBase, address: str, fault: Fault, data: bytes, size: int | None = None) -> Rejection:
    """A rejection of ``data``, or of an input of ``size`` bytes that begins with it."""
    lost = fault.lost_bytes if isinstance(fault, InputFault) else 0
    return Rejection(
        source=source.name,
        domain=source.domain,
        address=address,
        size_bytes=len(data) if size is None else size,
        reason=fault.reason,
        detail=fault.detail,
        sample=data[:SAMPLE_BYTES],
        lost_bytes=lost,
    )


def check_text(text: str | bytes, max_bytes: int) -> bytes:
    """The text as UTF-8 bytes; raises :class:`Fault` when it is too large, no UTF-8, holds NUL or is blank."""
    if len(text) > max_bytes:
        raise Fault("document too large", f"{len(text)} bytes or more; max_document_bytes is {max_bytes}")
    if isinstance(text, bytes):
        check_unicode(text)
    encoded = text if isinstance(text, bytes) else text.encode()
    if len(encoded) > max_bytes:
        raise Fault("document too large", f"{len(encoded)} bytes; max_document_bytes is {max_bytes}")
    if (place := encoded.find(b"\0")) >= 0:
        raise Fault("NUL bytes", f"the first at byte {place} of the text")
    if is_blank(encoded):
        raise Fault("empty text")
    return encoded


def check_unicode(data: bytes) -> None:
    """Raise :class:`Fault` naming the first byte that is not UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise Fault("invalid UTF-8", f"{error.reason} at byte {error.start}") from None


def is_blank(text: bytes) -> bool:
    """Whether valid UTF-8 holds nothing but white space."""
    if text[:1024].decode(errors="ignore").strip():
        return False
    return not text.decode().strip()
