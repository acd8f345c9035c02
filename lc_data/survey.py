"""The lengths of any corpus: of a run from its index, of raw files by tokenising them.

A run knows its lengths: its index is seven bytes a document, and a table of 24 million documents takes about a second.
Raw files are read by the readers of ingest, so what counts here is what a run would count, but for its filters; nothing
is written, and one length a document is all that is kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from lc_data.corpus import storage
from lc_data.corpus.listing import FoundFile, Unusable, find_files
from lc_data.corpus.readers import arrow, jsonl, parquet, warc
from lc_data.corpus.readers.kinds import list_inputs, plan_source, read_input
from lc_data.corpus.readers.record import Document, Rejection
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.lengths.buckets import assign_buckets
from lc_data.lengths.histogram import LengthHistogram, measure_lengths
from lc_data.lengths.table import ShareTable, tables, tables_as_json
from lc_data.lengths.tokenizer import DocumentTokenizer, TokenizerError
from lc_data.recipe.errors import RecipeError, nearest
from lc_data.recipe.sources import FieldNames, HtmlSource, IngestSection, Source, TextSource

_BATCH_BYTES = 1 << 20
"""Text that is tokenised together: the tokenizer spreads a batch over the cores."""

_CHUNK = 1 << 18
"""Documents that are counted together: what is made of them stays in the cache."""

_EXTENSIONS = {
    "jsonl": jsonl.EXTENSIONS,
    "parquet": parquet.EXTENSIONS,
    "arrow": arrow.EXTENSIONS,
    "warc": warc.EXTENSIONS,
    "text": TextSource.model_fields["extensions"].default,
    "html": HtmlSource.model_fields["extensions"].default,
}
_FIELDED = ("jsonl", "parquet", "arrow")
_FIELDS = ("text", "domain", "id")


@dataclass(frozen=True)
class Survey:
    """How long the documents of a corpus are."""

    what: str
    """Where it was counted."""
    length: npt.NDArray[np.uint32]
    """tokens, uint32 [documents]"""
    domain: npt.NDArray[np.uint16]
    """code, uint16 [documents]"""
    domains: tuple[str, ...]
    unreadable: int = 0
    """Records and files without a text that could be read."""

    @property
    def longest_tokens(self) -> int:
        """Tokens of the longest document; 0 without any."""
        return int(self.length.max(initial=0))

    def as_json(self, edges: Sequence[int]) -> dict[str, Any]:
        """Counts and shares of documents and of tokens, by domain and class of length."""
        return {
            "corpus": self.what,
            "documents": len(self.length),
            "tokens": int(self.length.sum(dtype=np.int64)),
            "longest_tokens": self.longest_tokens,
            "unreadable": self.unreadable,
            "edges_tokens": list(edges),
            **tables_as_json(*self._tables(edges)),
        }

    def as_text(self, edges: Sequence[int]) -> str:
        """Two tables: the share of documents, and the share of tokens."""
        documents, tokens = self._tables(edges)
        longest = f"longest document: {self.longest_tokens:,} tokens"
        unreadable = f"; {self.unreadable:,} records could not be read" if self.unreadable else ""
        return f"{documents.as_text()}\n\n{tokens.as_text()}\n\n{longest}{unreadable}"

    def _tables(self, edges: Sequence[int]) -> tuple[ShareTable, ShareTable]:
        shape = len(self.domains), len(edges) + 1
        documents, tokens = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for first in range(0, len(self.length), _CHUNK):
            length, domain = self.length[first : first + _CHUNK], self.domain[first : first + _CHUNK]
            counts = measure_lengths(length, domain, assign_buckets(length, edges), *shape)
            documents += counts.documents
            tokens += counts.tokens
        return tables(LengthHistogram(documents, tokens), self.domains, edges)


def survey(corpus: Sequence[str], tokenizer: str | None = None, fields: str | None = None) -> Survey:
    """Count the lengths of a run, or of raw files and folders.

    A run's lengths are those of its index, BOS and EOS included. Of a raw folder the sub-folders are domains, and
    files beside them by their names; ``tokenizer`` is a tokenizer.json, and neither BOS nor EOS is added. ``fields``
    says what records call their text and their domain: ``text=content,domain=subset``. Raises :class:`RecipeError`
    for arguments that cannot be followed.
    """
    runs = [path for path in corpus if RunFolder(path).stage("bucket").is_published()]
    if runs:
        if len(corpus) > 1:
            raise RecipeError(
                f"{runs[0]!r} is a run, and {len(corpus)} places were given: give a run alone, or raw files"
            )
        if tokenizer is not None or fields is not None:
            raise RecipeError(
                f"{runs[0]!r} is a run, whose lengths are counted already: leave --tokenizer and --fields out"
            )
        return _survey_run(runs[0])
    if tokenizer is None:
        named = ", ".join(map(repr, corpus))
        raise RecipeError(f"{named} is no run with a bucket stage, and raw files need --tokenizer: a tokenizer.json")
    return _survey_files(corpus, _load(tokenizer), _field_names(fields))


def _survey_run(uri: str) -> Survey:
    opened = TokenizedCorpus.open(RunFolder(uri))
    return Survey(uri, opened.length, opened.domain, opened.domains)


def _survey_files(paths: Sequence[str], tokenizer: DocumentTokenizer, fields: dict[str, str]) -> Survey:
    sources, unreadable = _sources(paths, fields)
    counted = _Counted(tokenizer)
    for source in sources:
        for record in _records(source):
            if isinstance(record, Document):
                counted.add(record)
            elif isinstance(record, Rejection):
                unreadable += 1
    counted.flush()
    if unreadable and not counted.lengths:
        raise RecipeError(f"none of {unreadable:,} records has a text; name its field with --fields text=NAME")
    domains = tuple(sorted(counted.codes))
    in_order = np.array([domains.index(domain) for domain in counted.codes], np.uint16)
    codes = in_order[np.array(counted.domains, np.int64)]
    return Survey(", ".join(paths), np.array(counted.lengths, np.uint32), codes, domains, unreadable)


class _Counted:
    """Documents waiting for the tokenizer, and the lengths of those that went through it."""

    def __init__(self, tokenizer: DocumentTokenizer) -> None:
        self.codes: dict[str, int] = {}
        self.lengths = array("I")
        self.domains = array("H")
        self._tokenizer = tokenizer
        self._texts: list[str] = []
        self._bytes = 0

    def add(self, document: Document) -> None:
        self._texts.append(document.text.decode())
        self.domains.append(self.codes.setdefault(document.labels.domain, len(self.codes)))
        self._bytes += len(document.text)
        if self._bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        self.lengths.extend(len(tokens) for tokens in self._tokenizer.encode(self._texts))
        self._texts, self._bytes = [], 0


def _records(source: Source) -> Iterator[Any]:
    limits = IngestSection()
    for plan in plan_source(source, list_inputs(source), limits):
        yield from plan.rejections
        for part in plan.inputs:
            yield from read_input(part, source, limits.max_record_bytes)


def _sources(paths: Sequence[str], fields: dict[str, str]) -> tuple[list[Source], int]:
    """One source for each domain and kind of file, and how many places could not be looked at."""
    files: dict[tuple[str, str], list[str]] = {}
    unusable = 0
    for path in paths:
        found = find_files(path, lambda name: _kind(name) is not None)
        if not found:
            raise RecipeError(f"{path!r} holds no run with a bucket stage and no file ending in {_endings()}")
        for item in found:
            if isinstance(item, Unusable):
                unusable += 1
                continue
            kind = _kind(item.uri)
            if kind is None:
                raise RecipeError(f"{item.uri!r} ends in none of {_endings()}")
            files.setdefault((_domain(item, kind, path), kind), []).append(item.uri)
    adapter: TypeAdapter[Source] = TypeAdapter(Source)
    sources = []
    for number, ((domain, kind), uris) in enumerate(sorted(files.items())):
        given: dict[str, Any] = {"name": f"s{number}", "kind": kind, "domain": domain, "paths": uris}
        sources.append(adapter.validate_python(given | ({"fields": fields} if kind in _FIELDED else {})))
    return sources, unusable


def _domain(file: FoundFile, kind: str, path: str) -> str:
    """The sub-folder; without one, a file of records by its name, and one of a single document by its folder."""
    folder, separator, _ = file.path.partition("/")
    if separator:
        return folder
    return Path(file.path).name.split(".")[0] if kind in (*_FIELDED, "warc") else Path(path).name or "all"


def _kind(name: str) -> str | None:
    return next((kind for kind, endings in _EXTENSIONS.items() if name.lower().endswith(endings)), None)


def _endings() -> str:
    return ", ".join(ending for endings in _EXTENSIONS.values() for ending in endings)


def _field_names(fields: str | None) -> dict[str, str]:
    names = {}
    for part in (fields or "").split(","):
        key, separator, value = part.strip().partition("=")
        if not part.strip():
            continue
        if key not in _FIELDS:
            raise RecipeError(f"--fields: {key!r} is no field of a document{nearest(key, _FIELDS)}")
        if not separator or not value:
            raise RecipeError(f"--fields: {part!r} is not of the form {key}=NAME")
        names[key] = value
    try:
        FieldNames(**names)
    except ValidationError as error:
        raise RecipeError(f"--fields {fields!r}: {error}") from error
    return names


def _load(path: str) -> DocumentTokenizer:
    if not storage.exists(path):
        raise RecipeError(f"--tokenizer {path!r} does not exist; give the path or URI of a tokenizer.json")
    try:
        return DocumentTokenizer(storage.read_bytes(path).decode(), None, None)
    except (TokenizerError, UnicodeDecodeError) as error:
        raise RecipeError(f"--tokenizer {path!r}: {error}") from error
