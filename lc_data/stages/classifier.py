"""Classifiers trained in the filter stage, from files of their own or from domains of the run.

Two phases before the rules. Every shard and every range of the example files gives those of its documents that a hash
of their ids ranks first; one task for each classifier then takes the first of all and trains. However the corpus is cut
into shards, the same documents are chosen and the same file is published.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter

from lc_data.corpus import storage
from lc_data.corpus.fingerprint import child_seed, file_checksum, fingerprint, stable_order_keys
from lc_data.corpus.readers.kinds import ReadPlan, identify_inputs, list_inputs, plan_source, read_input
from lc_data.corpus.readers.record import Document
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import WrittenTable, read_batches, read_table, write_table
from lc_data.engine.stage import StageContext
from lc_data.engine.task import Task, TaskRecord
from lc_data.failure import Failure
from lc_data.quality.classifier import Scorer, check_label, each_line, load_classifier, open_classifier
from lc_data.quality.classifier_training import TrainedClassifier, measure_auc, train_classifier
from lc_data.recipe.classification import ClassifierExamples, ClassifierRule, ClassifierTraining
from lc_data.recipe.filtering import FilterSection
from lc_data.recipe.sources import Source

SIDES = ("positive", "negative")
_WINDOWS = 4
"""Windows of an example that are learned from: a book must not outweigh a hundred pages."""
_HELD_OUT = 10
_LEAST = 20
_EXAMPLES = pa.schema([("rank", pa.uint64()), ("id", pa.string()), ("lines", pa.list_(pa.large_string()))])


@dataclass(frozen=True)
class Gathering:
    """The payload of the first phase: where examples of one side are, a shard or a plan of files."""

    origin: str | ReadPlan
    domains: tuple[str, ...]
    """Of a shard."""
    seed: int
    max_documents: int
    window_bytes: int


@dataclass(frozen=True)
class Training:
    """The payload of the second phase: how to train, and the files of each side's examples."""

    training: ClassifierTraining
    seed: int
    examples: dict[str, list[str]]


@dataclass(frozen=True)
class ModelFile:
    """A published model. The fingerprint is of the stage: the next recipe's model lies at the same place."""

    uri: str
    fingerprint: str


@dataclass(frozen=True)
class TrainedClassifiers:
    """What training gives to the stage: the models by rule, and the records of their tasks."""

    models: dict[str, ModelFile]
    records: list[TaskRecord]
    facts: dict[str, Any]


def trained_rules(section: FilterSection) -> dict[str, tuple[ClassifierRule, ClassifierTraining]]:
    """The classifiers of a recipe that are to be trained, by the names of their rules."""
    rules = [rule for rule in section.rules if isinstance(rule, ClassifierRule)]
    return {rule.name or rule.rule: (rule, rule.train) for rule in rules if rule.train is not None}


def without_trained(section: FilterSection) -> FilterSection:
    """The rules that can be opened before anything was trained."""
    rules = tuple(rule for rule in section.rules if not isinstance(rule, ClassifierRule) or rule.train is None)
    return section.model_copy(update={"rules": rules})


def check_classifiers(section: FilterSection) -> None:
    """Raises ``RecipeError`` where a model lacks its label or example paths lead to nothing."""
    for rule in section.rules:
        if isinstance(rule, ClassifierRule) and rule.model is not None:
            check_label(rule, open_classifier(rule.model))
    for name, side, examples in _example_files(section):
        list_inputs(_source(name, side, examples))


def classifier_judges(section: FilterSection) -> dict[str, str]:
    """What the output depends on besides recipe and corpus: the bytes of models, the files of examples."""
    models = {rule.model for rule in section.rules if isinstance(rule, ClassifierRule) and rule.model is not None}
    for model in models:
        open_classifier(model)
    judges = {model: file_checksum(model) for model in sorted(models)}
    for name, side, examples in _example_files(section):
        judges[f"{name}/{side}"] = fingerprint(identify_inputs(_source(name, side, examples)))
    return judges


def train_classifiers(context: StageContext) -> TrainedClassifiers:
    """Gather examples, train, publish; nothing where the recipe trains nothing."""
    trained = trained_rules(context.recipe.filter)
    if not trained:
        return TrainedClassifiers({}, [], {})
    gatherings = {
        (name, side): _gatherings(context, rule, side, training)
        for name, (rule, training) in trained.items()
        for side in SIDES
    }
    context.map("examples", gather_examples, [task for tasks in gatherings.values() for task in tasks])
    tasks = []
    for name, (rule, training) in trained.items():
        examples = {side: [task.key for task in gatherings[name, side]] for side in SIDES}
        tasks.append(Task(name, Training(training, _seed(context, rule), examples)))
    records = context.map("classifier", train_task, tasks)
    models = {name: ModelFile(context.folder.file(_file(name)), context.fingerprint) for name in trained}
    return TrainedClassifiers(
        models, records, {name: record.facts for name, record in zip(trained, records, strict=True)}
    )


def gather_examples(task: Task, folder: StageFolder) -> TaskRecord:
    """Leave the documents of one origin that rank first, as lines to learn from."""
    payload: Gathering = task.payload
    first: list[tuple[int, str, list[str]]] = []
    for document_id, text in (
        _read_plan(payload.origin) if isinstance(payload.origin, ReadPlan) else _read_shard(payload)
    ):
        place = (stable_order_keys([document_id], payload.seed)[0], document_id)
        if len(first) == payload.max_documents and place >= first[-1][:2]:
            continue
        if lines := list(each_line(text, _WINDOWS, payload.window_bytes)):
            insort(first, (*place, lines))
            del first[payload.max_documents :]
    rows = [dict(zip(_EXAMPLES.names, row, strict=True)) for row in first]
    write_table(folder.work_uri, f"examples/{task.key}.arrow", pa.Table.from_pylist(rows, _EXAMPLES))
    return TaskRecord()


