"""From a YAML file and dotted overrides to a recipe, or to an error that says how to mend them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from lc_data.recipe.errors import RecipeError, explain, nearest
from lc_data.recipe.evaluation import SuitesSection
from lc_data.recipe.recipe import Recipe

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _StrictLoader(yaml.SafeLoader):
    """YAML without repeated keys, of which the second would silently win."""


def _unique_mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise RecipeError(f"line {line}: the key {key!r} stands twice in one section")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, or a file of ``pipelines/`` by its name, and apply ``key=value`` overrides.

    Raises :class:`RecipeError` naming every fault with its field, its value and the likeliest fix.
    """
    found = find_recipe(path)
    return parse_recipe(found.read_text(encoding="utf-8"), overrides, where=str(found))


def parse_recipe(text: str, overrides: Sequence[str] = (), where: str = "recipe") -> Recipe:
    """A recipe from YAML text."""
    try:
        content = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise RecipeError(f"{where} is not YAML: {error}") from error
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{where} holds {type(content).__name__}, not a mapping of sections")
    for override in overrides:
        _apply(content, override)
    variables = _variables(content)
    _check_values(content, variables)
    try:
        return Recipe.model_validate(_substitute(content, variables))
    except ValidationError as error:
        raise explain(error, Recipe) from None


def load_suites(names: str, given: Mapping[str, Any], overrides: Sequence[str] = ()) -> SuitesSection:
    """The suites of a comma-separated list with these settings, and ``key=value`` overrides of any others."""
    content = {"names": [name.strip() for name in names.split(",") if name.strip()], **given}
    for override in overrides:
        _apply(content, override)
    try:
        return SuitesSection.model_validate(content)
    except ValidationError as error:
        raise explain(error, SuitesSection) from None


def find_recipe(path: str | Path) -> Path:
    """The file of a recipe, given its path or its name in a ``pipelines`` folder."""
    given = Path(path)
    if given.is_file():
        return given
    folders = [Path("pipelines"), Path(__file__).resolve().parents[2] / "pipelines"]
    for folder in folders:
        for candidate in (folder / given, folder / f"{given}.yaml"):
            if candidate.is_file():
                return candidate
    known = {file.stem for folder in folders for file in folder.glob("*.yaml")}
    hint = nearest(str(path), known) if known else ""
    raise RecipeError(f"there is no recipe {str(path)!r}: neither a file nor a name in pipelines/{hint}")


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML, every default written out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _apply(content: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise RecipeError(f"the override {override!r} is not of the form key.subkey=value")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"the override {override!r}: its value is not YAML: {error}") from error
    place: Any = content
    *parents, last = key.split(".")
    for part in parents:
        place = _descend(place, part, override)
    if isinstance(place, list):
        place[_list_index(place, last, override)] = parsed
    elif isinstance(place, dict):
        place[last] = parsed
    else:
        raise RecipeError(f"the override {override!r}: {'.'.join(parents)} holds a single value, not a section")


def _variables(content: dict[str, Any]) -> dict[str, Any]:
    """The recipe's variables, of which numbers become text: ``-o variables.seq_len=65536`` is YAML for a number."""
    given = content.get("variables") or {}
    if not isinstance(given, dict):
        raise RecipeError(f"variables: holds {type(given).__name__}, not a table of name: value")
    is_number = {name: isinstance(value, int | float) and not isinstance(value, bool) for name, value in given.items()}
    variables = {name: str(value) if is_number[name] else value for name, value in given.items()}
    if given:
        content["variables"] = variables
    return variables


def _check_values(content: dict[str, Any], variables: dict[str, Any]) -> None:
    """Name every variable that is used and has no value, with what it is used for, in one error."""
    uses: dict[str, list[str]] = {}
    for where, text in _texts(content):
        for match in _VARIABLE.finditer(text):
            if match[1] in variables and variables[match[1]] is None:
                uses.setdefault(match[1], []).append(f"{where}: {text}")
    if not uses:
        return
    lines = []
    for name, places in uses.items():
        lines.append(f"  the variable {name!r} has no value; give it with -o variables.{name}=VALUE. It is used in")
        lines += [f"    {place}" for place in places]
    about = content.get("description")
    raise RecipeError("\n".join(["the recipe needs values:", *lines, *([str(about).strip()] if about else [])]))


def _texts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a recipe with its place; the description and the variables themselves hold none to fill in."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if where or key not in ("variables", "description"):
                yield from _texts(item, f"{where}.{key}" if where else str(key))


def _substitute(value: Any, variables: dict[str, Any], where: str = "") -> Any:
    """The recipe with ``${name}`` replaced in every string by the variable of that name."""
    if isinstance(value, dict):
        below = f"{where}." if where else ""
        return {key: _substitute(item, variables, f"{below}{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, variables, f"{where}.{index}") for index, item in enumerate(value)]
    return (
        _VARIABLE.sub(lambda match: _value_of(match[1], variables, where), value) if isinstance(value, str) else value
    )


def _value_of(name: str, variables: dict[str, Any], where: str) -> str:
    if name not in variables:
        raise RecipeError(f"{where}: there is no variable {name!r}{nearest(name, variables)}")
    return str(variables[name])


def _descend(place: Any, part: str, override: str) -> Any:
    if isinstance(place, list):
        return place[_list_index(place, part, override)]
    if isinstance(place, dict):
        if place.get(part) is None:
            place[part] = {}
        return place[part]
    raise RecipeError(f"the override {override!r}: nothing lies below {part!r}")


def _list_index(place: list[Any], part: str, override: str) -> int:
    if part.isdigit() and int(part) < len(place):
        return int(part)
    names = {str(item.get("name")): index for index, item in enumerate(place) if isinstance(item, dict)}
    if part in names:
        return names[part]
    raise RecipeError(f"the override {override!r}: {part!r} is neither an index below {len(place)} nor a name there")
