"""What is wrong with a recipe, said so that it can be mended: the field, the value, and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError


class RecipeError(Exception):
    """The recipe or the arguments are wrong. Raised before any work starts; the command line exits with 2."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """A hint at the likeliest intended word: ``; did you mean 'x'?``, or the choices when none is near."""
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def explain(error: ValidationError, model: type[BaseModel]) -> RecipeError:
    """All faults of a recipe in one message, one line each."""
    lines = [_line(fault, model) for fault in error.errors(include_url=False)]
    return RecipeError("the recipe is wrong:\n" + "\n".join(f"  {line}" for line in lines))


def _line(fault: Any, model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _fields_at(model, fault["loc"][:-1])
        hint = nearest(str(fault["loc"][-1]), known) if known else ""
        return f"{where}: unknown key{hint}"
    if fault["type"] == "missing":
        return f"{where}: this key is required"
    value = "" if isinstance(fault["input"], dict | list) else f" (got {fault['input']!r})"
    return f"{where or 'recipe'}: {fault['msg']}{value}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    """The keys that are valid at a place of a recipe, following unions by their discriminator's tag."""
    candidates: list[type[BaseModel]] = [model]
    for part in location:
        following: list[type[BaseModel]] = []
        for candidate in candidates:
            if isinstance(part, str) and part in candidate.model_fields:
                following += _models_in(candidate.model_fields[part].annotation)
        tagged = [candidate for candidate in candidates if _has_tag(candidate, part)]
        if following:
            candidates = following
        elif tagged:
            candidates = tagged
    return {name for candidate in candidates for name in candidate.model_fields}


def _has_tag(model: type[BaseModel], part: int | str) -> bool:
    """Whether a union member's literal field (``kind``, ``rule``) carries this tag."""
    return any(part in getattr(field.annotation, "__args__", ()) for field in model.model_fields.values())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every model class inside a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for argument in getattr(annotation, "__args__", ()):
        found += _models_in(argument)
    return found
