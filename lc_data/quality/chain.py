"""The rules of a recipe, applied in order to a batch of documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.quality.classifier import Classifier, Scorer, open_classifier
from lc_data.quality.columns import replace_values
from lc_data.quality.compression import Coherence
from lc_data.quality.counts import Bounds, FineWeb
from lc_data.quality.datatrove_blocks import open_block
from lc_data.quality.gopher_quality import GopherQuality
from lc_data.quality.gopher_repetition import GopherRepetition
from lc_data.quality.judgement import Judgement, Rule
from lc_data.quality.language import Language, open_identifier
from lc_data.quality.length import Length
from lc_data.quality.windows import Windowed
from lc_data.recipe.classification import ClassifierRule
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.filtering import (
    BoundsRule,
    CoherenceRule,
    DatatroveRule,
    FilterRule,
    FilterSection,
    FineWebRule,
    GopherQualityRule,
    GopherRepetitionRule,
    LanguageRule,
    LengthRule,
    WindowedRule,
)
from lc_data.recipe.rule_sets import resolve_rules


@dataclass(frozen=True)
class Rewrite:
    """What a named transform did to one document."""

    row: int
    transform: str
    added_bytes: int
    """Negative where it took away."""


@dataclass(frozen=True)
class FilterResult:
    """What filtering a batch gives."""

    documents: pa.RecordBatch
    """All documents of the batch, with the languages found and the texts rewritten."""
    kept: npt.NDArray[np.bool_]
    dropped: dict[int, tuple[str, str]]
    """For each row that is not kept: the reason (``rule/test``) and what was measured, as JSON."""
    rewrites: list[Rewrite] = field(default_factory=list)
    columns: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    """What each rule measured, as ``rule/measure``; NaN where it did not judge."""
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What rules wrote into the metadata of each row."""


