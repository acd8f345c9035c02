"""A stream of which pieces have been drawn already, in whatever order: what is due next, and then the stream anew.

Packs are dealt out evenly, not in the order of their streams, so the packs up to some place in a plan hold no clean
beginning of each stream. What they hold is counted piece by piece, and each piece is left out as many times as it was
drawn: nothing is seen a second time before everything was seen once, and nothing is lost in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lc_data.mixing.sampling import Sample
from lc_data.mixing.stream import DocumentStream, Pieces


@dataclass(frozen=True)
class ContinuedStream:
    """The pieces that are due before a stream begins anew, and the stream."""

    due: Pieces
    due_ends: np.ndarray
    """int64: cumulative tokens of the pieces that are due"""
    body: DocumentStream
    fresh: np.ndarray
    """bool [documents of the body]: those of which no piece was drawn"""

    @property
    def due_tokens(self) -> int:
        """Tokens before the stream begins anew."""
        return int(self.due_ends[-1]) if len(self.due_ends) else 0

    def nearest_end(self, tokens: int) -> int:
        """Return the piece end nearest to a place in the stream, at most half a piece away."""
        if tokens > self.due_tokens:
            return self.due_tokens + self.body.nearest_end(tokens - self.due_tokens)
        at = int(np.searchsorted(self.due_ends, tokens))
        high = int(self.due_ends[at]) if len(self.due_ends) else 0
        low = int(self.due_ends[at - 1]) if at else 0
        return high if 2 * tokens >= low + high else low

    def documents_before(self, tokens: int) -> int:
        """Return how many documents begin before a place in the stream, each repeat counted."""
        begun = self.due.start[: np.searchsorted(self.due_ends - self.due.length, tokens)] == 0
        return int(begun.sum()) + self.body.documents_before(max(tokens - self.due_tokens, 0))

    def draw(self, begin: int, end: int, label: int) -> Pieces:
        """Return the pieces between two piece ends, labelled with the number of the draw."""
        low, high = np.searchsorted(self.due_ends, [begin, end], side="right").tolist()
        due = self.due.select(np.arange(low, high))
        rest = self.body.draw(max(begin - self.due_tokens, 0), max(end - self.due_tokens, 0), label)
        return Pieces.concatenate([replace(due, draw=np.full(len(due), label, np.int32)), rest])

    def spare(self, planned_tokens: int) -> tuple[DocumentStream, int]:
        """Return a stream of whole documents, and a place in it, from which to draw what no pack of the plan holds.

        Documents of which a piece is kept or planned are not among them; where none are left the stream has ended.
        """
        if planned_tokens > self.due_tokens:
            return self.body, planned_tokens - self.due_tokens
        planned = self.due.document[: np.searchsorted(self.due_ends, planned_tokens, side="right")]
        unseen = self.fresh & ~np.isin(self.body.document, planned)
        if not unseen.any():
            return self.body, self.body.tokens
        lengths = np.diff(self.body.ends, prepend=0)
        return DocumentStream.of(self.body.document[unseen], lengths[unseen], self.body.piece_tokens), 0


Stream = DocumentStream | ContinuedStream


def count_drawn(stream: DocumentStream, pieces: Pieces, whole: Pieces) -> np.ndarray:
    """Return how often each piece of one repeat of a stream, ``whole``, is among ``pieces``: int64 [len(whole)].

    Pieces of other documents are passed over. Raises ValueError for one that the stream cuts otherwise.
    """
    place = np.full(int(max(stream.document.max(initial=-1), pieces.document.max(initial=-1))) + 1, -1, np.int64)
    place[stream.document] = np.flatnonzero(whole.start == 0)
    at = place[pieces.document]
    mine = at >= 0
    at = at[mine] + pieces.part[mine]
    inside = at < len(whole)
    same = inside.copy()
    for name in ("document", "start", "length"):
        same[inside] &= getattr(whole, name)[at[inside]] == getattr(pieces, name)[mine][inside]
    if not same.all():
        document = int(pieces.document[mine][~same][0])
        raise ValueError(f"document {document} is cut otherwise: keep seq_len, overlong and mask as they were")
    return np.bincount(at, minlength=len(whole))


def continue_stream(stream: DocumentStream, kept: Pieces) -> Stream:
    """Return a stream without the pieces that were drawn before: each is left out as often as it is in ``kept``."""
    whole = stream.draw(0, stream.tokens, 0)
    counts = count_drawn(stream, kept, whole)
    if not counts.any():
        return stream
    repeats = range(int(counts.min()), int(counts.max()))
    due = whole.select(np.concatenate([np.flatnonzero(counts <= repeat) for repeat in repeats] or [np.empty(0, int)]))
    fresh = np.add.reduceat(counts, np.flatnonzero(whole.start == 0)) == 0
    return ContinuedStream(due, np.cumsum(due.length, dtype=np.int64), stream, fresh)


def sample_with_kept(stream: DocumentStream, kept: Pieces, drawn: Pieces) -> Sample:
    """Return what is drawn of a stream in all, what was kept and what comes anew."""
    whole = stream.draw(0, stream.tokens, 0)
    counts = count_drawn(stream, kept, whole) + count_drawn(stream, drawn, whole)
    begins, length = whole.start == 0, whole.length.astype(np.int64)
    again, never = np.maximum(counts - 1, 0), counts == 0
    return Sample(
        documents=int(counts[begins].sum()),
        tokens=int((counts * length).sum()),
        repeated_documents=int(again[begins].sum()),
        repeated_tokens=int((again * length).sum()),
        unsampled_documents=int((never & begins).sum()),
        unsampled_tokens=int(length[never].sum()),
    )
