"""The learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lc_data.recipe.errors import RecipeError
from lc_data.recipe.training import WSD_DECAY_SHARE, ScheduleSection


@dataclass(frozen=True)
class Schedule:
    """The phases of a training, in optimizer steps."""

    section: ScheduleSection
    steps: int
    warmup: int
    decay: int
    """Steps at the end in which the rate falls."""

    def peak_share(self, step: int) -> float:
        """The share of the peak rate that a step uses, counted from 0.

        The rate reaches the peak with the last warm-up step and the floor with the last step.
        """
        if step < self.warmup:
            return (step + 1) / self.warmup
        into_decay = step + 1 - (self.steps - self.decay)
        if into_decay <= 0:
            return 1.0
        floor, progress = self.section.floor_share, into_decay / self.decay
        if self.section.kind == "cosine":
            return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
        return 1 - (1 - floor) * progress


def plan_schedule(
    section: ScheduleSection, steps: int, stages: Mapping[str, int], packs_per_step: int, kind: str = "pretrain"
) -> Schedule:
    """Lay out the phases of a training.

    Args:
        section: what the recipe asks for.
        steps: optimizer steps of the training.
        stages: the pack of the plan with which each stage of the mixture begins.
        packs_per_step: packs of an optimizer step.
        kind: the recipe's section, for messages.

    Raises:
        RecipeError: when ``decay_stage`` is no stage of the plan, begins where training does not reach or where the
            rate still rises, or when ``decay_share`` says something else.

    """
    warmup = round(section.warmup_share * steps)
    decay = {"cosine": steps - warmup, "linear": steps - warmup, "constant": 0}.get(section.kind)
    if decay is None:
        decay = round((WSD_DECAY_SHARE if section.decay_share is None else section.decay_share) * steps)
        if section.decay_stage is not None:
            begin = _begin_of_stage(section, steps, stages, packs_per_step, kind)
            if section.decay_share is not None and abs(steps - decay - begin) > 1:
                raise RecipeError(
                    f"{kind}.schedule: decay_share {section.decay_share} begins with step {steps - decay} of {steps}, "
                    f"the stage {section.decay_stage!r} with step {begin}: leave decay_share out, or make them agree"
                )
            decay = steps - begin
        if steps - decay < warmup:
            raise RecipeError(
                f"{kind}.schedule: the rate falls from step {steps - decay} on and rises until step {warmup}: "
                "lower warmup_share"
            )
    return Schedule(section, steps, warmup, decay)


def _begin_of_stage(
    section: ScheduleSection, steps: int, stages: Mapping[str, int], packs_per_step: int, kind: str
) -> int:
    """The first step all of whose packs, but for those of a batch that both share, are of the decay's stage."""
    name = str(section.decay_stage)
    if name not in stages:
        known = ", ".join(stages) or "none"
        raise RecipeError(f"{kind}.schedule.decay_stage is {name!r}; the stages of the plan's mixture are {known}")
    begin = round(stages[name] / packs_per_step)
    if begin >= steps:
        raise RecipeError(
            f"{kind}.schedule: the stage {name!r} begins with step {begin}, after the last one: train on more steps "
            "than the stages before it have"
        )
    return begin