class FilterChain:
    """The rules of a recipe, opened once and then applied to any number of batches."""

    def __init__(
        self,
        section: FilterSection,
        dialogue_domains: Sequence[str] = (),
        models: Mapping[str, Scorer] | None = None,
    ) -> None:
        """``models`` are the classifiers that were trained, by the names of their rules.

        Raises :class:`RecipeError` when a model, a block or an argument that a rule names cannot be had.
        """
        rules = resolve_rules(section)
        for rule in rules:
            _check_dialogues_stay_whole(rule, dialogue_domains)
        self._rules = [(rule, open_rule(rule, models or {})) for rule in rules]
        self._dialogue_domains = pa.array(dialogue_domains, pa.string())

    def apply(self, documents: pa.RecordBatch) -> FilterResult:
        """Judge documents; a document that one rule drops is not shown to the next."""
        kept = np.ones(documents.num_rows, bool)
        dropped: dict[int, tuple[str, str]] = {}
        columns: dict[str, npt.NDArray[np.float64]] = {}
        rewrites: list[Rewrite] = []
        notes: dict[int, dict[str, Any]] = {}
        for section, rule in self._rules:
            name = section.name or section.rule
            rows = np.flatnonzero(kept & self._applies(section, documents))
            if not len(rows):
                continue
            shown = documents if len(rows) == documents.num_rows else documents.take(pa.array(rows))
            judgement = rule.judge(shown)
            for index, failure in sorted(judgement.failures.items()):
                dropped[int(rows[index])] = (f"{name}/{failure.test}", failure.detail_json())
                kept[rows[index]] = False
            for measure, values in judgement.measures.items():
                columns[f"{name}/{measure}"] = _spread(values, rows, documents.num_rows)
            for index, note in judgement.notes.items():
                _add_note(notes.setdefault(int(rows[index]), {}), note)
            before, documents = documents, _update(documents, rows, judgement)
            if judgement.rewritten:
                changed = [int(rows[index]) for index in sorted(judgement.rewritten)]
                rewrites += _rewrites(before, documents, changed, _transform(section))
        return FilterResult(documents, kept, dropped, rewrites, columns, notes)

    def _applies(self, rule: FilterRule, documents: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        applies = in_domains(documents, rule.domains, self._dialogue_domains)
        if rule.languages is not None:
            spoken = pc.is_in(documents.column("language"), value_set=pa.array(rule.languages, pa.string()))
            applies = pc.and_(applies, spoken)
        return applies.to_numpy(zero_copy_only=False)


def in_domains(documents: pa.RecordBatch, domains: Sequence[str] | None, dialogue_domains: pa.Array) -> pa.Array:
    """Which documents are of these domains, or, for ``None``, of none that holds dialogues."""
    column = documents.column("domain")
    if domains is None:
        return pc.invert(pc.is_in(column, value_set=dialogue_domains))
    return pc.is_in(column, value_set=pa.array(domains, pa.string()))


def open_rule(rule: FilterRule, models: Mapping[str, Scorer]) -> Rule:
    """A rule of a recipe, ready to judge, over windows where it says so."""
    if isinstance(rule, ClassifierRule):
        return Classifier(rule, open_classifier(rule.model) if rule.model else models[rule.name or rule.rule])
    if isinstance(rule, WindowedRule) and rule.windows is not None:
        return Windowed(rule.name or rule.rule, _open(rule), rule.windows)
    return _open(rule)


def write_notes(documents: pa.RecordBatch, notes: dict[int, dict[str, Any]]) -> pa.RecordBatch:
    """The documents with notes in the metadata of some rows, under ``lc_data``, beside what is there already."""
    column = documents.column("metadata")
    written = {}
    for row, note in sorted(notes.items()):
        metadata = json.loads(column[row].as_py() or "{}")
        _add_note(metadata.setdefault("lc_data", {}), note)
        written[row] = json.dumps(metadata, ensure_ascii=False)
    return _replace(documents, "metadata", written) if written else documents


def _open(rule: FilterRule) -> Rule:
    return _JUDGES[type(rule)](rule)


_JUDGES: dict[type, Callable[[Any], Rule]] = {
    LengthRule: Length,
    LanguageRule: lambda rule: Language(rule, open_identifier(rule.model)),
    GopherQualityRule: GopherQuality,
    GopherRepetitionRule: GopherRepetition,
    FineWebRule: FineWeb,
    BoundsRule: Bounds,
    CoherenceRule: Coherence,
    DatatroveRule: open_block,
}


def _check_dialogues_stay_whole(rule: FilterRule, dialogue_domains: Sequence[str]) -> None:
    windows = rule.windows if isinstance(rule, WindowedRule) else None
    cut = sorted({*(rule.domains or ())} & {*dialogue_domains})
    if windows is not None and windows.on_fail == "trim" and cut:
        raise RecipeError(
            f"filter rule {rule.name or rule.rule!r} would trim the dialogues of {cut[0]!r}, which cuts turns apart; "
            "use `on_fail: drop` or `flag` there"
        )


def _transform(rule: FilterRule) -> str:
    """The name of what a rule does to texts."""
    if isinstance(rule, WindowedRule) and rule.windows is not None:
        return rule.windows.transform or f"{rule.name or rule.rule}-trim"
    return cast("str", cast("DatatroveRule", rule).transform)


def _add_note(notes: dict[str, Any], note: dict[str, Any]) -> None:
    for key, value in note.items():
        notes[key] = {**notes.get(key, {}), **value} if isinstance(value, dict) else value


def _spread(values: npt.NDArray[Any], rows: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.float64]:
    column = np.full(size, np.nan)
    column[rows] = values
    return column


def _rewrites(before: pa.RecordBatch, after: pa.RecordBatch, rows: list[int], transform: str) -> list[Rewrite]:
    sizes = [pc.binary_length(documents.column("text")).to_pylist() for documents in (before, after)]
    return [Rewrite(row, transform, sizes[1][row] - sizes[0][row]) for row in rows]


def _update(documents: pa.RecordBatch, rows: npt.NDArray[np.int64], judgement: Judgement) -> pa.RecordBatch:
    """The documents with what a rule found or rewrote."""
    if judgement.languages:
        found = {int(rows[index]): name for index, name in judgement.languages.items()}
        documents = _replace(documents, "language", found)
    if judgement.rewritten:
        texts = {int(rows[index]): text for index, (text, _) in judgement.rewritten.items()}
        parts = {int(rows[index]): parts for index, (_, parts) in judgement.rewritten.items()}
        documents = _replace(_replace(documents, "text", texts), "parts", parts)
    notes = {int(rows[index]): note for index, note in judgement.notes.items()}
    return write_notes(documents, notes)


def _replace(documents: pa.RecordBatch, name: str, values: dict[int, Any]) -> pa.RecordBatch:
    replaced = replace_values(documents.column(name), values)
    return documents.set_column(documents.schema.get_field_index(name), documents.schema.field(name), replaced)
