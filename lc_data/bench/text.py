"""Text to measure with: this machine's own Python environment, cut to size, spoiled or edited by a seed.

It is natural prose (documentation, descriptions, licences) and code, needs no download, and is the same on machines
with the same packages. Documents of a wanted size are cut from it: whole texts in shuffled order, one after the other.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

import pyarrow as pa

from lc_data.corpus.document import DOCUMENT_SCHEMA
from lc_data.corpus.readers import environment
from lc_data.corpus.readers.record import Document
from lc_data.failure import Failure
from lc_data.recipe.sources import EnvironmentSource

_TASK_BYTES = 64 << 20
_HEADING = re.compile(r"^#+ |^```.*\n", re.MULTILINE)


@cache
def environment_texts(what: str, max_bytes: int | None = None) -> tuple[str, ...]:
    """The different texts of one kind (:class:`EnvironmentSource`), about ``max_bytes`` of them, in order."""
    source = EnvironmentSource.model_validate(
        {"name": what, "kind": "environment", "what": what, "domain": what, "max_joined_bytes": 400_000}
        | {"max_bytes": max_bytes}
    )
    parts = environment.cut(environment.list_input(source), source, _TASK_BYTES)
    records = (record for part in parts for record in environment.read(part, source, _TASK_BYTES))
    return tuple(dict.fromkeys(record.text.decode() for record in records if isinstance(record, Document)))


def cut_documents(size: int, count: int, seed: int) -> list[str]:
    """So many disjoint texts of ``size`` characters: documentation first, then code where that is not enough."""
    texts = [*environment_texts("descriptions"), *map(_without_headings, environment_texts("library_documentation"))]
    missing = size * count - sum(map(len, texts))
    if missing > 0:
        texts += environment_texts("code", 2 * missing)
    random.Random(seed).shuffle(texts)
    whole = "\n\n".join(texts)
    if len(whole) < size * count:
        raise Failure(f"this environment has {len(whole):,} characters of text; {size * count:,} are needed")
    return [whole[start : start + size] for start in range(0, size * count, size)]


def _without_headings(text: str) -> str:
    """A page of API documentation is headings every few lines, which rules against hash signs would drop at once."""
    return _HEADING.sub("", text)


def spoil(text: str, rng: random.Random) -> str:
    """The text with one of the faults that quality rules look for."""
    return rng.choice(_FAULTS)(text, rng)


def _repeat_lines(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    return "\n".join(lines + lines[: rng.randint(1, len(lines))])


def _repeat_phrase(text: str, rng: random.Random) -> str:
    phrase = " ".join(text.split()[: rng.randint(2, 12)])
    return "\n".join(f"{phrase} {line}" for line in text.split("\n"))


def _make_bullets(text: str, rng: random.Random) -> str:
    return "\n".join(f"- {line}" if rng.random() < 0.95 else line for line in text.split("\n"))


def _end_in_dots(text: str, rng: random.Random) -> str:
    return "\n".join(f"{line}..." if rng.random() < 0.4 else line for line in text.split("\n"))


def _add_hashes(text: str, rng: random.Random) -> str:
    return " ".join(f"# {word}" if rng.random() < 0.15 else word for word in text.split())


def _add_numbers(text: str, rng: random.Random) -> str:
    return " ".join(f"{word} {rng.randrange(100)}" if rng.random() < 0.3 else word for word in text.split())


def _clip_words(text: str, rng: random.Random) -> str:
    return " ".join(word[: rng.randint(1, 4)] for word in text.split())


def _stop_short(text: str, rng: random.Random) -> str:
    return " ".join(text.split()[: rng.randint(1, 100)])


_FAULTS: tuple[Callable[[str, random.Random], str], ...] = (
    _repeat_lines,
    _repeat_phrase,
    _make_bullets,
    _end_in_dots,
    _add_hashes,
    _add_numbers,
    _clip_words,
    _stop_short,
)


def edit(text: str, rate: float, rng: random.Random) -> str:
    """The text with a share of its words replaced by words from elsewhere in it; white space becomes one space."""
    words = text.split()
    return " ".join(rng.choice(words)[::-1] if rng.random() < rate else word for word in words)


def column_of(texts: list[str]) -> pa.Array:
    """Texts as the column that kernels read."""
    return pa.array(texts, pa.large_string())


def batch_of(texts: list[str]) -> pa.RecordBatch:
    """Texts as documents."""
    rows = [{"id": f"{number}", "text": text, "domain": "text", "source": "bench"} for number, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, schema=DOCUMENT_SCHEMA)


def size_of(texts: list[str]) -> int:
    """Bytes of texts in UTF-8."""
    return sum(len(text.encode()) for text in texts)
