from __future__ import annotations

import pytest

from lc_data.recipe.training import ScheduleSection
from lc_data.training.schedule import peak_share


def shares(steps: int, **settings: object) -> list[float]:
    schedule = ScheduleSection.model_validate(settings)
    return [peak_share(schedule, step, steps) for step in range(steps)]


def test_cosine_warms_up_peaks_and_ends_at_the_floor() -> None:
    rates = shares(100, kind="cosine", warmup_share=0.1, floor_share=0.1)
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[54] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1)
    assert sorted(rates[10:], reverse=True) == rates[10:]


def test_constant_stays_at_the_peak() -> None:
    assert shares(10, kind="constant", warmup_share=0.2) == [0.5, *[1.0] * 9]


def test_wsd_is_flat_then_linear() -> None:
    rates = shares(10, kind="wsd", warmup_share=0.2, decay_share=0.4, floor_share=0.0)
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0.0])


@pytest.mark.parametrize("kind", ["cosine", "constant", "wsd"])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_have_rates_between_zero_and_the_peak(kind: str, warmup: float, steps: int) -> None:
    decay = min(0.2, 1 - warmup)
    assert all(0 < rate <= 1 for rate in shares(steps, kind=kind, warmup_share=warmup, decay_share=decay))
