"""Whether the tasks of suites have room at their lengths, found out before any of them is asked.

A generated prompt grows to its length, but not below its question, its needles or its word list; which of the draws
needs most is not known before all are drawn, so all are. Without this a list of words that does not fit 1,000 tokens
would be noticed after hours of other tasks. The shortest prompt of every item is encoded, a second or two for a
thousand of them; their texts are not fitted yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from lc_data.evaluation.suite import Source, Suite
from lc_data.recipe.errors import RecipeError

_LEAST_PROMPT = 2
"""Tokens: one for each half of a prompt that is cut in its middle."""


def check_room(suites: Sequence[Suite], source: Source) -> None:
    """Raise ``RecipeError`` where an item of any task has no room for its shortest prompt and its answer.

    The message names every such task and length, and the tokens that are needed.
    """
    faults: list[str] = []
    for suite in suites:
        for task in suite.present(source):
            for length, needed in _too_short(suite, task, source).items():
                faults.append(f"{task} needs {needed:,} tokens for its prompt and answer, and has {length:,}")
    if faults:
        raise RecipeError(
            "there is no room for these tasks: ask for greater lengths (needle.lengths, ruler.lengths, max_seq_len), "
            "or leave the tasks out (needle.kinds, ruler.tasks):\n  " + "\n  ".join(faults)
        )


def _too_short(suite: Suite, task: str, source: Source) -> dict[int, int]:
    """By length that is too short, the tokens that the largest of the task's items needs."""
    found: dict[int, int] = {}
    for item in suite.items(task, source):
        if item.shortest is None:
            needed = _LEAST_PROMPT + item.max_new_tokens
            # Prompts from files are cut, and their answers have one length for a task.
            return {source.max_seq_len: needed} if needed > source.max_seq_len else {}
        length = item.facts["length_tokens"]
        needed = source.length_of(item.shortest()) + item.max_new_tokens
        if needed > length:
            found[length] = max(needed, found.get(length, 0))
    return found
