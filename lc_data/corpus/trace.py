"""Following the data both ways: what a pack held, down to source and bytes; which packs saw a document.

Everything is read from what the run published (plan, tokenised shards, documents), nothing is logged for it while data
is made or streamed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.augment.parts import CARRY_IDS, ROLES
from lc_data.corpus.derived import find_derived, parts_of
from lc_data.corpus.origin import ByteRange, Origin, find_origins, load_tokenizer, map_bytes
from lc_data.corpus.plan import PackPlan
from lc_data.corpus.run import STAGES, RunFolder
from lc_data.corpus.shard import read_batches
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.failure import Failure
from lc_data.packing.plan import PlanBlock


class TraceError(Failure):
    """What was asked for is not in the run."""


@dataclass(frozen=True)
class SourceTrace:
    """Part of a joined document that a piece covers."""

    source: str
    bytes: ByteRange
    """Within the part itself: of a file that was joined unchanged, bytes of the file."""


@dataclass(frozen=True)
class PartTrace:
    """Part of a derived document: a stretch of a source document, or made tokens."""

    row_start: int
    """Its first token in the row."""
    tokens: int
    role: str
    chunk_id: int | None
    """What a knot or an answer says; None for other parts."""
    document_id: str | None
    """The source document; None for made tokens, as in what follows."""
    start: int | None
    end: int | None
    """Tokens of the source document, end exclusive."""
    source: str | None
    bytes: ByteRange | None

    def as_text(self) -> str:
        """One line."""
        row = f"{self.row_start}-{self.row_start + self.tokens}"
        if self.document_id is None:
            return f"{row}: {self.role}" + ("" if self.chunk_id is None else f" {self.chunk_id}")
        place = _place(self.source, self.bytes)
        return f"{row}: {self.document_id}, tokens {self.start}-{self.end}; from {place}"


@dataclass(frozen=True)
class PieceTrace:
    """One piece of a pack."""

    row_start: int
    """Its first token in the row."""
    document: int
    document_id: str
    domain: str
    part: int
    """0-based piece of its document."""
    start: int
    end: int
    """Tokens of the document, end exclusive."""
    source: str | None
    """Where the document came from; None where the run no longer holds its text."""
    bytes: ByteRange | None
    """Of the document's text, to whole characters; None where tokenising it again does not give these tokens."""
    parts: tuple[SourceTrace, ...]
    transform: str | None = None
    """What made a derived document; None for one of the corpus."""
    made_of: tuple[PartTrace, ...] = ()
    """The parts of a derived document, in their order."""


