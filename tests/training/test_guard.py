from __future__ import annotations

import json
import math
from typing import Any

import pytest

from lc_data.recipe.training import GuardSection
from lc_data.training.guard import DivergedError, Guard


def guard(**settings: Any) -> Guard:
    return Guard(GuardSection.model_validate({"on_divergence": "skip", "window": 4, **settings}))


def feed(guarded: Guard, steps: list[tuple[float, float]]) -> list[bool]:
    return [guarded.accepts(step, loss, norm, range(step, step + 1)) for step, (loss, norm) in enumerate(steps)]


USUAL = [(2.0, 1.0), (2.2, 1.2), (1.8, 0.8), (2.0, 1.0)]


@pytest.mark.parametrize("odd", [(math.nan, 1.0), (1.0, math.inf), (-math.inf, 1.0), (1.0, math.nan)])
def test_what_is_no_number_is_left_out(odd: tuple[float, float]) -> None:
    assert feed(guard(), [*USUAL, odd, (2.0, 1.0)]) == [True] * 4 + [False, True]


def test_a_spike_is_left_out_once_there_is_a_window_to_judge_by() -> None:
    spike = (9.0, 1.0)
    assert feed(guard(spike_deviations=6), [USUAL[0], spike, *USUAL]) == [True] * 6
    judged = guard(spike_deviations=6)
    assert feed(judged, [*USUAL, spike, (2.0, 9.0), (1.0, 0.5), (2.1, 1.1)]) == [True] * 4 + [False] * 2 + [True] * 2
    assert judged.skipped == 2
    assert feed(guard(), [*USUAL, spike]) == [True] * 5, "a spike is a matter of choice"


def test_a_spike_does_not_widen_what_is_usual() -> None:
    assert feed(guard(spike_deviations=6), [*USUAL, *[(9.0, 1.0)] * 5]) == [True] * 4 + [False] * 5


def test_stopping_names_the_packs() -> None:
    with pytest.raises(DivergedError, match=r"step 7: loss nan, gradient norm 1\.0; its packs are 28 to 31 "):
        guard(on_divergence="stop").accepts(7, math.nan, 1.0, range(28, 32))


def test_a_guard_from_a_checkpoint_decides_alike() -> None:
    one, other = guard(spike_deviations=6), guard(spike_deviations=6)
    feed(one, [*USUAL, (9.0, 1.0)])
    other.restore(json.loads(json.dumps(one.state())))
    assert other.state() == one.state()
    assert not other.accepts(5, 9.0, 1.0, range(1))
    assert other.skipped == 2
