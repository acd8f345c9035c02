"""Prompt templates: the user's own files, or our wording where there are none.

The wording of a benchmark moves its scores, so what was used is part of the result: the hash of the user's file, or
``own``. None of the benchmarks' templates is shipped here.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lc_data.corpus.fingerprint import file_checksum
from lc_data.evaluation.data_files import read_json
from lc_data.recipe.errors import RecipeError

OWN = "own"


@dataclass(frozen=True)
class Wording:
    """Templates by task, and where they come from."""

    templates: Mapping[str, str]
    origin: str
    """``own``, or the name of the user's file with its checksum."""

    def fill(self, task: str, **values: str) -> str:
        """The prompt of a task with these values in their places."""
        return self.templates[task].format(**values)


def read_wording(path: Path, tasks: tuple[str, ...], fields: frozenset[str]) -> Wording:
    """Templates from a JSON object of task to template.

    Raises:
        RecipeError: where a task has none, or a template names a field that its rows do not have.

    """
    content = read_json(path)
    for task in tasks:
        template = content.get(task)
        if not isinstance(template, str):
            raise RecipeError(f"{path} has no template for {task}")
        try:
            named = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        except ValueError as error:
            raise RecipeError(f"{path}: the template of {task} is not one: {error}") from error
        if unknown := sorted(named - fields):
            raise RecipeError(f"{path}: the template of {task} names {unknown[0]!r}; known are {sorted(fields)}")
    return Wording(content, f"{path.name} {file_checksum(str(path))}")
