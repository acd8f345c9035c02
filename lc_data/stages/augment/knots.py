"""From the names of knot tokens to their ids."""

from __future__ import annotations

import json
from typing import Any

from lc_data.augment.parts import KnotTokens
from lc_data.corpus import storage
from lc_data.recipe.augment import KnotNames, UntieKnots
from lc_data.recipe.errors import RecipeError, nearest
from lc_data.recipe.recipe import Recipe

_ROLES = tuple(KnotNames.model_fields)


def check_knots(recipe: Recipe, options: UntieKnots) -> None:
    """Raise RecipeError for knot tokens that the tokenizer lacks, and for rows that no two documents fit."""
    names = [getattr(options.tokens, role) for role in _ROLES]
    tokenizer = recipe.tokenizer
    if tokenizer.train is not None:
        for name in names:
            if name not in tokenizer.train.special_tokens:
                raise RecipeError(
                    f"augment.untie_knots: the special token {name!r} is none of tokenizer.train.special_tokens; add "
                    "it there"
                )
    elif tokenizer.path is not None and storage.exists(tokenizer.path):
        find_knots(json.loads(storage.read_bytes(tokenizer.path)), options)
    for name in names:
        if name in (tokenizer.bos, tokenizer.eos):
            raise RecipeError(f"augment.untie_knots: {name!r} begins or ends every document, so it can be no knot")


def find_knots(definition: dict[str, Any], options: UntieKnots) -> KnotTokens:
    """Return the ids of the knot tokens in a tokenizer.json; RecipeError for one that it has not."""
    special = {token["content"]: token["id"] for token in definition.get("added_tokens", [])}
    for role in _ROLES:
        name = getattr(options.tokens, role)
        if name not in special:
            raise RecipeError(
                f"augment.untie_knots: tokens.{role} {name!r} is no added token of the tokenizer"
                + (nearest(name, special) if special else "; it has none")
            )
    vocabulary = definition["model"]["vocab"]
    if isinstance(vocabulary, list):  # a unigram model: pieces with their scores
        vocabulary = {piece: number for number, (piece, _) in enumerate(vocabulary)}
    missing = [digit for digit in map(str, range(10)) if digit not in vocabulary]
    if missing:
        raise RecipeError(
            f"augment.untie_knots writes chunk ids in digits, and the tokenizer has no token {missing[0]!r}; take one "
            "that has the ten digits"
        )
    ids = {role: special[getattr(options.tokens, role)] for role in _ROLES}
    digits = tuple(vocabulary[str(digit)] for digit in range(10))
    return KnotTokens(**ids, digits=digits, id_digits=options.id_digits)
