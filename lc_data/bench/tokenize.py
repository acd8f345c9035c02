"""Tokenising documents: ours against ``encode_batch_fast`` of ``tokenizers``, the same ids from both.

Ours meets every text once and cold, the check of a sample included, because its cache of words would make a second
reading a fiction; the slow peer reads a part of each kind, in turn with ours, and its seconds are scaled to the whole.
Loading is counted on neither side: a worker pays it once, 2 s of a core for 150,000 tokens against 0.7.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lc_data.bench.data import environment_by_kind, head, read_kinds
from lc_data.bench.result import BenchResult, BenchRow
from lc_data.bench.text import size_of
from lc_data.bench.tokenize_memory import measure_memory
from lc_data.corpus import storage
from lc_data.corpus.fingerprint import stable_order_keys
from lc_data.failure import Failure
from lc_data.lengths.agreement import AgreementSample
from lc_data.lengths.tokenizer import DocumentTokenizer
from lc_data.lengths.train import train_bpe
from lc_data.recipe.errors import RecipeError

_PEER = "tokenizers, encode_batch_fast"
_TRAINING_BYTES = 4_000_000
_BATCH_CHARACTERS = 8 << 20


@dataclass(frozen=True)
class TokenizeSizes:
    """How much is measured, in bytes of text."""

    environment_bytes: int = 60_000_000
    peer_bytes: int = 2_000_000
    """What the peer reads of each kind."""
    portion_bytes: int = 16 << 20
    """What ours reads, and checks, in one go, as the smallest part of the bucket stage; the two take turns."""
    memory_bytes: int = 8_000_000
    """The one text whose memory is measured."""
    vocabulary: int = 32_768


@dataclass
class _Kind:
    """What was measured of one kind of text."""

    name: str
    size_bytes: int = 0
    seconds: float = 0.0
    peer_bytes: int = 0
    peer_seconds: float = 0.0

    @property
    def scaled_peer_seconds(self) -> float:
        """What the peer would need for all that ours read."""
        return self.peer_seconds * self.size_bytes / self.peer_bytes


def bench_tokenize(
    data: Sequence[str] = (), tokenizer: str | None = None, sizes: TokenizeSizes | None = None
) -> BenchResult:
    """MB/s per core over all the text and by kind, and bytes of memory for each byte of one long text.

    ``data`` names JSON Lines files or folders of them; without it the text is this environment's. ``tokenizer`` is a
    tokenizer.json; without it a byte-level BPE is trained. Raises :class:`Failure` where the two give different ids.
    """
    sizes = sizes or TokenizeSizes()
    kinds = read_kinds(data) if data else environment_by_kind(sizes.environment_bytes)
    definition = read_definition(tokenizer) if tokenizer else _train(kinds, sizes.vocabulary)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    ours, theirs = DocumentTokenizer(definition, None, None), Tokenizer.from_str(definition)
    theirs.encode_special_tokens = True
    theirs.no_truncation()
    theirs.no_padding()
    engine = ours.settle_engine()
    measured = [_measure(_Kind(name), texts, (ours, theirs), sizes) for name, texts in kinds.items()]
    rows = [_speed(f"all {sum(kind.size_bytes for kind in measured) / 1e6:.3g} MB, by {engine}", measured)]
    rows += [_speed(f"{kind.name}, {kind.size_bytes / 1e6:.3g} MB", [kind]) for kind in measured]
    return BenchResult("tokenize", [*rows, _memory(kinds, definition, sizes.memory_bytes)])


def read_definition(uri: str) -> str:
    """The text of the tokenizer.json that a bench is given."""
    if not storage.exists(uri):
        raise RecipeError(f"--tokenizer {uri!r} does not exist; give a tokenizer.json")
    return storage.read_bytes(uri).decode()


def _train(kinds: dict[str, list[str]], vocabulary: int) -> str:
    share = _TRAINING_BYTES // len(kinds)
    return train_bpe((text for texts in kinds.values() for text in head(texts, share)), vocabulary, ())


def _measure(kind: _Kind, texts: list[str], sides: tuple[DocumentTokenizer, Tokenizer], sizes: TokenizeSizes) -> _Kind:
    """Both sides on a kind of text, in turn: ours all of a portion, the peer its head."""
    ours, theirs = sides
    shuffled = random.Random(8).sample(texts, len(texts))
    turns = min(len(texts), max(1, round(size_of(texts) / sizes.portion_bytes)))
    for turn in range(turns):
        portion = shuffled[turn::turns]
        part = list(head(portion, sizes.peer_bytes // turns))
        seconds, _ = _timed(partial(encode_as_stage, ours, portion))
        peer_seconds, expected = _timed(partial(theirs.encode_batch_fast, part, add_special_tokens=False))
        for text, tokens, encoding in zip(part, ours.encode(part), expected, strict=True):
            if not np.array_equal(tokens, encoding.ids):
                raise Failure(f"ours and `tokenizers` give different ids for the text {text[:60]!r} of {kind.name!r}")
        kind.size_bytes += size_of(portion)
        kind.seconds += seconds
        kind.peer_bytes += size_of(part)
        kind.peer_seconds += peer_seconds
    return kind


def encode_as_stage(tokenizer: DocumentTokenizer, texts: Sequence[str]) -> int:
    """Encode as the bucket stage does, in batches and with its check of a sample; the number of tokens."""
    sample, tokens = AgreementSample(), 0
    ids = [str(number) for number in range(len(texts))]
    for key, name, text in zip(stable_order_keys(ids, 0), ids, texts, strict=True):
        sample.offer(key, name, text)
    for batch in _batches(texts):
        tokens += sum(map(len, tokenizer.encode(batch)))
    tokenizer.check_sample(sample)
    return tokens


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    yield batch


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one core, and what the call returned."""
    started = time.process_time()
    found = call()
    return time.process_time() - started, found


def _speed(what: str, kinds: Sequence[_Kind]) -> BenchRow:
    size = sum(kind.size_bytes for kind in kinds)
    rate = size / sum(kind.seconds for kind in kinds) / 1e6
    theirs = size / sum(kind.scaled_peer_seconds for kind in kinds) / 1e6
    return BenchRow(what, "MB/s per core", rate, _PEER, theirs, rate / theirs)


def _memory(kinds: dict[str, list[str]], definition: str, size_bytes: int) -> BenchRow:
    """One text of all kinds, as a giant document is: what it takes at its peak. Less is better."""
    share = size_bytes // len(kinds)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer, text = Path(folder) / "tokenizer.json", Path(folder) / "text"
        tokenizer.write_text(definition)
        text.write_text("\n".join(part for texts in kinds.values() for part in head(texts, share)))
        size = text.stat().st_size
        ours, theirs = (measure_memory(side, tokenizer, text) / size for side in ("ours", "theirs"))
    return BenchRow(f"memory, one text of {size / 1e6:.3g} MB", "bytes per byte", ours, _PEER, theirs, theirs / ours)
