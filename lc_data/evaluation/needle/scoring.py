"""Scores of the needle tasks: NeedleBench's, by cell, column and as a whole.

A grid's score is the mean of its columns' means. The published 91.08 of Index-1.9B-32K, called the cell at 32K and 10%
in its report, is such a column's mean over 11 depths in the report's own figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lc_data.evaluation.averages import mean
from lc_data.evaluation.metrics.found import boxed, needle, needle_reasoning, needle_v2
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.suite import ScoreOptions, SuiteScore, cut_counts
from lc_data.failure import Failure

_WEIGHTS = {"single": 0.4, "parallel": 0.3, "reasoning": 0.3}
"""NeedleBench's overall score."""


@dataclass(frozen=True)
class Grid:
    """Mean scores in percent by length and depth."""

    lengths: tuple[int, ...]
    depths: tuple[float, ...]
    cells: tuple[tuple[float | None, ...], ...]
    """By depth, then by length; None where nothing was asked."""

    @property
    def columns(self) -> list[float]:
        """The mean of each length over its depths."""
        by_length = zip(*self.cells, strict=True)
        return [mean([value for value in column if value is not None]) for column in by_length]

    @property
    def score(self) -> float:
        """The mean of the columns."""
        return mean(self.columns)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Grid:
        """The inverse of :meth:`as_json`."""
        return cls(tuple(content["lengths"]), tuple(content["depths"]), tuple(tuple(row) for row in content["cells"]))

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {
            "lengths": list(self.lengths),
            "depths": list(self.depths),
            "cells": [list(row) for row in self.cells],
            "columns": self.columns,
        }


def grid_of(scored: Sequence[tuple[int, float, float]]) -> Grid:
    """The grid of (length, depth, score from 0 to 1)."""
    by_cell: dict[tuple[int, float], list[float]] = {}
    for length, depth, score in scored:
        by_cell.setdefault((length, depth), []).append(100 * score)
    lengths = tuple(sorted({length for length, _ in by_cell}))
    depths = tuple(sorted({depth for _, depth in by_cell}))
    cells = tuple(
        tuple(mean(by_cell[length, depth]) if (length, depth) in by_cell else None for length in lengths)
        for depth in depths
    )
    return Grid(lengths, depths, cells)


def single_grid(rows: Sequence[Prediction], version: int) -> Grid:
    """The grid of the single task: version 1 gives a wrong answer up to a fifth, version 2 nothing."""
    if version == 1:
        return _grid(rows, lambda row: needle(row.pred, _fact(row, "needle"), row.answers[0]))
    return _grid(rows, lambda row: needle_v2(row.pred, row.answers[0]))


def parallel_grid(rows: Sequence[Prediction]) -> Grid:
    """The grid of the parallel task: at each depth the share of its needles that were named."""
    scored = [
        (_fact(row, "length_tokens"), depth, float(answer in row.pred))
        for row in rows
        for depth, answer in zip(_fact(row, "depths"), row.answers, strict=True)
    ]
    return grid_of(scored)


def reasoning_grid(rows: Sequence[Prediction]) -> Grid:
    """The grid of a task with several needles: the share of the answer's words."""
    return _grid(rows, lambda row: needle_reasoning(row.pred, row.answers[0]))


def ancestry_by_links(rows: Sequence[Prediction]) -> dict[int, float]:
    """By number of links the share of chains whose boxed name is right, in percent."""
    found: dict[int, list[float]] = {}
    for row in rows:
        found.setdefault(_fact(row, "links"), []).append(100.0 * (boxed(row.pred) == row.answers[0]))
    return {links: mean(found[links]) for links in sorted(found)}


def weighted_by_links(by_links: Mapping[int, float]) -> float:
    """NeedleBench's average of the Ancestral Trace: each number of links weighs as much as it is."""
    return sum(links * score for links, score in by_links.items()) / sum(by_links)


def score_needle(
    predictions: Mapping[str, Sequence[Prediction]], tasks: Sequence[str], options: ScoreOptions
) -> SuiteScore:
    """Scores of the tasks that have predictions, with their grids."""
    del options
    scores: dict[str, float] = {}
    details: dict[str, Any] = {}
    for task in (task for task in tasks if task in predictions):
        rows = predictions[task]
        kind = kind_of(task)
        if kind == "ancestry":
            by_links = ancestry_by_links(rows)
            scores[task] = mean(list(by_links.values()))
            details[task] = {"links": by_links, "weighted": weighted_by_links(by_links)}
            continue
        grids = {"single": lambda rows: single_grid(rows, 1), "parallel": parallel_grid, "reasoning": reasoning_grid}
        grid = grids[kind](rows)
        scores[task], details[task] = grid.score, {"grid": grid.as_json()}
        if kind == "single":
            details[task]["v2"] = single_grid(rows, 2).score
    kinds = {kind: [scores[t] for t in scores if kind_of(t) == kind] for kind in (*_WEIGHTS, "ancestry")}
    groups = {kind: mean(values) for kind, values in kinds.items() if values}
    averages = {}
    if second := [details[task]["v2"] for task in scores if kind_of(task) == "single"]:
        averages["single, v2"] = mean(second)
    if weighted := [details[task]["weighted"] for task in scores if kind_of(task) == "ancestry"]:
        averages["ancestry, by links"] = mean(weighted)
    if all(kind in groups for kind in _WEIGHTS):
        averages["overall, v1"] = sum(weight * groups[kind] for kind, weight in _WEIGHTS.items())
    return SuiteScore(
        suite="needle",
        convention="NeedleBench v1: a wrong answer to a single needle keeps up to 20; lengths in the model's tokens",
        tasks=scores,
        predictions={task: len(rows) for task, rows in predictions.items()},
        cut=cut_counts(predictions),
        groups=groups,
        averages=averages,
        missing=tuple(task for task in tasks if task not in scores),
        details=details,
    )


def kind_of(task: str) -> str:
    """``single``, ``parallel``, ``reasoning`` or ``ancestry``."""
    return task.split("_")[1]


def _grid(rows: Sequence[Prediction], metric: Callable[[Prediction], float]) -> Grid:
    return grid_of([(_fact(row, "length_tokens"), _fact(row, "depth"), metric(row)) for row in rows])


def _fact(row: Prediction, key: str) -> Any:
    if key not in row.facts:
        raise Failure(f"prediction {row.id} lacks {key!r}, which its score needs")
    return row.facts[key]
