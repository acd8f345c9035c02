"""L-Eval as a suite: one item for each pair of instruction and output in the official ``<task>.jsonl`` files.

Templates come from ``leval_prompts.json`` (task to template with ``{context}``, ``{question}`` and ``{words}``) where
the user's folder holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lc_data.evaluation.data_files import find_files, read_rows, take
from lc_data.evaluation.leval.scoring import score_leval
from lc_data.evaluation.leval.tasks import BY_NAME, TASKS
from lc_data.evaluation.leval.wording import OWN_WORDING
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.suite import Item, ScoreOptions, Source, SuiteScore
from lc_data.evaluation.template import Wording, read_wording
from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError

_PROMPTS = "leval_prompts.json"
_FIELDS = frozenset({"context", "question", "words"})


@dataclass(frozen=True)
class LEval:
    """The 18 tasks."""

    name: str = "leval"
    tasks: tuple[str, ...] = tuple(task.name for task in TASKS)

    def present(self, source: Source) -> tuple[str, ...]:
        """The tasks whose file is in the folder."""
        files = self._files(source)
        found = tuple(task for task in self.tasks if f"{task}.jsonl" in files)
        if not found:
            raise RecipeError(f"{source.data} holds none of L-Eval's files, such as {self.tasks[0]}.jsonl")
        return found

    def wording(self, source: Source) -> Wording:
        """The templates that apply."""
        path = self._files(source).get(_PROMPTS)
        return read_wording(path, self.present(source), _FIELDS) if path else OWN_WORDING

    def identity(self, source: Source) -> dict[str, Any]:
        """Where the wording comes from."""
        return {"prompts": self.wording(source).origin}

    def items(self, task: str, source: Source) -> Iterator[Item]:
        """The pairs of a task's file as prompts."""
        return islice(self._pairs(task, source), source.limit)

    def score(self, predictions: Mapping[str, Sequence[Prediction]], options: ScoreOptions) -> SuiteScore:
        """See :mod:`lc_data.evaluation.leval.scoring`."""
        return score_leval(predictions, options)

    def _pairs(self, task: str, source: Source) -> Iterator[Item]:
        path, wording = self._files(source)[f"{task}.jsonl"], self.wording(source)
        for number, row in enumerate(read_rows(path)):
            context = take(row, "input", str, path)
            questions, outputs = take(row, "instructions", list, path), take(row, "outputs", list, path)
            if len(questions) != len(outputs):
                raise Failure(f"{path}: row {number} has {len(questions)} instructions and {len(outputs)} outputs")
            for place, (question, output) in enumerate(zip(questions, outputs, strict=True)):
                words = str(len(output.split()))
                yield Item(
                    id=f"{number}-{place}",
                    question=wording.fill(task, context=context, question=question, words=words),
                    answers=(output,),
                    max_new_tokens=BY_NAME[task].max_new_tokens,
                    length=len(context.split()),
                    facts={"evaluation": row.get("evaluation")},
                )

    def _files(self, source: Source) -> dict[str, Path]:
        if source.data is None:
            raise RecipeError("the suite leval reads its official jsonl files: name their folder with --data DIR")
        return find_files(source.data, (*(f"{task}.jsonl" for task in self.tasks), _PROMPTS))
