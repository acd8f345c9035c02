"""Suites as tasks of EleutherAI's lm-evaluation-harness: a YAML and a jsonl file each, scored by our metrics.

The prompts are finished: filled, in their chat format, and cut in their middle where they are too long, because the
harness cuts them on the left. A prompt that was cut is text again, so its length may differ by a few tokens when the
harness encodes it. The harness needs no network for such tasks; it does need this package, for ``process_results``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lc_data.corpus import storage
from lc_data.evaluation.checkpoint_tokens import CheckpointTokens
from lc_data.evaluation.prediction import Prediction
from lc_data.evaluation.suite import Item, ScoreOptions, Source, Suite
from lc_data.evaluation.suites import suite_of_task
from lc_data.evaluation.truncation import Truncation, fit, room_for_prompt

_SCORING = "lc_data_scoring"
_HEAD = '"""Scores of the tasks beside this file."""\n\n'
_IMPORT = 'from lc_data.evaluation.lm_eval import process_results\n\n__all__ = ["process_results"]\n'


def write_lm_eval(
    suites: Sequence[Suite], source: Source, tokens: CheckpointTokens, folder: Path, truncation: Truncation
) -> list[str]:
    """Write the tasks that are present to ``folder``; the names that ``lm_eval --tasks`` takes.

    ``lm_eval --include_path FOLDER --tasks NAME`` runs one. Scores are from 0 to 100 and under the default protocols.
    """
    names = []
    for suite in suites:
        for task in suite.present(source):
            rows = [_row(task, item, source, tokens, truncation) for item in suite.items(task, source)]
            if not rows:
                continue
            data = folder / f"{task}.jsonl"
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            storage.write_atomic(str(data), lines.encode())
            content = _task(task, data, rows[0]["until"], rows[0]["max_new_tokens"])
            storage.write_atomic(str(folder / f"lc_data_{task}.yaml"), content.encode())
            names.append(f"lc_data_{task}")
    storage.write_atomic(str(folder / f"{_SCORING}.py"), (_HEAD + _IMPORT).encode())
    return names


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """The score of one answer from 0 to 100, as the harness asks for it."""
    prediction = Prediction(
        doc["id"], results[0], tuple(doc["answers"]), tuple(doc["labels"]), doc["length"], json.loads(doc["facts"])
    )
    score = suite_of_task(doc["task"]).score({doc["task"]: [prediction]}, ScoreOptions())
    return {"score": score.tasks[doc["task"]]}


def _row(task: str, item: Item, source: Source, tokens: CheckpointTokens, truncation: Truncation) -> dict[str, Any]:
    prompt = source.in_chat(item.prompt, item.chat)
    ids = tokens.encode(prompt)
    cut = fit(ids, room_for_prompt(source.max_seq_len, item.max_new_tokens), truncation)
    return {
        "id": item.id,
        "task": task,
        "prompt": prompt if len(cut) == len(ids) else tokens.decode(cut),
        "answers": list(item.answers),
        "labels": list(item.labels),
        "length": item.length,
        "until": list(item.stop),
        "max_new_tokens": item.max_new_tokens,
        # As text: rows of one file must have columns of one type.
        "facts": json.dumps({**item.facts, "cut_tokens": len(ids) - len(cut)}, ensure_ascii=False),
    }


class _Function(str):
    """A name that YAML writes as ``!function``."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes :class:`_Function` with its tag."""


_Dumper.add_representer(_Function, lambda dumper, value: dumper.represent_scalar("!function", str(value)))


def _task(task: str, data: Path, until: list[str], max_new_tokens: int) -> str:
    content = {
        "task": f"lc_data_{task}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data.absolute())}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answers[0]}}",
        "target_delimiter": "",
        "generation_kwargs": {"until": until, "max_gen_toks": max_new_tokens, "do_sample": False},
        "process_results": _Function(f"{_SCORING}.process_results"),
        "metric_list": [{"metric": "score", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
