from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.mixing.continued import ContinuedStream, continue_stream, sample_with_kept
from lc_data.mixing.stream import DocumentStream, Pieces

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=8)


def rows(pieces: Pieces) -> list[tuple[int, int, int, int]]:
    columns = (pieces.document, pieces.start, pieces.length, pieces.part)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def by_hand(once: list[tuple[int, ...]], kept: list[tuple[int, ...]], wanted: int) -> list[tuple[int, ...]]:
    """The stream again and again, each piece left out as often as it was kept."""
    left = {piece: kept.count(piece) for piece in once}
    found: list[tuple[int, ...]] = []
    while len(found) < wanted:
        for piece in once:
            if left[piece]:
                left[piece] -= 1
            elif max(left.values()) or len(found) < wanted:
                found.append(piece)
    return found[:wanted]


@given(LENGTHS, st.integers(1, 12), st.data())
def test_a_continued_stream_gives_what_was_not_kept_and_then_begins_anew(
    lengths: list[int], piece_tokens: int, data: st.DataObject
) -> None:
    stream = DocumentStream.of(5 + np.arange(len(lengths)), np.array(lengths, np.uint32), piece_tokens)
    whole = stream.draw(0, stream.tokens, 0)
    chosen = data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=20))
    kept = whole.select(np.array(chosen, np.int64))
    continued = continue_stream(stream, kept)
    assert isinstance(continued, ContinuedStream) == bool(chosen)
    wanted = len(whole) * 3
    expected = by_hand(rows(whole), rows(kept), wanted)
    ends = np.cumsum([0, *(piece[2] for piece in expected)]).tolist()
    assert rows(continued.draw(0, ends[-1], 3)) == expected
    low, high = sorted(data.draw(st.tuples(st.integers(0, wanted), st.integers(0, wanted))))
    drawn = continued.draw(ends[low], ends[high], 3)
    assert rows(drawn) == expected[low:high]
    assert set(drawn.draw.tolist()) <= {3}
    assert continued.documents_before(ends[high]) == sum(piece[1] == 0 for piece in expected[:high])
    place = data.draw(st.integers(0, ends[-1]))
    nearest = continued.nearest_end(place)
    assert nearest in ends
    assert abs(nearest - place) == min(abs(end - place) for end in ends)
    check_spare(continued, expected, high, ends, kept)


def check_spare(
    stream: DocumentStream | ContinuedStream, pieces: list[tuple[int, ...]], planned: int, ends: list[int], kept: Pieces
) -> None:
    """What stands in for others is in no kept pack and not planned, as long as there is such a document."""
    if not isinstance(stream, ContinuedStream) or ends[planned] > stream.due_tokens:
        return
    spare, begin = stream.spare(ends[planned])
    seen = set(kept.document.tolist()) | {piece[0] for piece in pieces[:planned]}
    unseen = [document for document in stream.body.document.tolist() if document not in seen]
    assert spare.document.tolist() == unseen or not unseen
    assert begin == (0 if unseen else spare.tokens)


@given(LENGTHS, st.integers(1, 12), st.data())
def test_the_books_count_what_was_kept_and_what_is_drawn(
    lengths: list[int], piece_tokens: int, data: st.DataObject
) -> None:
    stream = DocumentStream.of(np.arange(len(lengths)), np.array(lengths, np.uint32), piece_tokens)
    whole = stream.draw(0, stream.tokens, 0)
    places = st.lists(st.integers(0, len(whole) - 1), max_size=12)
    one, other = (whole.select(np.array(data.draw(places), np.int64)) for _ in range(2))
    found = sample_with_kept(stream, one, other)
    drawn, there = rows(one) + rows(other), rows(whole)
    times = {piece: drawn.count(piece) for piece in there}
    begins = [piece for piece in there if piece[1] == 0]
    assert found.tokens == sum(piece[2] for piece in drawn)
    assert found.documents == sum(times[piece] for piece in begins)
    assert found.repeated_documents == sum(max(times[piece] - 1, 0) for piece in begins)
    assert found.repeated_tokens == sum(max(times[piece] - 1, 0) * piece[2] for piece in there)
    assert found.unsampled_documents == sum(not times[piece] for piece in begins)
    assert found.tokens + found.unsampled_tokens == stream.tokens + found.repeated_tokens


def test_pieces_that_are_cut_otherwise_are_refused() -> None:
    stream = DocumentStream.of(np.arange(3), np.array([10, 20, 5], np.uint32), 8)
    other = DocumentStream.of(np.arange(3), np.array([10, 20, 5], np.uint32), 9)
    with pytest.raises(ValueError, match="document 0 is cut otherwise"):
        continue_stream(stream, other.draw(0, 35, 0))
