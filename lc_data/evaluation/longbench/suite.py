"""LongBench as a suite: items from the official ``<task>.jsonl`` files.

Templates and lengths of answers come from ``dataset2prompt.json`` and ``dataset2maxlen.json`` where the user's folder
holds them. OpenCompass asks qasper with hotpotqa's template and for 32 tokens; the protocol of its name does too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lc_data.evaluation.data_files import find_files, read_json, read_rows, take
from lc_data.evaluation.longbench.scoring import score_longbench
from lc_data.evaluation.longbench.tasks import BY_NAME, TASKS
from lc_data.evaluation.longbench.wording import OWN_WORDING
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.suite import Item, ScoreOptions, Source, SuiteScore
from lc_data.evaluation.template import Wording, read_wording
from lc_data.recipe.errors import RecipeError

_PROMPTS, _LENGTHS = "dataset2prompt.json", "dataset2maxlen.json"
_FIELDS = frozenset({"context", "input"})
_OPENCOMPASS_TEMPLATES = {"qasper": "hotpotqa"}
_OPENCOMPASS_LENGTHS = {"qasper": 32}


@dataclass(frozen=True)
class LongBench:
    """The 21 tasks."""

    name: str = "longbench"
    tasks: tuple[str, ...] = tuple(task.name for task in TASKS)

    def present(self, source: Source) -> tuple[str, ...]:
        """The tasks whose file is in the folder."""
        files = self._files(source)
        found = tuple(task for task in self.tasks if f"{task}.jsonl" in files)
        if not found:
            raise RecipeError(f"{source.data} holds none of LongBench's files, such as {self.tasks[0]}.jsonl")
        return found

    def wording(self, source: Source) -> Wording:
        """The templates that apply."""
        path = self._files(source).get(_PROMPTS)
        if path is None:
            return OWN_WORDING
        asked = dict.fromkeys(_template(task, source) for task in self.present(source))
        return read_wording(path, tuple(asked), _FIELDS)

    def identity(self, source: Source) -> dict[str, Any]:
        """Where the wording comes from, and whose rules are not LongBench's own."""
        own = {"prompts": self.wording(source).origin}
        return own if source.longbench_protocol == "official" else {**own, "protocol": source.longbench_protocol}

    def items(self, task: str, source: Source) -> Iterator[Item]:
        """The rows of a task's file as prompts."""
        files, wording, rules = self._files(source), self.wording(source), BY_NAME[task]
        lengths = read_json(files[_LENGTHS]) if _LENGTHS in files else {}
        max_new_tokens = int(lengths.get(task, rules.max_new_tokens))
        if source.longbench_protocol == "opencompass":
            max_new_tokens = _OPENCOMPASS_LENGTHS.get(task, max_new_tokens)
        path = files[f"{task}.jsonl"]
        for number, row in enumerate(islice(read_rows(path), source.limit)):
            answers, context = take(row, "answers", list, path), take(row, "context", str, path)
            yield Item(
                id=str(row.get("_id", number)),
                question=wording.fill(_template(task, source), context=context, input=take(row, "input", str, path)),
                answers=tuple(answers),
                max_new_tokens=max_new_tokens,
                stop=("\n",) if task == "samsum" else (),
                labels=tuple(row.get("all_classes") or ()),
                length=row.get("length"),
                chat=rules.chat,
            )

    def score(self, predictions: Mapping[str, Sequence[Prediction]], options: ScoreOptions) -> SuiteScore:
        """See :mod:`lc_data.evaluation.longbench.scoring`."""
        return score_longbench(predictions, options)

    def _files(self, source: Source) -> dict[str, Path]:
        if source.data is None:
            raise RecipeError("the suite longbench reads its official jsonl files: name their folder with --data DIR")
        return find_files(source.data, (*(f"{task}.jsonl" for task in self.tasks), _PROMPTS, _LENGTHS))


def _template(task: str, source: Source) -> str:
    """The task whose template is used."""
    return _OPENCOMPASS_TEMPLATES.get(task, task) if source.longbench_protocol == "opencompass" else task
