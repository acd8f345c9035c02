"""RULER as a suite: a file of predictions for each task, over all lengths."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from lc_data.corpus.fingerprint import child_seed, fingerprint
from lc_data.evaluation.averages import mean
from lc_data.evaluation.haystack import Haystack, build_haystack, fill
from lc_data.evaluation.metrics.found import match_all
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.ruler.counting import common_words, frequent_words
from lc_data.evaluation.ruler.retrieval import Riddle, hide_values, noise_haystack
from lc_data.evaluation.ruler.tasks import BY_NAME, MAX_NEW_TOKENS, NAMES
from lc_data.evaluation.ruler.tracing import hide_chain
from lc_data.evaluation.suite import Item, ScoreOptions, Source, SuiteScore, cut_counts
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError, nearest

_SHORTEST = 4096


@dataclass(frozen=True)
class Ruler:
    """The eleven generated tasks; the two that ask about other data sets' paragraphs are left out."""

    name: str = "ruler"
    tasks: tuple[str, ...] = NAMES

    def present(self, source: Source) -> tuple[str, ...]:
        """The tasks asked for; without texts those that need none."""
        ruler_lengths(source)
        asked = NAMES if source.ruler.tasks is None else source.ruler.tasks
        for task in asked:
            if task not in NAMES:
                raise RecipeError(f"ruler.tasks: there is no task {task!r}{nearest(task, NAMES)}")
        found = tuple(task for task in NAMES if task in asked and (_texts(source) or not _hides_in_text(task)))
        if not found:
            raise RecipeError(f"ruler.tasks {list(asked)} hide needles in texts: name some with --haystack")
        return found

    def identity(self, source: Source) -> dict[str, Any]:
        """Lengths, samples and texts."""
        return {
            "ruler": source.ruler.model_dump(mode="json", exclude={"tasks", "samples"}),
            "seed": source.seed,
            "haystacks": fingerprint(list(_texts(source))),
        }

    def items(self, task: str, source: Source) -> Iterator[Item]:
        """The items of a task: every sample at every length."""
        return islice(self._items(task, source), source.limit)

    def score(self, predictions: Mapping[str, Sequence[Prediction]], options: ScoreOptions) -> SuiteScore:
        """The mean share of the answers that were found, by task and length; a task's score is over its lengths."""
        by_length = {task: _by_length(predictions[task]) for task in NAMES if task in predictions}
        scores = {task: mean(list(found.values())) for task, found in by_length.items()}
        missing = tuple(task for task in NAMES if task not in scores)
        zeros = [0.0] * len(missing) if options.missing_as_zero else []
        return SuiteScore(
            suite="ruler",
            convention="RULER's share of answers found, any case; without its two tasks of questions"
            + ("; a missing task counts as 0" if options.missing_as_zero else ""),
            tasks=scores,
            predictions={task: len(rows) for task, rows in predictions.items()},
            cut=cut_counts(predictions),
            groups={},
            averages={"tasks": mean([*scores.values(), *zeros])},
            missing=missing,
            details={task: {"lengths": found} for task, found in by_length.items()},
        )

    def _items(self, task: str, source: Source) -> Iterator[Item]:
        lengths, answer = ruler_lengths(source), MAX_NEW_TOKENS[task]
        haystack = _haystack(task, source, lengths[-1])
        for sample in range(source.ruler.samples):
            for length in lengths:
                draw = random.Random(child_seed(source.seed, "ruler", task, sample, length))
                riddle = _riddle(task, haystack, draw, length)
                yield Item(
                    id=f"{sample}-{length}",
                    question=partial(_prompt, riddle, source, length - answer),
                    shortest=partial(riddle.build, 0, ""),
                    answers=riddle.answers,
                    max_new_tokens=answer,
                    facts={"length_tokens": length},
                )


def _prompt(riddle: Riddle, source: Source, budget: int) -> str:
    guess = int((budget - source.length_of(riddle.build(0, ""))) / riddle.grain)
    return fill(riddle.build, source.length_of, budget, guess)


def ruler_lengths(source: Source) -> tuple[int, ...]:
    """The lengths asked for, ascending; raises ``RecipeError`` for one that the model is not given."""
    asked = source.ruler.lengths
    if asked is None:
        found = []
        length = min(_SHORTEST, source.max_seq_len)
        while length <= source.max_seq_len:
            found.append(length)
            length *= 2
        return tuple(found)
    if (longest := max(asked)) > source.max_seq_len:
        raise RecipeError(f"ruler.lengths asks for {longest} tokens, and max_seq_len is {source.max_seq_len}")
    return tuple(sorted(set(asked)))


def _riddle(task: str, haystack: Haystack | None, draw: random.Random, length: int) -> Riddle:
    if task in BY_NAME:
        return hide_values(BY_NAME[task], haystack, draw)
    if task == "vt" and haystack is not None:
        return hide_chain(haystack, draw)
    return common_words(draw, length) if task == "cwe" else frequent_words(draw)


def _haystack(task: str, source: Source, longest: int) -> Haystack | None:
    if task == "vt":
        return noise_haystack(source.tokens, longest)
    if not _hides_in_text(task):
        return None
    return build_haystack(_texts(source), source.tokens, longest, child_seed(source.seed, "ruler", task))


def _hides_in_text(task: str) -> bool:
    return task in BY_NAME and BY_NAME[task].hay == "text"


def _texts(source: Source) -> tuple[str, ...]:
    """The English texts, as RULER has them; the others where there are none."""
    return source.haystacks.get("en") or source.haystacks.get("zh") or ()


def _by_length(rows: Sequence[Prediction]) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for row in rows:
        if "length_tokens" not in row.facts:
            raise Failure(f"prediction {row.id} lacks 'length_tokens', which its score needs")
        found.setdefault(row.facts["length_tokens"], []).append(100 * match_all(row.pred, row.answers))
    return {length: mean(found[length]) for length in sorted(found)}
