"""Documents to token ids, with any Hugging Face ``tokenizer.json``.

The ids are those of the ``tokenizers`` package; what is added is what it leaves to its caller: nothing is ever
truncated or padded, control tokens in a text are text, memory does not grow with the longest document, and BOS and EOS
are what the recipe says, not what the file's post-processor would add. Where ``gigatoken`` is seen to give the same
ids, it gives them: 5 to 100 times as fast, by the kind of text.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from lc_data.lengths.agreement import AgreementSample, Encoder, check_engine, compare
from lc_data.lengths.dialogue import Segment
from lc_data.lengths.gigatoken_encoder import EngineError, GigatokenEncoder
from lc_data.lengths.reference_encoder import ReferenceEncoder, TokenizerError, Tokens
from lc_data.lengths.safe_cut import cut, verified_places

__all__ = ["DocumentTokenizer", "Engine", "TokenizerError"]

Engine = Literal["auto", "tokenizers", "gigatoken"]
"""``auto``: gigatoken where it gives the reference's ids, the reference everywhere else."""


class DocumentTokenizer:
    """A tokenizer with its policy.

    Tokens that the file marks as ``special`` are found only in what a template wrote, never in a document's own text.
    Added tokens that it does not mark so (``<think>`` of some models) are found everywhere, as their authors meant.

    ``encode`` and ``encode_dialogues`` raise :class:`EngineError` for a text on which gigatoken fails; what is the same
    by the reference, :meth:`by_reference` gives.
    """

    def __init__(self, definition: str, bos: str | None, eos: str | None, engine: Engine = "auto") -> None:
        """Load the text of a tokenizer.json; raises :class:`TokenizerError` for one that is broken or lacks a token."""
        self._reference = ReferenceEncoder(definition)
        self.vocab_size = self._reference.vocab_size
        """Highest id + 1; ids need not be dense."""
        self.dtype = self._reference.dtype
        """uint16 where every id fits, int32 otherwise."""
        self.bos_id = self._reference.find_id("bos", bos)
        self.eos_id = self._reference.find_id("eos", eos)
        self._template_ids: dict[str, list[int]] = {}
        self._check_specials_are_text()
        self._places = verified_places(self._reference.encode_lists, self._reference.found_tokens)
        self.wanted_engine: Engine = engine
        self.why_not_gigatoken: str | None = None
        """What keeps gigatoken from being used; known after :meth:`settle_engine`."""
        self._encoder: Encoder | None = self._reference if engine == "tokenizers" else None
        self._definition = definition

    def settle_engine(self) -> Literal["tokenizers", "gigatoken"]:
        """Choose the engine, once, and say which: loading gigatoken and trying it takes a second.

        Raises :class:`TokenizerError` where gigatoken is demanded and cannot be had.
        """
        if self._encoder is None:
            try:
                encoder = GigatokenEncoder(self._definition, self._reference)
                check_engine(encoder, self._reference)
            except EngineError as fault:
                if self.wanted_engine == "gigatoken":
                    raise TokenizerError(f"tokenizer.engine is gigatoken: {fault}; use auto or tokenizers") from fault
                self.why_not_gigatoken = str(fault)
                self._encoder = self._reference
            else:
                self._encoder = encoder
        return "tokenizers" if self._encoder is self._reference else "gigatoken"

    def by_reference(self) -> DocumentTokenizer:
        """The same tokenizer with ``tokenizers`` as its engine; nothing is loaded again."""
        other = copy.copy(self)
        other.wanted_engine, other._encoder = "tokenizers", self._reference
        return other

    def check_sample(self, sample: AgreementSample) -> None:
        """Raise :class:`EngineError`, naming the document, where the engine in use and the reference differ."""
        if self.settle_engine() == "gigatoken" and self._encoder is not None:
            compare(self._encoder, self._reference, list(sample.texts()))

    @property
    def pad_id(self) -> int:
        """What fills rows: EOS, else BOS, else 0. It is never a target, so it needs no token of its own."""
        return next((number for number in (self.eos_id, self.bos_id) if number is not None), 0)

    @property
    def joins_segments(self) -> bool:
        """Whether pieces of a text can be encoded by themselves; not where a space is put before every text."""
        parts, [whole] = self._reference.encode_lists(["\n", "a"]), self._reference.encode_lists(["\na"])
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
        self.settle_engine()
        encoder = self._encoder or self._reference
        counts, pieces = [], []
        for text in texts:
            parts = cut(text, self._places)
            counts.append(len(parts))
            pieces += parts
        encoded = iter(encoder.encode(pieces))
        for count in counts:
            arrays = [next(encoded) for _ in range(count)]
            yield arrays[0] if count == 1 else np.concatenate(arrays)

    def _encode_template(self, text: str) -> Tokens:
        """What a template wrote, control tokens included. Few texts, met again and again."""
        if text not in self._template_ids:
            self._template_ids[text] = self._reference.encode_template(text)
        return np.array(self._template_ids[text], self.dtype)

    def _check_specials_are_text(self) -> None:
        specials = self._reference.special_tokens
        for (token, number), ids in zip(specials.items(), self._reference.encode_lists(list(specials)), strict=True):
            if number in ids:
                raise TokenizerError(
                    f"its model spells the special token {token!r} in plain text, so that a document could "
                    "forge it; remove it from the model's own vocabulary"
                )
