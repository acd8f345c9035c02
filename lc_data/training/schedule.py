"""The learning rate of each step."""

from __future__ import annotations

import math

from lc_data.recipe.training import ScheduleSection, TrainSection


def learning_rate(section: TrainSection, step: int, steps: int) -> float:
    """The learning rate of step ``step`` of ``steps``, counted from 0."""
    return section.optimizer.peak_learning_rate * peak_share(section.schedule, step, steps)


def peak_share(schedule: ScheduleSection, step: int, steps: int) -> float:
    """The share of the peak rate that a step uses.

    The rate rises linearly and reaches the peak with the last warm-up step; it reaches the floor with the last step.
    """
    warmup = round(schedule.warmup_share * steps)
    if step < warmup:
        return (step + 1) / warmup
    floor = schedule.floor_share
    if schedule.kind == "cosine":
        progress = (step + 1 - warmup) / (steps - warmup)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
    decay = round(schedule.decay_share * steps) if schedule.kind == "wsd" else 0
    into_decay = step + 1 - (steps - decay)
    return 1 - (1 - floor) * into_decay / decay if into_decay > 0 else 1.0