def train_task(task: Task, folder: StageFolder) -> TaskRecord:
    """Train one classifier on nine tenths of its examples and measure it on the rest."""
    payload: Training = task.payload
    training = payload.training
    sides = {
        side: _first(folder, payload.examples[side], training.max_documents, f"{task.key}: {side}") for side in SIDES
    }
    lines, positive = [], []
    for side, documents in sides.items():
        for number, document in enumerate(documents):
            if number % _HELD_OUT:
                lines += document
                positive += [side == "positive"] * len(document)
    model = train_classifier(lines, positive, training.word_ngrams, training.epochs, payload.seed)
    file = _file(task.key)
    storage.write_atomic(folder.file(file), model.to_bytes())
    facts = {
        "documents": {side: len(documents) for side, documents in sides.items()},
        "windows": len(lines),
        "words": len(model.vocabulary.words),
        "held_out": _measure(model, sides),
    }
    return TaskRecord(extra=[WrittenTable(folder.uri, file).entry(0, 0)], facts=facts)


def open_models(models: Mapping[str, ModelFile]) -> dict[str, Scorer]:
    """Published models, loaded once a process."""
    return {name: _open_model(file) for name, file in models.items()}


@lru_cache(maxsize=4)
def _open_model(file: ModelFile) -> Scorer:
    if storage.is_local(file.uri):
        return load_classifier(str(storage.local_path(file.uri)))
    with TemporaryDirectory() as folder:  # fastText reads files of a disk alone
        path = Path(folder, "model.bin")
        path.write_bytes(storage.read_bytes(file.uri))
        return load_classifier(str(path))


def _file(name: str) -> str:
    return f"classifiers/{name}.bin"


def _seed(context: StageContext, rule: ClassifierRule) -> int:
    return child_seed(context.recipe.seed, "classifier", rule.name or rule.rule, rule.seed)


def _gatherings(context: StageContext, rule: ClassifierRule, side: str, training: ClassifierTraining) -> list[Task]:
    name, seed = rule.name or rule.rule, _seed(context, rule)
    examples: ClassifierExamples = getattr(training, side)
    origins: list[tuple[str | ReadPlan, int]]
    if examples.domains:
        ingest = context.run.stage("ingest")
        origins = [(ingest.file(entry.file), entry.text_bytes) for entry in context.upstream("ingest").shards]
    else:
        source = _source(name, side, examples)
        plans = plan_source(source, list_inputs(source), context.recipe.ingest)
        origins = [(plan, plan.weight_bytes) for plan in plans]
    return [
        Task(
            f"{name}-{side}-{number:05d}",
            Gathering(origin, examples.domains, seed, training.max_documents, rule.window_bytes),
            max(weight, 1),
        )
        for number, (origin, weight) in enumerate(origins)
    ]


def _source(name: str, side: str, examples: ClassifierExamples) -> Source:
    fields = {"kind": examples.kind, "name": f"{name}-{side}", "domain": side, "paths": examples.paths}
    source: Source = TypeAdapter(Source).validate_python(fields)
    return source


def _example_files(section: FilterSection) -> Iterator[tuple[str, str, ClassifierExamples]]:
    for name, (_, training) in trained_rules(section).items():
        for side in SIDES:
            examples: ClassifierExamples = getattr(training, side)
            if examples.paths:
                yield name, side, examples


def _read_shard(payload: Gathering) -> Iterator[tuple[str, Any]]:
    domains = pa.array(payload.domains, pa.string())
    for batch in read_batches(str(payload.origin)):
        chosen = batch.filter(pc.is_in(batch.column("domain"), value_set=domains))
        for document_id, text in zip(chosen.column("id").to_pylist(), chosen.column("text"), strict=True):
            yield document_id, np.frombuffer(text.as_buffer(), np.uint8)


def _read_plan(plan: ReadPlan) -> Iterator[tuple[str, Any]]:
    for part in plan.inputs:
        for record in read_input(part, plan.source, plan.limits.max_record_bytes):
            if isinstance(record, Document):
                yield record.labels.id, np.frombuffer(record.text, np.uint8)


def _first(folder: StageFolder, keys: list[str], count: int, what: str) -> list[list[str]]:
    """The examples of all files that rank first; raises :class:`Failure` when there are too few."""
    tables = [read_table(f"{folder.work_uri}/examples/{key}.arrow") for key in keys]
    every = pa.concat_tables(tables).sort_by([("rank", "ascending"), ("id", "ascending")]).slice(0, count)
    if every.num_rows < _LEAST:
        raise Failure(
            f"classifier {what} has {every.num_rows} documents with words in them; at least {_LEAST} are needed to "
            "train and measure"
        )
    lines: list[list[str]] = every["lines"].to_pylist()
    return lines


def _measure(model: TrainedClassifier, sides: dict[str, list[list[str]]]) -> dict[str, float]:
    """Accuracy at one half and AUC over the documents that were held out, each by the mean of its windows."""
    scores, positive = [], []
    for side in SIDES:
        for document in sides[side][::_HELD_OUT]:
            scores.append(model.score(document).mean())
            positive.append(side == "positive")
    found, wanted = np.array(scores), np.array(positive)
    return {
        "documents": len(scores),
        "accuracy": round(float(((found > 0.5) == wanted).mean()), 4),
        "auc": round(measure_auc(found, wanted), 4),
    }
