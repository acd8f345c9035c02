"""datatrove's filters and formatters, by the name of their class.

Their splitting into words normally needs spaCy, a download of a gigabyte that reads 0.4 MB/s; here they get our own
words, and sentences that end where a stop is followed by white space. Blocks whose answer would depend on the network
or on the order in which documents arrive are refused before any work starts.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import itertools
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from lc_data.quality.judgement import Failure, Judgement
from lc_data.recipe.errors import RecipeError, nearest
from lc_data.recipe.filtering import DatatroveRule
from lc_data.text.reference import list_spaced_words

REFUSED = {
    "LanguageFilter": "it downloads its model; use the rule `language`",
    "C4BadWordsFilter": "it downloads its word lists",
    "UnigramLogProbFilter": "it downloads its word frequencies",
    "FastTextClassifierFilter": "it serves a stale copy when the model file is replaced",
    "SamplerFilter": "what it draws depends on the order of documents; use the mixture",
    "LambdaFilter": "it takes a Python function; a recipe is data",
}
REWRITES = frozenset({"C4QualityFilter", "C4ParagraphFilter"})
"""Filters that also change the text; formatters always do."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*")


@dataclass(frozen=True)
class DatatroveBlock:
    """Judges with a datatrove block, document by document."""

    rule: DatatroveRule
    block: Any

    def judge(self, documents: pa.RecordBatch) -> Judgement:
        """Drop what the block drops; take over the text that a declared transform rewrote."""
        failures: dict[int, Failure] = {}
        rewritten: dict[int, tuple[str, list[dict] | None]] = {}
        for row, document in enumerate(_rows(documents)):
            if hasattr(self.block, "format"):
                text, parts = _format_parts(self.block, document["text"], document["parts"])
                failure = None
            else:
                text, parts, failure = self._filter(document)
            if failure is not None:
                failures[row] = failure
            elif text != document["text"]:
                rewritten[row] = self._accept(document, text, parts)
        return Judgement(failures, rewritten=rewritten)

    def _filter(self, document: dict[str, Any]) -> tuple[str, list[dict] | None, Failure | None]:
        from datatrove.data import Document

        metadata = json.loads(document["metadata"] or "{}")
        given = Document(text=document["text"], id=document["id"], metadata=metadata)
        answer = self.block.filter(given)
        kept, reason = answer if isinstance(answer, tuple) else (answer, None)
        if kept and given.text != document["text"] and document["parts"]:
            raise RecipeError(
                f"{self.rule.block} rewrote document {document['id']!r}, whose parts would then point at wrong places; "
                "restrict the rule to `domains` without joined documents or dialogues"
            )
        return given.text, document["parts"], None if kept else Failure(_slug(reason or "dropped"))

    def _accept(self, document: dict[str, Any], text: str, parts: list[dict] | None) -> tuple[str, list[dict] | None]:
        if self.rule.transform is None:
            raise RecipeError(
                f"{self.rule.block} rewrote document {document['id']!r}; name the change with `transform: <name>`"
            )
        # NUL ends a string in half the world's C code; documents are promised to be free of it.
        return text.replace("\0", ""), parts


def open_block(rule: DatatroveRule) -> DatatroveBlock:
    """Make the block of a rule. Raises :class:`RecipeError` where its name or arguments are wrong or it is refused."""
    if rule.block in REFUSED:
        raise RecipeError(f"datatrove's {rule.block} cannot be used here: {REFUSED[rule.block]}")
    classes = _block_classes()
    if rule.block not in classes:
        raise RecipeError(f"datatrove has no filter or formatter {rule.block!r}{nearest(rule.block, classes)}")
    block_class = classes[rule.block]
    rewrites = hasattr(block_class, "format") or rule.block in REWRITES
    if rewrites and rule.transform is None:
        raise RecipeError(f"datatrove's {rule.block} rewrites text; name the change with `transform: <name>`")
    known = set(inspect.signature(block_class.__init__).parameters) - {"self", "exclusion_writer"}
    for name in rule.args:
        if name not in known:
            raise RecipeError(f"datatrove's {rule.block} has no argument {name!r}{nearest(name, known)}")
    args = dict(rule.args)
    if "language" in known:
        args["language"] = _word_tokenizer()
    try:
        return DatatroveBlock(rule, block_class(**args))
    except (ImportError, TypeError, ValueError) as error:
        raise RecipeError(f"datatrove's {rule.block} does not start: {error}") from None


def _format_parts(block: Any, text: str, parts: list[dict] | None) -> tuple[str, list[dict] | None]:
    """Format a text; one with parts piece by piece, so that the parts stay true.

    Each piece meets a fresh copy of the block: datatrove's PII formatter cycles through its replacements, and a copy
    that remembered earlier documents would make the result depend on who came before.
    """
    if not parts:
        return copy.deepcopy(block).format(text), parts
    fresh = copy.deepcopy(block)
    data = text.encode()
    pieces: list[bytes] = []
    moved: list[dict] = []
    at = size = 0
    for part in sorted(parts, key=lambda part: part["offset"]):
        start, end = part["offset"], part["offset"] + part["length"]
        if start < at:
            raise ValueError(f"parts overlap at byte {start}")
        between, inside = _format_bytes(fresh, data[at:start]), _format_bytes(fresh, data[start:end])
        pieces += [between, inside]
        moved.append({"source": part["source"], "offset": size + len(between), "length": len(inside)})
        size += len(between) + len(inside)
        at = end
    pieces.append(_format_bytes(fresh, data[at:]))
    return b"".join(pieces).decode(), moved


def _format_bytes(block: Any, data: bytes) -> bytes:
    return block.format(data.decode()).encode() if data else b""


def _rows(documents: pa.RecordBatch) -> Any:
    """Rows one at a time, as dictionaries, so that only one text at a time is a Python string."""
    for row in range(documents.num_rows):
        yield {name: documents.column(name)[row].as_py() for name in ("id", "text", "parts", "metadata")}


def _slug(reason: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", reason.lower()).strip("_")


@cache
def _block_classes() -> dict[str, Any]:
    if importlib.util.find_spec("datatrove") is None:
        raise RecipeError("the rule `datatrove` needs the package datatrove: install lc_data[pipeline]")
    from datatrove.pipeline import filters, formatters
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.formatters.base import BaseFormatter

    blocks = {**vars(filters), **vars(formatters)}
    return {
        name: block
        for name, block in blocks.items()
        if inspect.isclass(block) and issubclass(block, BaseFilter | BaseFormatter) and not inspect.isabstract(block)
    }


@cache
def _word_tokenizer() -> Any:
    from datatrove.utils.word_tokenizers import WordTokenizer

    class SpacedWords(WordTokenizer):  # type: ignore[misc]
        """Our words and plain sentences, in the form that datatrove's blocks ask for."""

        def word_tokenize(self, text: str) -> list[str]:
            return list_spaced_words(text)

        def sent_tokenize(self, text: str) -> list[str]:
            return [text[start:end] for start, end in self.span_tokenize(text)]

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            borders = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
            return [(a, b) for a, b in itertools.pairwise(borders) if text[a:b].strip()]

    return SpacedWords()
