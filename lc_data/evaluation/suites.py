"""The registry of suites."""

from __future__ import annotations

from collections.abc import Sequence

from lc_data.evaluation.leval.suite import LEval
from lc_data.evaluation.longbench.suite import LongBench
from lc_data.evaluation.needle.suite import Needle
from lc_data.evaluation.ruler.suite import Ruler
from lc_data.evaluation.suite import Suite
from lc_data.recipe.errors import RecipeError, nearest

SUITES: dict[str, Suite] = {suite.name: suite for suite in (Needle(), LongBench(), LEval(), Ruler())}

HIDING = frozenset({"needle", "ruler"})
"""Suites that hide needles in texts."""


def suites_named(names: Sequence[str]) -> list[Suite]:
    """The suites of these names; raises ``RecipeError`` for one that there is not."""
    for name in names:
        if name not in SUITES:
            raise RecipeError(f"--suite: there is no suite {name!r}{nearest(name, SUITES)}")
    return [SUITES[name] for name in names]


def suite_of_task(task: str) -> Suite:
    """The suite that a task belongs to; raises ``RecipeError`` for a name that none has."""
    for suite in SUITES.values():
        if task in suite.tasks:
            return suite
    known = [name for suite in SUITES.values() for name in suite.tasks]
    raise RecipeError(f"{task}.jsonl: no suite has a task {task!r}{nearest(task, known)}")
