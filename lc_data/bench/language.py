"""The language of a document from a few windows, against the same model over all of its text.

Texts: this environment's documentation and code, which are English with much that is no language, and made-up texts of
the hundred commonest words of other languages, from the lists that jusText ships.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import pyarrow as pa

from lc_data.bench.peers import require_peers
from lc_data.bench.result import BenchResult, BenchRow, Work, compare_rates
from lc_data.bench.text import batch_of, cut_documents, size_of
from lc_data.quality.chain import FilterChain
from lc_data.recipe.filtering import FilterSection

_LANGUAGES = (
    "Arabic", "Bengali", "Bulgarian", "Catalan", "Croatian", "Czech", "Danish", "Dutch", "Estonian", "Finnish",
    "French", "Georgian", "German", "Greek", "Hebrew", "Hindi", "Hungarian", "Icelandic", "Italian", "Korean",
    "Latvian", "Lithuanian", "Persian", "Polish", "Portuguese", "Romanian", "Russian", "Slovak", "Slovenian", "Spanish",
    "Swahili", "Swedish", "Tamil", "Turkish", "Ukrainian", "Vietnamese",
)  # fmt: skip
_WORDS = 100


@dataclass(frozen=True)
class LanguageSizes:
    """How much is measured; documents are given in characters."""

    long_chars: int = 1_000_000
    long_documents: int = 3
    label_chars: tuple[int, ...] = (2_000, 20_000)
    label_documents: int = 400
    rounds: int = 3


def bench_language(sizes: LanguageSizes | None = None) -> BenchResult:
    """The rate on long documents, and the share of equal labels on shorter ones."""
    require_peers("language", "py3langid", "justext")
    sizes = sizes or LanguageSizes()
    peer = "the same model over the whole text"
    texts = cut_documents(sizes.long_chars, sizes.long_documents, seed=6)
    documents, size = batch_of(texts), size_of(texts)
    ours, theirs = (Work(partial(find_languages, documents, whole), size) for whole in (False, True))
    rows = [compare_rates(f"language, {sizes.long_chars // 1000} KB documents", peer, ours, theirs, sizes.rounds)]
    for chars in sizes.label_chars:
        documents = batch_of(many_languages(sizes.label_documents, chars))
        pairs = zip(find_languages(documents, False), find_languages(documents, True), strict=True)
        equal = sum(ours == theirs for ours, theirs in pairs) / documents.num_rows
        what = f"equal labels, {chars // 1000} KB documents"
        rows.append(BenchRow(what, f"share of {documents.num_rows:,}", equal, peer, 1.0, equal))
    return BenchResult("language", rows)


def find_languages(documents: pa.RecordBatch, whole: bool) -> list[str]:
    """The labels of documents, by the rule's own windows or by one window over everything."""
    size = (
        {"windows": 1, "window_bytes": max(len(text.as_py().encode()) for text in documents["text"])} if whole else {}
    )
    chain = FilterChain(FilterSection.model_validate({"rules": [{"rule": "language", **size}]}))
    found: list[str] = chain.apply(documents).documents.column("language").to_pylist()
    return found


def many_languages(count: int, chars: int) -> list[str]:
    """Documents of a size, every other one in English or code, the others in made-up text of the languages in turn."""
    rng = random.Random(7)
    natural = cut_documents(chars, -(-count // 2), seed=7)
    made = [make_text(_LANGUAGES[row % len(_LANGUAGES)], chars, rng) for row in range(count // 2)]
    return [text for pair in zip(natural, [*made, ""], strict=False) for text in pair if text][:count]


def make_text(language: str, chars: int, rng: random.Random) -> str:
    """Common words of a language, drawn evenly, in lines of ten."""
    words = (files("justext") / "stoplists" / f"{language}.txt").read_text("utf-8").split()[:_WORDS]
    drawn = rng.choices(words, k=chars // 3)
    lines = [" ".join(drawn[start : start + 10]) for start in range(0, len(drawn), 10)]
    return "\n".join(lines)[:chars]
