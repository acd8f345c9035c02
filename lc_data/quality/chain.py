"""The rules of a recipe, applied in order to a batch of documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lc_data.quality.datatrove_blocks import open_block
from lc_data.quality.gopher_quality import GopherQuality
from lc_data.quality.gopher_repetition import GopherRepetition
from lc_data.quality.judgement import Judgement, Rule
from lc_data.quality.language import Language, open_identifier
from lc_data.quality.length import Length
from lc_data.recipe.filtering import (
    DatatroveRule,
    FilterRule,
    FilterSection,
    GopherQualityRule,
    GopherRepetitionRule,
    LanguageRule,
    LengthRule,
)


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


class FilterChain:
    """The rules of a recipe, opened once and then applied to any number of batches."""

    def __init__(self, section: FilterSection, dialogue_domains: Sequence[str] = ()) -> None:
        """Raises :class:`RecipeError` when a model, a block or an argument that a rule names cannot be had."""
        self._rules = [(rule, open_rule(rule)) for rule in section.rules]
        self._dialogue_domains = pa.array(dialogue_domains, pa.string())

    def apply(self, documents: pa.RecordBatch) -> FilterResult:
        """Judge documents; a document that one rule drops is not shown to the next."""
        kept = np.ones(documents.num_rows, bool)
        dropped: dict[int, tuple[str, str]] = {}
        columns: dict[str, npt.NDArray[np.float64]] = {}
        rewrites: list[Rewrite] = []
        for section, rule in self._rules:
            name = section.name or section.rule
            rows = np.flatnonzero(kept & self._applies(section, documents))
            if not len(rows):
                continue
            shown = documents if len(rows) == documents.num_rows else documents.take(pa.array(rows))
            judgement = rule.judge(shown)
            for index, failure in sorted(judgement.failures.items()):
                detail = json.dumps(failure.detail(), ensure_ascii=False, sort_keys=True)
                dropped[int(rows[index])] = (f"{name}/{failure.test}", detail)
                kept[rows[index]] = False
            for measure, values in judgement.measures.items():
                columns[f"{name}/{measure}"] = _spread(values, rows, documents.num_rows)
            if judgement.rewritten and isinstance(section, DatatroveRule) and section.transform:
                rewrites += _rewrites(shown, rows, judgement, section.transform)
            documents = _update(documents, rows, judgement)
        return FilterResult(documents, kept, dropped, rewrites, columns)

    def _applies(self, rule: FilterRule, documents: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        domain = documents.column("domain")
        if rule.domains is None:
            applies = pc.invert(pc.is_in(domain, value_set=self._dialogue_domains))
        else:
            applies = pc.is_in(domain, value_set=pa.array(rule.domains, pa.string()))
        if rule.languages is not None:
            spoken = pc.is_in(documents.column("language"), value_set=pa.array(rule.languages, pa.string()))
            applies = pc.and_(applies, spoken)
        return applies.to_numpy(zero_copy_only=False)


def open_rule(rule: FilterRule) -> Rule:
    """A rule of a recipe, ready to judge."""
    if isinstance(rule, LengthRule):
        return Length(rule)
    if isinstance(rule, LanguageRule):
        return Language(rule, open_identifier(rule.model))
    if isinstance(rule, GopherQualityRule):
        return GopherQuality(rule)
    if isinstance(rule, GopherRepetitionRule):
        return GopherRepetition(rule)
    return open_block(rule)


def _spread(values: npt.NDArray[Any], rows: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.float64]:
    column = np.full(size, np.nan)
    column[rows] = values
    return column


def _rewrites(
    shown: pa.RecordBatch, rows: npt.NDArray[np.int64], judgement: Judgement, transform: str
) -> list[Rewrite]:
    before = pc.binary_length(shown.column("text"))
    return [
        Rewrite(int(rows[index]), transform, len(text.encode()) - before[index].as_py())
        for index, (text, _) in sorted(judgement.rewritten.items())
    ]


def _update(documents: pa.RecordBatch, rows: npt.NDArray[np.int64], judgement: Judgement) -> pa.RecordBatch:
    """The documents with what a rule found or rewrote."""
    if judgement.languages:
        found = {int(rows[index]): name for index, name in judgement.languages.items()}
        documents = _replace(documents, "language", found)
    if judgement.rewritten:
        texts = {int(rows[index]): text for index, (text, _) in judgement.rewritten.items()}
        parts = {int(rows[index]): parts for index, (_, parts) in judgement.rewritten.items()}
        documents = _replace(_replace(documents, "text", texts), "parts", parts)
    return documents


def _replace(documents: pa.RecordBatch, name: str, values: dict[int, Any]) -> pa.RecordBatch:
    column = documents.column(name)
    given = pa.array(list(values.values()), column.type)
    order = np.arange(len(column))
    order[list(values)] = len(column) + np.arange(len(values))
    replaced = pa.concat_arrays([column, given]).take(pa.array(order))
    return documents.set_column(documents.schema.get_field_index(name), documents.schema.field(name), replaced)