@dataclass(frozen=True)
class PackTrace:
    """What a pack held."""

    run: str
    plan: str
    pack: int
    packs: int
    seq_len: int
    padding_tokens: int
    pieces: tuple[PieceTrace, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def as_text(self) -> str:
        """A line per piece, and one per part of a joined document."""
        lines = [
            f"pack {self.pack} of {self.packs} (plan {self.plan}): {len(self.pieces)} pieces, {self.seq_len} tokens, "
            f"{self.padding_tokens} of them padding"
        ]
        for piece in self.pieces:
            row = f"{piece.row_start}-{piece.row_start + piece.end - piece.start}"
            lines.append(
                f"  {row}: {piece.document_id} [{piece.domain}] part {piece.part}, tokens {piece.start}-{piece.end}; "
                + (f"made by {piece.transform}" if piece.transform else f"from {_place(piece.source, piece.bytes)}")
            )
            lines += [f"      {part.as_text()}" for part in piece.made_of]
            lines += [f"      {_place(part.source, part.bytes)}" for part in piece.parts]
        return "\n".join(lines)


@dataclass(frozen=True)
class Sighting:
    """A pack that holds a piece of a document."""

    pack: int
    part: int
    start: int
    end: int
    within: str | None = None
    """The derived document of which the tokens are a part."""


@dataclass(frozen=True)
class Departure:
    """Where and why a document left the pipeline."""

    stage: str
    reason: str
    detail: str | None


@dataclass(frozen=True)
class DocumentTrace:
    """Where a document went."""

    run: str
    plan: str
    document_id: str
    document: int | None
    """Its number in the tokenised corpus; None when it left before."""
    domain: str
    tokens: int | None
    source: str | None
    sightings: tuple[Sighting, ...]
    departure: Departure | None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def as_text(self) -> str:
        """Where it went, a line per pack."""
        head = f"{self.document_id} [{self.domain}]"
        if self.departure is not None:
            why = f" ({self.departure.detail})" if self.departure.detail else ""
            return f"{head} was dropped by {self.departure.stage}: {self.departure.reason}{why}"
        head += f": document {self.document}, {self.tokens} tokens, from {_place(self.source, None)}"
        if not self.sightings:
            return f"{head}\n  no pack of plan {self.plan} holds it"
        lines = [
            f"  pack {seen.pack}: part {seen.part}, tokens {seen.start}-{seen.end}"
            + (f", in {seen.within}" if seen.within else "")
            for seen in self.sightings
        ]
        return "\n".join([head, *lines])


def trace_pack(run: str, pack: int, plan: str = "pretrain") -> PackTrace:
    """What a pack of a run's plan held; :class:`TraceError` for a pack that the plan has not."""
    folder = RunFolder(run)
    opened = PackPlan.open(folder, plan)
    if not 0 <= pack < opened.packs:
        raise TraceError(f"pack {pack} is not in plan {plan!r} of {run}, which has packs 0 to {opened.packs - 1}")
    pieces = opened.pieces(pack)
    return PackTrace(
        run=run,
        plan=plan,
        pack=pack,
        packs=opened.packs,
        seq_len=opened.seq_len,
        padding_tokens=opened.row_tokens - int(pieces.length.sum()),
        pieces=tuple(_trace_pieces(folder, TokenizedCorpus.open(folder), pieces)),
    )


def trace_document(run: str, document_id: str, plan: str = "pretrain") -> DocumentTrace:
    """Which packs of a plan hold pieces of a document, or which stage dropped it.

    :class:`TraceError` for an id that the run never had, or that it quarantined.
    """
    folder = RunFolder(run)
    corpus = TokenizedCorpus.open(folder)
    number = corpus.find(document_id)
    if number is None:
        domain, departure = _find_departure(folder, document_id)
        return DocumentTrace(run, plan, document_id, None, domain, None, None, (), departure)
    origin = find_origins(folder, [document_id]).get(document_id)
    return DocumentTrace(
        run=run,
        plan=plan,
        document_id=document_id,
        document=number,
        domain=corpus.domains[corpus.domain[number]],
        tokens=int(corpus.length[number]),
        source=origin.source if origin else None,
        sightings=tuple(_sightings(folder, corpus, PackPlan.open(folder, plan), number)),
        departure=None,
    )


def _sightings(run: RunFolder, corpus: TokenizedCorpus, plan: PackPlan, document: int) -> Iterator[Sighting]:
    """The packs that hold a document as it is, then those that hold it as a part of derived ones."""
    pieces = plan.pieces_of(document)
    columns = (pieces.pack, pieces.part, pieces.start, pieces.start + pieces.length)
    for row in np.stack(columns, axis=1).tolist():
        yield Sighting(*row)
    for derived, parts in find_derived(run, corpus, document):
        for pack in plan.packs_of(derived).tolist():
            for at, (start, length) in enumerate(zip(parts.start.tolist(), parts.length.tolist(), strict=True)):
                yield Sighting(pack, at, start, start + length, corpus.document_id(derived))


def _trace_parts(
    run: RunFolder, corpus: TokenizedCorpus, finder: _ByteFinder, document: int, row_start: int
) -> Iterator[PartTrace]:
    """What a derived document is made of."""
    parts = parts_of(run, corpus, document)
    ids = {number: corpus.document_id(number) for number in set(parts.source[parts.source >= 0].tolist())}
    origins = find_origins(run, set(ids.values()))
    rows = zip(*(getattr(parts, name).tolist() for name in ("role", "source", "start", "length")), strict=True)
    for role, source, start, length in rows:
        name, made_of = ROLES[role], ids.get(source)
        origin = origins.get(made_of) if made_of else None
        covered = finder.find(source, origin, start, start + length) if origin else None
        numbers = (None, start, start + length) if made_of else (start if role in CARRY_IDS else None, None, None)
        chunk_id, first, stop = numbers
        where = origin.source if origin else None
        yield PartTrace(row_start, length, name, chunk_id, made_of, first, stop, where, covered)
        row_start += length


def _trace_pieces(run: RunFolder, corpus: TokenizedCorpus, pieces: PlanBlock) -> list[PieceTrace]:
    ids = [corpus.document_id(document) for document in pieces.document.tolist()]
    origins = find_origins(run, set(ids))
    finder = _ByteFinder(run, corpus)
    traces, row_start = [], 0
    for number, document_id in enumerate(ids):
        document, start, length = int(pieces.document[number]), int(pieces.start[number]), int(pieces.length[number])
        origin = origins.get(document_id)
        covered = finder.find(document, origin, start, start + length) if origin else None
        traces.append(
            PieceTrace(
                row_start=row_start,
                document=document,
                document_id=document_id,
                domain=corpus.domains[corpus.domain[document]],
                part=int(pieces.part[number]),
                start=start,
                end=start + length,
                source=origin.source if origin else None,
                bytes=covered,
                parts=_overlaps(origin, covered) if origin and covered else (),
                transform=document_id.partition("/")[0] if document >= corpus.bucketed_count else None,
                made_of=tuple(_trace_parts(run, corpus, finder, document, row_start))
                if document >= corpus.bucketed_count
                else (),
            )
        )
        row_start += length
    return traces


class _ByteFinder:
    """Byte ranges of token ranges; each document is tokenised at most once, and only where a piece is not all of it."""

    def __init__(self, run: RunFolder, corpus: TokenizedCorpus) -> None:
        self._run, self._corpus = run, corpus
        self._maps: dict[int, list[ByteRange] | None] = {}

    def find(self, document: int, origin: Origin, start: int, end: int) -> ByteRange | None:
        """The bytes of tokens start to end of a document."""
        if start == 0 and end == self._corpus.length[document]:
            return ByteRange(0, len(origin.text.encode()))
        if document not in self._maps:
            info = self._corpus.tokenizer
            tokenizer = load_tokenizer(self._run, info)
            self._maps[document] = map_bytes(origin, self._corpus.tokens(document), tokenizer, info)
        ranges = self._maps[document]
        return None if ranges is None else ByteRange(ranges[start].start, ranges[end - 1].end)


def _overlaps(origin: Origin, covered: ByteRange) -> tuple[SourceTrace, ...]:
    found = []
    for part in origin.parts:
        start, end = max(part.bytes.start, covered.start), min(part.bytes.end, covered.end)
        if start < end:
            found.append(SourceTrace(part.source, ByteRange(start - part.bytes.start, end - part.bytes.start)))
    return tuple(found)


def _find_departure(run: RunFolder, document_id: str) -> tuple[str, Departure]:
    """The domain of a dropped document, and where it left."""
    for name in STAGES:
        stage = run.stage(name)
        for entry in stage.manifest().dropped if stage.is_published() else ():
            for batch in read_batches(stage.file(entry.file)):
                at = pc.index(batch["id"], pa.scalar(document_id)).as_py()
                if at >= 0:
                    row = batch.slice(at, 1).to_pylist()[0]
                    return row["domain"], Departure(name, row["reason"], row["detail"])
    raise TraceError(f"{run.uri} has no document with the id {document_id!r}, neither kept nor dropped")


def _place(source: str | None, covered: ByteRange | None) -> str:
    where = source if source is not None else "a source that is not in this run folder"
    return f"{where}, bytes {covered.start}-{covered.end}" if covered else where
