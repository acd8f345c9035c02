"""From what a recipe calls the anchor token of its rows to a token id."""

from __future__ import annotations

import json
from typing import Any

from lc_data.corpus import storage
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.recipe.errors import RecipeError, nearest
from lc_data.recipe.packing import PackSection
from lc_data.recipe.recipe import Recipe

_SHOWN = 8
"""Special tokens that an error lists."""


def check_anchor(recipe: Recipe) -> None:
    """Raise RecipeError for an anchor that the recipe itself rules out: no BOS, or a name that is not trained."""
    pack, tokenizer = recipe.pack, recipe.tokenizer
    if pack.mask != "anchor":
        return
    if pack.anchor_token is None and tokenizer.bos is None:
        raise RecipeError(
            "pack.mask anchor begins every row with the tokenizer's BOS, and tokenizer.bos is null: name a special "
            "token with pack.anchor_token, such as the one that ends documents, or give its id"
        )
    names = tokenizer.train.special_tokens if tokenizer.train else ()
    if names and isinstance(pack.anchor_token, str) and pack.anchor_token not in names:
        raise RecipeError(
            f"pack.anchor_token {pack.anchor_token!r} is none of tokenizer.train.special_tokens"
            f"{nearest(pack.anchor_token, names)}"
        )


def find_anchor(run: RunFolder, corpus: TokenizedCorpus, packing: PackSection) -> int | None:
    """Return the id of the token that every row begins with, None where the mask is another.

    Raises RecipeError for an id outside the vocabulary, for a name that is no special token of the tokenizer, and when
    none is given and the tokenizer puts no BOS before documents.
    """
    if packing.mask != "anchor":
        return None
    token = corpus.tokenizer.bos_id if packing.anchor_token is None else packing.anchor_token
    if isinstance(token, str):
        return _id_of(token, _special_tokens(run, corpus))
    if token is None:
        raise RecipeError(
            "pack.mask anchor needs a token, and the tokenizer puts no BOS before documents: name one with "
            f"pack.anchor_token; it has {_named(_special_tokens(run, corpus))}"
        )
    if token >= corpus.vocab_size:
        raise RecipeError(
            f"pack.anchor_token {token} is outside the vocabulary: its last id is {corpus.vocab_size - 1}"
        )
    return token


def _id_of(name: str, special: dict[str, int]) -> int:
    if name not in special:
        raise RecipeError(
            f"pack.anchor_token {name!r} is no special token of the tokenizer{nearest(name, special)}; it has "
            f"{_named(special)}"
        )
    return special[name]


def _special_tokens(run: RunFolder, corpus: TokenizedCorpus) -> dict[str, int]:
    """The ids of the added tokens of the run's tokenizer.json, by name."""
    content: dict[str, Any] = json.loads(storage.read_bytes(run.stage("bucket").file(corpus.tokenizer.file)))
    return {token["content"]: token["id"] for token in content.get("added_tokens", [])}


def _named(special: dict[str, int]) -> str:
    more = f" and {len(special) - _SHOWN} more" if len(special) > _SHOWN else ""
    return (", ".join(map(repr, list(special)[:_SHOWN])) or "none") + more
