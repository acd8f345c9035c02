"""Documents to token ids, with any Hugging Face ``tokenizer.json``.

The ids are those of the ``tokenizers`` package; what is added is what it leaves to its caller: nothing is ever
truncated or padded, control tokens in a text are text, memory does not grow with the longest document, and BOS and EOS
are what the recipe says, not what the file's post-processor would add.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from lc_data.lengths.dialogue import Segment
from lc_data.lengths.safe_cut import cut, verified_places

BATCH_CHARACTERS = 1 << 17
"""Text in one call of ``encode_batch_fast``, unless one piece is larger; it bounds what the call holds."""

Tokens = npt.NDArray[Any]


class TokenizerError(ValueError):
    """A tokenizer.json that cannot be read, or that cannot do what is asked of it."""


class DocumentTokenizer:
    """A tokenizer with its policy.

    Tokens that the file marks as ``special`` are found only in what a template wrote, never in a document's own text.
    Added tokens that it does not mark so (``<think>`` of some models) are found everywhere, as their authors meant.
    """

    def __init__(self, definition: str, bos: str | None, eos: str | None) -> None:
        """Load the text of a tokenizer.json; raises :class:`TokenizerError` for one that is broken or lacks a token."""
        try:
            self._tokenizer = Tokenizer.from_str(definition)
        except Exception as error:
            # The package raises bare Exception for whatever it cannot parse.
            raise TokenizerError(f"not a tokenizer.json that this version of `tokenizers` reads: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        vocabulary = self._tokenizer.get_vocab()
        self.vocab_size = max(vocabulary.values()) + 1
        """Highest id + 1; ids need not be dense."""
        self.bos_id = _named(vocabulary, "bos", bos)
        self.eos_id = _named(vocabulary, "eos", eos)
        self._template_ids: dict[str, list[int]] = {}
        added = self._tokenizer.get_added_tokens_decoder()
        self._check_specials_are_text({number: token.content for number, token in added.items() if token.special})
        self._places = verified_places(
            self._encode_lists, [token.content for token in added.values() if not token.special]
        )

    @property
    def pad_id(self) -> int:
        """What fills rows: EOS, else BOS, else 0. It is never a target, so it needs no token of its own."""
        return next((number for number in (self.eos_id, self.bos_id) if number is not None), 0)

    @property
    def dtype(self) -> np.dtype:
        """uint16 where every id fits, int32 otherwise."""
        return np.dtype(np.uint16 if self.vocab_size <= 1 << 16 else np.int32)

    @property
    def has_safe_places(self) -> bool:
        """Whether giant texts can be cut; otherwise they are encoded whole, at 40 bytes of memory a byte."""
        return self._places is not None

    @property
    def joins_segments(self) -> bool:
        """Whether pieces of a text can be encoded by themselves; not where a space is put before every text."""
        parts, [whole] = self._encode_lists(["\n", "a"]), self._encode_lists(["\na"])
        return parts[0] + parts[1] == whole

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of plain documents, BOS and EOS included: arrays of ``dtype``."""
        return [self._with_borders([ids]) for ids in self._encode_plain(texts)]

    def encode_dialogues(self, dialogues: Sequence[Sequence[Segment]]) -> list[tuple[Tokens, list[tuple[int, int]]]]:
        """The tokens of dialogues, BOS and EOS included, each with its target spans (start, end) in tokens.

        A token belongs to a target if it lies inside a target segment; none reaches over a segment's border. Raises
        :class:`TokenizerError` for a tokenizer that puts something before every text.
        """
        if dialogues and not self.joins_segments:
            raise TokenizerError(
                "it puts a space before every text it encodes (add_prefix_space or a Metaspace prefix), so a dialogue "
                "cannot be encoded by its messages; take one that does not"
            )
        contents = self._encode_plain([part.text for parts in dialogues for part in parts if not part.is_template])
        result = []
        for parts in dialogues:
            arrays = [self._encode_template(part.text) if part.is_template else next(contents) for part in parts]
            result.append((self._with_borders(arrays), self._target_spans(parts, arrays)))
        return result

    def _target_spans(self, segments: Sequence[Segment], arrays: Sequence[Tokens]) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        position = int(self.bos_id is not None)
        for segment, array in zip(segments, arrays, strict=True):
            start, position = position, position + len(array)
            if not segment.is_target or not len(array):
                continue
            if spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], position)
            else:
                spans.append((start, position))
        return spans

    def _with_borders(self, arrays: Sequence[Tokens]) -> Tokens:
        bos = [] if self.bos_id is None else [self.bos_id]
        eos = [] if self.eos_id is None else [self.eos_id]
        return np.concatenate([np.array(bos, self.dtype), *arrays, np.array(eos, self.dtype)])

    def _encode_plain(self, texts: Sequence[str]) -> Iterator[Tokens]:
        """The ids of each text, in order, encoded piece by piece in bounded batches."""
        counts, pieces = [], []
        for text in texts:
            parts = cut(text, self._places)
            counts.append(len(parts))
            pieces += parts
        encoded = (np.array(ids, self.dtype) for batch in _bounded(pieces) for ids in self._encode_lists(batch))
        for count in counts:
            arrays = [next(encoded) for _ in range(count)]
            yield arrays[0] if count == 1 else np.concatenate(arrays)

    def _encode_lists(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def _encode_template(self, text: str) -> Tokens:
        """What a template wrote, control tokens included. Few texts, met again and again."""
        if text not in self._template_ids:
            self._tokenizer.encode_special_tokens = False
            try:
                self._template_ids[text] = self._encode_lists([text])[0]
            finally:
                self._tokenizer.encode_special_tokens = True
        return np.array(self._template_ids[text], self.dtype)

    def _check_specials_are_text(self, specials: dict[int, str]) -> None:
        numbers = sorted(specials)
        for number, ids in zip(numbers, self._encode_lists([specials[number] for number in numbers]), strict=True):
            if number in ids:
                raise TokenizerError(
                    f"its model spells the special token {specials[number]!r} in plain text, so that a document could "
                    "forge it; remove it from the model's own vocabulary"
                )


def _named(vocabulary: dict[str, int], role: str, token: str | None) -> int | None:
    if token is None:
        return None
    if token not in vocabulary:
        known = ", ".join(sorted(word for word in vocabulary if word.startswith("<") and word.endswith(">"))[:8])
        raise TokenizerError(
            f"tokenizer.{role} is {token!r}, which is not in the vocabulary; name one that is"
            f"{f' ({known}, ...)' if known else ''}, or null for none"
        )
    return vocabulary[token]


def _bounded(pieces: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for piece in pieces:
        if batch and characters + len(piece) > BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
        batch.append(piece)
        characters += len(piece)
    if batch:
        yield batch
