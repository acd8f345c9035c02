from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lc_data.packing.hashing import child_key, mix, random_words
from lc_data.packing.order import _diffuse, by_work_in_batches, spread
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


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99), st.integers(0, 99)), max_size=30))
def test_diffusion_is_what_the_oracle_does(rows: list[tuple[int, int, int]]) -> None:
    rows.sort(key=lambda row: row[0])
    tokens = np.array([row[1:] for row in rows], np.float64).reshape(-1, 2)
    queue = np.array([row[0] for row in rows], np.int64)
    queues = [np.flatnonzero(queue == q).tolist() for q in range(4)]
    order = _diffuse(tokens, np.cumsum(np.bincount(queue, minlength=4)))
    assert order.tolist() == diffuse(queues, tokens.tolist())


def test_every_stretch_of_a_spread_holds_its_share() -> None:
    queue = np.repeat([0, 1, 2], [700, 250, 50])
    order = spread(queue, np.eye(3)[queue], key=5)
    assert sorted(order.tolist()) == list(range(1000))
    dealt = np.cumsum(np.eye(3)[queue[order]], axis=0)
    wanted = np.outer(np.arange(1, 1001), [0.7, 0.25, 0.05])
    assert np.abs(dealt - wanted).max() < 1.01
    assert spread(queue, np.eye(3)[queue], key=6).tolist() != order.tolist()


def test_batches_keep_their_packs_and_come_heaviest_first() -> None:
    order = np.array([4, 2, 0, 6, 1, 5, 3])
    work = np.array([5.0, 1, 7, 7, 2, 1, 9])
    assert by_work_in_batches(order, work, 3).tolist() == [2, 0, 4, 6, 1, 5, 3]
