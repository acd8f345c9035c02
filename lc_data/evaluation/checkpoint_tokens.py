"""A checkpoint's own tokens: its ``tokenizer.json``, and which ids end an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from lc_data.recipe.errors import RecipeError


class CheckpointTokens:
    """Encodes and decodes as the model was trained."""

    def __init__(self, folder: Path, bos: str | None = None, eos: str | None = None) -> None:
        """Read a checkpoint's tokenizer.

        Args:
            folder: holds ``tokenizer.json``, as trainings export it and as Hugging Face has it.
            bos: token put before every prompt; None leaves that to ``tokenizer.json``.
            eos: token that ends an answer; None takes those that ``generation_config.json``, ``config.json`` or
                ``tokenizer_config.json`` name.

        Raises:
            RecipeError: without a tokenizer, and for a token that it does not have.

        """
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise RecipeError(f"{path} does not exist: evaluation needs the checkpoint's tokenizer in that form")
        self._tokenizer = Tokenizer.from_file(str(path))
        self._bos = None if bos is None else self._id(bos)
        self.end_ids = frozenset([self._id(eos)] if eos is not None else self._named_ends(folder))
        """Ids that end an answer; empty where the checkpoint names none and answers run to their full length."""

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode_prompt(self, text: str) -> list[int]:
        """Token ids of a whole prompt, with what stands before one."""
        if self._bos is not None:
            return [self._bos, *self.encode(text)]
        return self._tokenizer.encode(text).ids

    def starts(self, text: str) -> list[int]:
        """The character at which each token of a text begins."""
        return [start for start, _ in self._tokenizer.encode(text, add_special_tokens=False).offsets]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return self._tokenizer.decode(list(ids))

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise RecipeError(f"the checkpoint's tokenizer has no token {token!r}")
        return found

    def _named_ends(self, folder: Path) -> list[int]:
        for name in ("generation_config.json", "config.json"):
            ends = _read(folder / name).get("eos_token_id")
            if ends is not None:
                return [ends] if isinstance(ends, int) else list(ends)
        token = _read(folder / "tokenizer_config.json").get("eos_token")
        if isinstance(token, dict):
            token = token.get("content")
        return [] if token is None else [self._id(token)]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
