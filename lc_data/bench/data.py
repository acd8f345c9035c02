"""Documents that a bench is given, ``--data``: JSON Lines files, or folders of them, compressed or not."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import fsspec

from lc_data.bench.text import environment_texts, size_of
from lc_data.corpus import storage
from lc_data.recipe.errors import RecipeError

ENVIRONMENT_KINDS = ("descriptions", "library_documentation", "licences")


def read_kinds(data: Sequence[str]) -> dict[str, list[str]]:
    """The texts by kind: a file's name without its endings. Records without a ``text`` (dialogues) are left out.

    Raises :class:`RecipeError` for a path that does not exist, and where no record has a text.
    """
    kinds: dict[str, list[str]] = {}
    for path in _list_files(data):
        with fsspec.open(path, "rt", compression="infer", encoding="utf-8") as lines:
            records = (json.loads(line) for line in lines)
            texts = [record["text"] for record in records if record.get("text")]
        if texts:
            kinds.setdefault(Path(path).name.split(".")[0], []).extend(texts)
    if not kinds:
        raise RecipeError(f"--data {', '.join(data)}: no record has a `text`")
    return kinds


def environment_by_kind(size_bytes: int) -> dict[str, list[str]]:
    """The texts of this Python environment by kind, topped up with code to about so many bytes."""
    kinds = {what: list(environment_texts(what)) for what in ENVIRONMENT_KINDS}
    missing = size_bytes - sum(map(size_of, kinds.values()))
    if missing > 0:
        kinds["code"] = list(environment_texts("code", missing))
    return {kind: texts for kind, texts in kinds.items() if texts}


def sample_balanced(kinds: dict[str, list[str]], size_bytes: int, seed: int) -> list[str]:
    """About ``size_bytes`` of text in which every kind has the share of bytes that it has of the whole.

    Documents are drawn at random; the last one of a kind is cut where its share ends, so that a few books of a megabyte
    do not stand for more than they are.
    """
    share = size_bytes / max(1, sum(map(size_of, kinds.values())))
    chosen: list[str] = []
    for kind, texts in kinds.items():
        shuffled = random.Random(f"{seed} {kind}").sample(texts, len(texts))
        chosen += head(shuffled, int(min(1.0, share) * size_of(texts)))
    random.Random(seed).shuffle(chosen)
    return chosen


def head(texts: Iterable[str], size_bytes: int) -> Iterator[str]:
    """The first texts, the last one cut so that together they have at most ``size_bytes``."""
    for text in texts:
        data = text.encode()
        if size_bytes <= 0:
            return
        yield text if len(data) <= size_bytes else data[:size_bytes].decode(errors="ignore")
        size_bytes -= len(data)


def _list_files(data: Sequence[str]) -> Iterator[str]:
    for path in data:
        if storage.is_local(path) and storage.local_path(path).is_dir():
            found = sorted(str(each) for each in storage.local_path(path).iterdir() if ".jsonl" in each.name)
            if not found:
                raise RecipeError(f"--data {path!r} holds no file whose name has .jsonl in it")
            yield from found
        elif storage.exists(path):
            yield path
        else:
            raise RecipeError(f"--data {path!r} does not exist; give JSON Lines files, or a folder of them")
