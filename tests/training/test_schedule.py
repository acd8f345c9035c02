from __future__ import annotations

import pytest

from lc_data.recipe.errors import RecipeError
from lc_data.recipe.training import ScheduleSection
from lc_data.training.schedule import plan_schedule


def shares(steps: int, stages: dict[str, int] | None = None, **settings: object) -> list[float]:
    schedule = plan_schedule(ScheduleSection.model_validate(settings), steps, stages or {}, packs_per_step=4)
    return [schedule.peak_share(step) for step in range(steps)]


def test_cosine_warms_up_peaks_and_ends_at_the_floor() -> None:
    rates = shares(100, kind="cosine", warmup_share=0.1, floor_share=0.1)
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[39] == pytest.approx(0.775), "a third of the way down a cosine, where a line would be at 0.7"
    assert rates[54] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1)
    assert sorted(rates[10:], reverse=True) == rates[10:]


def test_constant_stays_at_the_peak() -> None:
    assert shares(10, kind="constant", warmup_share=0.2) == [0.5, *[1.0] * 9]


def test_wsd_is_flat_then_linear() -> None:
    rates = shares(10, kind="wsd", warmup_share=0.2, decay_share=0.4, floor_share=0.0)
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0.0])


def test_linear_falls_from_the_peak_to_the_floor() -> None:
    rates = shares(5, kind="linear", warmup_share=0.2, floor_share=0.2)
    assert rates == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])


def test_wsd_decays_with_the_stage_of_the_mixture() -> None:
    stages = {"broad": 0, "best": 25}  # the batch of step 6 has one pack of the second stage
    rates = shares(10, stages, kind="wsd", warmup_share=0, floor_share=0.0, decay_stage="best")
    assert rates == pytest.approx([1] * 6 + [0.75, 0.5, 0.25, 0])
    assert shares(10, stages, kind="wsd", warmup_share=0, floor_share=0, decay_stage="best", decay_share=0.4) == rates


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay_stage": "bets"}, "stages of the plan's mixture are broad, best"),
        ({"decay_stage": "best", "decay_share": 0.2}, "begins with step 8 of 10, the stage 'best' with step 6"),
        ({"decay_stage": "late"}, "begins with step 12, after the last one"),
        ({"decay_stage": "best", "warmup_share": 0.9}, "falls from step 6 on and rises until step 9"),
    ],
)
def test_a_stage_that_does_not_fit_is_refused(settings: dict[str, object], message: str) -> None:
    stages = {"broad": 0, "best": 25} | ({"late": 48} if settings["decay_stage"] == "late" else {})
    with pytest.raises(RecipeError, match=message):
        shares(10, stages, kind="wsd", **settings)


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "wsd"])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_have_rates_between_zero_and_the_peak(kind: str, warmup: float, steps: int) -> None:
    decay = {"decay_share": min(0.2, 1 - warmup)} if kind == "wsd" else {}
    assert all(0 < rate <= 1 for rate in shares(steps, kind=kind, warmup_share=warmup, **decay))
