"""Needles as a suite: a file of predictions for each kind and language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from lc_data.corpus.fingerprint import fingerprint
from lc_data.evaluation.haystack import LANGUAGES, Language
from lc_data.evaluation.needle.grid import grid_lengths
from lc_data.evaluation.needle.items import ancestry_items, parallel_items, reasoning_items, single_items
from lc_data.evaluation.needle.scoring import kind_of, score_needle
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.suite import Item, ScoreOptions, Source, SuiteScore
from lc_data.recipe.errors import RecipeError

_MOST_NEEDLES = 20
_ITEMS = {
    "single": single_items,
    "parallel": parallel_items,
    "reasoning": reasoning_items,
    "ancestry": ancestry_items,
}
_DEFAULT_NEEDLES = (2, 3, 4, 5)


def _names(needles: Sequence[int]) -> tuple[str, ...]:
    reasoning = tuple(f"reasoning_{count}" for count in needles)
    return tuple(
        f"needle_{kind}_{language}" for kind in ("single", "parallel", *reasoning, "ancestry") for language in LANGUAGES
    )


@dataclass(frozen=True)
class Needle:
    """Single, parallel and several needles, and the Ancestral Trace, in English and Chinese."""

    name: str = "needle"
    tasks: tuple[str, ...] = _names(range(2, _MOST_NEEDLES + 1))

    def present(self, source: Source) -> tuple[str, ...]:
        """The tasks of the kinds asked for, in the languages of the haystacks; chains of relations need none."""
        grid_lengths(source)
        found = tuple(
            task
            for task in _names(source.needle.needles)
            if kind_of(task) in source.needle.kinds
            and (kind_of(task) == "ancestry" or source.haystacks.get(language_of_task(task)))
        )
        if not found or (not source.haystacks and set(source.needle.kinds) != {"ancestry"}):
            raise RecipeError(
                "the suite needle hides sentences in texts: name some with --haystack, or a run with --run"
            )
        return found

    def identity(self, source: Source) -> dict[str, Any]:
        """The grid and what it is drawn from; more repeats and kinds only add to the answers."""
        return {
            "needle": source.needle.model_dump(mode="json", exclude={"kinds", "repeats", "needles", "links"}),
            "seed": source.seed,
            "haystacks": {language: fingerprint(list(texts)) for language, texts in source.haystacks.items()},
        }

    def items(self, task: str, source: Source) -> Iterator[Item]:
        """See :mod:`lc_data.evaluation.needle.items`."""
        return islice(_ITEMS[kind_of(task)](task, language_of_task(task), source), source.limit)

    def score(self, predictions: Mapping[str, Sequence[Prediction]], options: ScoreOptions) -> SuiteScore:
        """See :mod:`lc_data.evaluation.needle.scoring`."""
        others = sorted(task for task in predictions if task not in _names(_DEFAULT_NEEDLES))
        return score_needle(predictions, (*_names(_DEFAULT_NEEDLES), *others), options)


def language_of_task(task: str) -> Language:
    """The language at the end of a task's name."""
    return cast("Language", task.rsplit("_", maxsplit=1)[1])
