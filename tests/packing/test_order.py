from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lc_data.packing.hashing import child_key, mix, random_words
from lc_data.packing.order import _diffuse, by_place, by_work_in_batches, by_work_in_windows, spread
from tests.packing.oracle import diffuse, splitmix


def test_splitmix_gives_its_published_words() -> None:
    # The first outputs for seed 1234567 in the test vectors that circulate with the reference code.
    assert random_words(1234567, 3).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.integers(0, 2**64 - 1), st.integers(0, 20))
def test_vector_words_are_the_sequence(key: int, count: int) -> None:
    assert random_words(key, count).tolist() == splitmix(key, count)
    assert mix(key) == splitmix(key, 1)[0]


def test_child_keys_do_not_collide_in_a_small_grid() -> None:
    keys = {child_key(seed, a, b) for seed in range(20) for a in range(20) for b in range(20)}
    assert len(keys) == 8000


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-9, 9), st.integers(-9, 9)), max_size=30),
    st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
)
def test_diffusion_is_what_the_oracle_does(rows: list[tuple[int, int, int]], ahead: tuple[int, int]) -> None:
    rows.sort(key=lambda row: row[0])
    off = np.array([row[1:] for row in rows], np.float64).reshape(-1, 2) / 8
    queue = np.array([row[0] for row in rows], np.int64)
    queues = [np.flatnonzero(queue == q).tolist() for q in range(4)]
    order = _diffuse(off, np.cumsum(np.bincount(queue, minlength=4)), np.array(ahead, np.float64))
    assert order.tolist() == diffuse(queues, off.tolist(), list(map(float, ahead)))


def test_every_stretch_of_a_spread_holds_its_share() -> None:
    queue, shares = np.repeat([0, 1, 2], [700, 250, 50]), np.array([0.7, 0.25, 0.05])
    off = np.eye(3)[queue] - shares
    order = spread(queue, off, np.zeros(3), key=5)
    assert sorted(order.tolist()) == list(range(1000))
    dealt = np.cumsum(np.eye(3)[queue[order]], axis=0)
    assert np.abs(dealt - np.outer(np.arange(1, 1001), shares)).max() < 1.01
    assert spread(queue, off, np.zeros(3), key=6).tolist() != order.tolist()


def test_what_an_earlier_block_held_too_much_of_is_made_up_for() -> None:
    queue = np.repeat([0, 1], [50, 50])
    order = spread(queue, np.eye(2)[queue] - 0.5, np.array([3.0, -3.0]), key=5)
    assert queue[order][:4].tolist() == [1, 1, 1, 1]


def test_batches_keep_their_packs_and_come_heaviest_first() -> None:
    order = np.array([4, 2, 0, 6, 1, 5, 3])
    work = np.array([5.0, 1, 7, 7, 2, 1, 9])
    assert by_work_in_batches(order, work, 3).tolist() == [2, 0, 4, 6, 1, 5, 3]


def test_windows_hold_like_rows_together_and_lose_none() -> None:
    work = np.random.default_rng(1).random(2 * 16 * 4 + 3)
    order = by_work_in_windows(np.arange(len(work)), work, 4, key=9)
    assert sorted(order.tolist()) == list(range(len(work)))
    batches = work[order][:128].reshape(-1, 4)
    assert (np.diff(batches, axis=1) <= 0).all()
    for window in (batches[:16], batches[16:]):
        tops = np.sort(window[:, 0])
        assert (np.sort(window[:, -1])[1:] >= tops[:-1]).all(), "each batch is a stretch of the sorted window"
    assert set(order[128:].tolist()) == {128, 129, 130}


@given(st.lists(st.integers(0, 9), max_size=300), st.integers(0, 9), st.integers(0, 2**32))
def test_pieces_are_sorted_by_the_place_of_their_row_then_by_their_words(
    rows: list[int], left_out: int, seed: int
) -> None:
    """Also where one row has more pieces than are sorted by insertion."""
    words = np.random.default_rng(seed)
    row, within = np.array(rows, np.int64), words.integers(0, 5, len(rows))
    order = words.permutation([number for number in range(10) if number != left_out])
    pieces, place, nth = by_place(row, order, 10, within)
    where = {number: at for at, number in enumerate(order.tolist())}
    expected = sorted(
        (piece for piece in range(len(rows)) if rows[piece] in where),
        key=lambda piece: (where[rows[piece]], within[piece], piece),
    )
    assert pieces.tolist() == expected
    assert place.tolist() == [where[rows[piece]] for piece in expected]
    assert nth.tolist() == [place.tolist()[:at].count(here) for at, here in enumerate(place.tolist())]
    assert (place.dtype, nth.dtype) == (np.int64, np.int32)
