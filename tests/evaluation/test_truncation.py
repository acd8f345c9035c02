from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_data.evaluation.truncation import fit, room_for_prompt
from lc_data.failure import Failure


@given(st.integers(0, 400), st.integers(2, 100))
def test_both_true_ends_survive(count: int, room: int) -> None:
    ids = list(range(count))
    kept = fit(ids, room, "middle")
    if count <= room:
        assert kept == ids
    else:
        half = room // 2
        assert kept == ids[:half] + ids[-half:]
        assert (kept[0], kept[-1]) == (0, count - 1)
        assert room - 1 <= len(kept) <= room


def test_the_halves_are_of_the_whole_prompt() -> None:
    """40,000 tokens into 32,768 with 512 to write: the harness that cuts left first would begin at token 7,232."""
    kept = fit(range(40_000), room_for_prompt(32_768, 512), "middle")
    assert kept == [*range(16_128), *range(40_000 - 16_128, 40_000)]


def test_what_cannot_fit_is_said() -> None:
    with pytest.raises(Failure, match="does not fit into 4"):
        fit([1, 2, 3, 4, 5], 4, "none")
    with pytest.raises(Failure, match="leaves 1 of 65"):
        room_for_prompt(65, 64)
