"""Gopher's quality and repetition rules: our kernels against datatrove's filters, by speed and by decision.

datatrove splits words with spaCy by default. Half of its cost is that, so it is measured twice: as it comes, and with
our words in spaCy's place, where its decisions must be ours as well.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.bench.peers import require_peers
from lc_data.bench.result import BenchResult, BenchRow, Work, compare_rates
from lc_data.bench.text import batch_of, cut_documents, size_of, spoil
from lc_data.quality.chain import FilterChain
from lc_data.recipe.filtering import ENGLISH_STOP_WORDS, FilterSection

OURS = ({"rule": "gopher_quality", "stop_words": ENGLISH_STOP_WORDS}, {"rule": "gopher_repetition"})
SAME_WORDS = (
    {"rule": "datatrove", "name": "quality", "block": "GopherQualityFilter", "args": {"max_doc_words": None}},
    {"rule": "datatrove", "name": "repetition", "block": "GopherRepetitionFilter"},
)


@dataclass(frozen=True)
class FilterSizes:
    """How much is measured; documents by (characters, number of ours, number of the peer's)."""

    documents: tuple[tuple[int, int, int], ...] = ((2_000, 1_600, 400), (400_000, 8, 8))
    decisions: int = 5_000
    rounds: int = 3


def bench_filter(sizes: FilterSizes | None = None) -> BenchResult:
    """Rates at each document size, and the share of equal decisions on documents of which half are spoiled."""
    require_peers("filter", "datatrove", "spacy")
    sizes = sizes or FilterSizes()
    rows = []
    for size, count, peer_count in sizes.documents:
        texts = cut_documents(size, count, seed=1)
        sample = texts[:peer_count]
        what = f"quality and repetition, {size // 1000} KB documents"
        ours = Work(partial(keep, OURS, batch_of(texts)), size_of(texts))
        default = Work(partial(keep_with_datatrove, sample), size_of(sample))
        rows.append(compare_rates(what, "datatrove", ours, default, sizes.rounds))
        same = Work(partial(keep, SAME_WORDS, batch_of(sample)), size_of(sample))
        rows.append(compare_rates(what, "datatrove on our words", ours, same, sizes.rounds))
    rows.append(compare_decisions(sizes.decisions))
    return BenchResult("filter", rows)


def compare_decisions(count: int) -> BenchRow:
    """The share of documents, half of them spoiled, that both keep or both drop, given the same words."""
    documents = batch_of(mixed_documents(count))
    equal = np.mean(keep(OURS, documents) == keep(SAME_WORDS, documents))
    return BenchRow("equal decisions", f"share of {count:,}", float(equal), "datatrove on our words", 1.0, float(equal))


def mixed_documents(count: int) -> list[str]:
    """Documents of 2,000 characters, every other one spoiled."""
    rng = random.Random(2)
    plain = cut_documents(2_000, -(-count // 2), seed=2)
    return [text for document in plain for text in (document, spoil(document, rng))][:count]


def keep(rules: tuple[dict[str, Any], ...], documents: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Which documents the rules keep."""
    return FilterChain(FilterSection.model_validate({"rules": rules})).apply(documents).kept


def keep_with_datatrove(texts: list[str]) -> list[bool]:
    """The two filters of datatrove with all defaults, but for the bound that drops long documents unread."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter

    filters = (GopherQualityFilter(max_doc_words=None), GopherRepetitionFilter())
    documents = (Document(text=text, id="") for text in texts)
    return [all(each.filter(document) is True for each in filters) for document in documents]
