from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.packing import windows
from lc_data.packing.windows import WindowWatch, worst_window


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=40),
    st.integers(1, 4), st.integers(1, 12), st.lists(st.integers(0, 40), max_size=4),
)  # fmt: skip
def test_a_watch_sees_what_looking_at_every_window_sees(rows, step, window, cuts) -> None:
    tokens, shares = np.array(rows, np.float64), np.array([0.6, 0.4])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_TOKENS", window * 10)
        watch = WindowWatch(10, step)
    packs = watch.window_packs
    assert packs % step == 0
    assert window <= packs < window + step
    watch.begin(shares, 100)
    borders = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for low, high in pairwise(borders):
        watch.add(tokens[low:high])
    off = {
        begin: float(
            np.abs(tokens[begin : begin + packs].sum(axis=0) / tokens[begin : begin + packs].sum() - shares).max()
        )
        for begin in range(0, len(rows) - packs + 1, step)
    }
    if not off:
        assert watch.worst is None
        assert worst_window(tokens, shares, packs, step) is None
    else:
        assert watch.worst.share_off == pytest.approx(max(off.values()))
        assert watch.worst.packs == packs
        assert off[watch.worst.first_pack - 100] == pytest.approx(max(off.values()))


def test_a_window_does_not_reach_over_two_stages() -> None:
    watch = WindowWatch(5_000_000, 1)
    for first, shares in ((0, [1.0, 0.0]), (3, [0.0, 1.0])):
        watch.begin(np.array(shares), first)
        watch.add(np.array([shares] * 3) * 5_000_000)
    assert watch.window_packs == 2
    assert watch.worst.share_off == 0
