"""Training a byte-level BPE: for runs from nothing, such as the demo's. Every byte sequence stays encodable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE

WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What merges may not cross: words with the space before them, single digits, punctuation, line ends. The pattern of
Qwen's tokenizers to the letter: gigatoken knows patterns by their spelling."""


def train_bpe(texts: Iterable[str], vocab_size: int, special_tokens: Sequence[str]) -> str:
    """A tokenizer.json of at most ``vocab_size`` tokens, the special ones first; the same for the same texts.

    The vocabulary is smaller where the texts have too few pairs to merge. Special tokens that stand in the texts are
    left out of them, so that they are not learnt as words.
    """
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_without(texts, special_tokens), trainer)
    return tokenizer.to_str(pretty=True)


def _without(texts: Iterable[str], special_tokens: Sequence[str]) -> Iterator[str]:
    for text in texts:
        for token in special_tokens:
            text = text.replace(token, " ")  # noqa: PLW2901
        yield text
