"""Finding and reading the files of a benchmark in the folder that the user names, however it was unpacked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lc_data.failure import Failure
from lc_data.recipe.errors import RecipeError


def find_files(folder: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """The files of these names anywhere below a folder.

    Raises:
        RecipeError: where the folder is none, or a name is found in several places with different content.

    """
    if not folder.is_dir():
        raise RecipeError(f"--data {folder} is not a folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.name in names and path.is_file():
            other = found.setdefault(path.name, path)
            if other is not path and other.read_bytes() != path.read_bytes():
                raise RecipeError(f"{path.name} is in {folder} twice with different content: {other} and {path}")
    return found


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, one a line."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise Failure(f"{path}:{number} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise Failure(f"{path}:{number} is not a JSON object")
            yield row


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecipeError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path} is not a JSON object")
    return content


def take(row: dict[str, Any], key: str, kind: type, where: Path) -> Any:
    """The value of a key that must be there, of this type."""
    value = row.get(key)
    if not isinstance(value, kind):
        raise Failure(f"{where}: a row's {key!r} must be a {kind.__name__}, got {type(value).__name__}")
    return value
