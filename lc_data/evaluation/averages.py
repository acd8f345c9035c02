"""Averages of task scores by group, the same way for every suite: a task that is missing is named, never a zero.

Published averages differ in exactly this: the 7.65 of Index-1.9B-4K on LongBench counts two tasks without a score as
zero, and is 7.90 without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class GroupMeans:
    """Means of groups of tasks, and their mean."""

    groups: dict[str, float]
    """By group, the mean of its tasks that have a score; a group without any is left out."""
    mean: float | None
    """The mean of the groups; None where there are none."""
    missing: tuple[str, ...]
    """Tasks without a score, in the order of the groups. The means are comparable with others only without any."""


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of at least one value."""
    return sum(values) / len(values)


def group_means(
    scores: Mapping[str, float], groups: Mapping[str, Sequence[str]], missing_as_zero: bool = False
) -> GroupMeans:
    """Average tasks within groups, then the groups.

    Args:
        scores: the score of each task that has one.
        groups: the names of each group's tasks.
        missing_as_zero: count a task without a score as 0; it is still named as missing.

    """
    found: dict[str, float] = {}
    missing: dict[str, None] = {}
    for group, tasks in groups.items():
        missing |= dict.fromkeys(task for task in tasks if task not in scores)
        values = [scores.get(task, 0.0) for task in tasks if missing_as_zero or task in scores]
        if values:
            found[group] = mean(values)
    return GroupMeans(found, mean(list(found.values())) if found else None, tuple(missing))
