"""Where two recipes differ, key by key.

A list of things with names is compared by name: a source that is put in front would otherwise change every one after
it.
"""

from __future__ import annotations

import json
from typing import Any

from lc_data.reports.model import ReportModel


class RecipeDifference(ReportModel):
    """A key that the two recipes do not share, or that has another value; values are JSON."""

    key: str
    first: str | None
    """None where the recipe does not have the key."""
    second: str | None


def recipe_differences(first: dict[str, Any], second: dict[str, Any]) -> tuple[list[RecipeDifference], int]:
    """The differing keys, in the order of the first recipe, and how many are the same."""
    one, two = flatten(first), flatten(second)
    keys = list(dict.fromkeys([*one, *two]))
    differing = [
        RecipeDifference(key=key, first=one.get(key), second=two.get(key))
        for key in keys
        if one.get(key) != two.get(key)
    ]
    return differing, len(keys) - len(differing)


def flatten(value: Any, key: str = "") -> dict[str, str]:
    """Every leaf of a recipe as JSON, by its dotted key; named elements of lists stand under their names."""
    children = _children(value)
    if not children:
        return {key: json.dumps(value, ensure_ascii=False, sort_keys=True)}
    flat: dict[str, str] = {}
    for name, child in children.items():
        flat |= flatten(child, f"{key}.{name}" if key else name)
    return flat


def _children(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(name): child for name, child in value.items()}
    if isinstance(value, list) and value and all(isinstance(one, dict) and "name" in one for one in value):
        named = {str(one["name"]): one for one in value}
        return named if len(named) == len(value) else {}
    return {}
