"""The ids that count: those of the ``tokenizers`` package, 2 MB/s per core at 40 bytes of memory per byte of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

BATCH_CHARACTERS = 1 << 17
"""Text in one call of an encoder, unless one text is longer; it bounds what the call holds."""

Tokens = npt.NDArray[Any]


class TokenizerError(ValueError):
    """A tokenizer.json that cannot be read, or that cannot do what is asked of it."""


class ReferenceEncoder:
    """A tokenizer.json as ``tokenizers`` understands it: nothing truncated, padded or put around a text."""

    def __init__(self, definition: str) -> None:
        """Load the text of a tokenizer.json; raises :class:`TokenizerError` for one that is broken."""
        try:
            self._tokenizer = Tokenizer.from_str(definition)
        except Exception as error:
            # The package raises bare Exception for whatever it cannot parse.
            raise TokenizerError(f"not a tokenizer.json that this version of `tokenizers` reads: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self.vocab_size = max(self._tokenizer.get_vocab().values()) + 1
        """Highest id + 1; ids need not be dense."""
        added = self._tokenizer.get_added_tokens_decoder()
        self.special_tokens = {token.content: number for number, token in sorted(added.items()) if token.special}
        """Tokens that only a template may write."""
        self.found_tokens = [token.content for _, token in sorted(added.items()) if not token.special]
        """Added tokens that are looked for in every text."""
        self.dtype = np.dtype(np.uint16 if self.vocab_size <= 1 << 16 else np.int32)
        """uint16 where every id fits, int32 otherwise."""

    def find_id(self, role: str, token: str | None) -> int | None:
        """The id of the token that the recipe names for a role; :class:`TokenizerError` for one that there is not."""
        if token is None:
            return None
        number = self._tokenizer.token_to_id(token)
        if number is None:
            words = self._tokenizer.get_vocab()
            known = ", ".join(sorted(word for word in words if word.startswith("<") and word.endswith(">"))[:8])
            raise TokenizerError(
                f"tokenizer.{role} is {token!r}, which is not in the vocabulary; name one that is"
                f"{f' ({known}, ...)' if known else ''}, or null for none"
            )
        return int(number)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """The ids of each text, in order, the names of special tokens being text."""
        return [np.array(ids, self.dtype) for batch in bounded(texts) for ids in self.encode_lists(batch)]

    def encode_lists(self, texts: list[str]) -> list[list[int]]:
        """The ids of each text as lists, in one call."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def encode_template(self, text: str) -> list[int]:
        """The ids of what a template wrote: the names of special tokens are those tokens."""
        self._tokenizer.encode_special_tokens = False
        try:
            return self.encode_lists([text])[0]
        finally:
            self._tokenizer.encode_special_tokens = True

    def normalize(self, text: str) -> str:
        """A text as the file's normalizer leaves it; the text itself where it has none."""
        normalizer = self._tokenizer.normalizer
        return text if normalizer is None else normalizer.normalize_str(text)


def bounded(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in batches of at most ``BATCH_CHARACTERS``, unless one text alone is longer."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and characters + len(text) > BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch
