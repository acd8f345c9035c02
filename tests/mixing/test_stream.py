from __future__ import annotations

import itertools

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from lc_data.mixing.stream import DocumentStream, stratum_streams

LENGTHS = st.lists(st.integers(0, 40), max_size=12)
PIECE = st.integers(1, 15)
Piece = tuple[int, int, int, int]


def by_hand(lengths: list[int], piece_tokens: int, repeats: int) -> list[Piece]:
    """All pieces of a stream, one document after the other: (document, start, length, part)."""
    return [
        (100 + document, start, min(piece_tokens, length - start), start // piece_tokens)
        for _ in range(repeats)
        for document, length in enumerate(lengths)
        for start in range(0, length, piece_tokens)
    ]


def stream_of(lengths: list[int], piece_tokens: int) -> DocumentStream:
    return DocumentStream.of(100 + np.arange(len(lengths)), np.array(lengths, np.uint32), piece_tokens)


def drawn(stream: DocumentStream, begin: int, end: int) -> list[Piece]:
    pieces = stream.draw(begin, end, 7)
    assert (pieces.draw == 7).all()
    columns = (pieces.document, pieces.start, pieces.length, pieces.part)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(LENGTHS, PIECE, st.lists(st.integers(0, 1500), min_size=1, max_size=5))
def test_intervals_of_a_stream_are_the_pieces_that_a_loop_cuts(lengths: list[int], piece: int, cuts: list[int]) -> None:
    stream = stream_of(lengths, piece)
    assume(stream.tokens)
    expected = by_hand(lengths, piece, 1 + max(cuts) // stream.tokens + 1)
    ends = [0, *np.cumsum([p[2] for p in expected]).tolist()]
    places = [0, *sorted(stream.nearest_end(cut) for cut in cuts)]
    for cut in cuts:
        nearest = min(abs(cut - end) for end in ends)
        assert abs(stream.nearest_end(cut) - cut) == nearest
        assert stream.nearest_end(stream.nearest_end(cut)) == stream.nearest_end(cut)
    got = [p for begin, end in itertools.pairwise(places) for p in drawn(stream, begin, end)]
    assert got == expected[: ends.index(places[-1])]


@given(LENGTHS, PIECE, st.integers(0, 500))
def test_documents_before_counts_documents_that_have_begun(lengths: list[int], piece: int, tokens: int) -> None:
    stream = stream_of(lengths, piece)
    assume(stream.tokens)
    whole = [length for length in lengths if length] * (tokens // stream.tokens + 1)
    begins = np.cumsum([0, *whole[:-1]])
    assert stream.documents_before(tokens) == int((begins < tokens).sum())


def test_a_document_of_five_million_tokens_is_drawn_in_full_pieces() -> None:
    stream = stream_of([5_000_000, 1], 32768)
    pieces = stream.draw(0, stream.tokens, 0)
    assert len(pieces) == 5_000_000 // 32768 + 2
    assert (pieces.length[:-2] == 32768).all()
    assert int(pieces.length.sum()) == 5_000_001


def test_an_empty_stream_gives_nothing() -> None:
    stream = stream_of([0, 0], 8)
    assert (stream.tokens, stream.nearest_end(0), len(stream.draw(0, 0, 0))) == (0, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.booleans()), max_size=50))
def test_streams_hold_the_documents_of_their_stratum_in_order(rows: list[tuple[int, int, bool]]) -> None:
    stratum, length, held = (np.array([row[i] for row in rows], t) for i, t in enumerate(("i4", "u4", "?")))
    streams = stratum_streams(stratum, length, held, 4)
    for identity in range(4):
        mine = [i for i, row in enumerate(rows) if row[0] == identity and row[1] and not row[2]]
        assert mine == (streams[identity].document.tolist() if identity in streams else [])
        assert sum(rows[i][1] for i in mine) == (streams[identity].tokens if mine else 0)
