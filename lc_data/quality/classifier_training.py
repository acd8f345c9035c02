"""Training of a small classifier: fastText's supervised model (Joulin et al. 2016, arXiv 1607.01759), in its format.

Why not fastText's own training: the wheel that works with numpy 2 fills a tenth of its input matrix for each thread, so
that one thread learns from uninitialised memory and gives NaN, and several threads race. Here one thread goes through
the examples in a fixed order with numbers of its own mixing: the same examples give the same file. Features are the
words of a vocabulary and hashed runs of words, their embeddings are averaged, a softmax decides. fastText loads the
file and scores with it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lc_data.text.compile import Bytes, Counts, Hashes, Numbers, kernel
from lc_data.text.hash_table import find_slot
from lc_data.text.words import mix64

LABELS = ("negative", "positive")
_DIMENSIONS = 16
_BUCKETS = 1 << 18
"""Rows for runs of words: with 16 float32 each the file has 17 MB and the vocabulary."""
_MAX_WORDS = 100_000
_MIN_COUNT = 2
_RATE = 0.5
_END = b"</s>"
_MAGIC, _VERSION = 793_712_314, 12
_SOFTMAX, _SUPERVISED = 3, 3
_NGRAM_PRIME = np.uint64(116_049_371)
_SEED_32, _PRIME_32 = np.uint64(2_166_136_261), np.uint64(16_777_619)
_SEED_64, _PRIME_64 = np.uint64(0xCBF29CE484222325), np.uint64(0x00000100000001B3)
_LOW, _SIGN, _HIGH = np.uint64(0xFFFFFFFF), np.uint64(0x80000000), np.uint64(0xFFFFFFFF00000000)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Vocabulary:
    """The words that have rows of their own, the most frequent first."""

    words: list[bytes]
    counts: list[int]
    keys: npt.NDArray[np.uint64]
    """A table from the hash of a word to its number, as in :mod:`lc_data.text.hash_table`."""
    numbers: npt.NDArray[np.uint32]


@dataclass(frozen=True)
class TrainedClassifier:
    """A model of two labels."""

    vocabulary: Vocabulary
    word_ngrams: int
    label_counts: tuple[int, int]
    inputs: Floats
    """float32[words + buckets, dimensions]."""
    outputs: Floats
    """float32[2, dimensions], in the order of ``LABELS``."""

    def score(self, lines: Sequence[str]) -> npt.NDArray[np.float64]:
        """The probability of ``positive`` for each line: float64[lines]."""
        data, offsets = _join(lines)
        scores = np.empty(len(lines), np.float64)
        _score(data, offsets, self._table(), (self.inputs, self.outputs), scores)
        return scores

    def to_bytes(self) -> bytes:
        """The model as a fastText ``.bin`` file."""
        words, counts = self.vocabulary.words, self.vocabulary.counts
        # args: dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate t
        arguments = (_DIMENSIONS, 5, 1, _MIN_COUNT, 5, self.word_ngrams, _SOFTMAX, _SUPERVISED, _BUCKETS, 0, 0, 100)
        labels = [f"__label__{label}".encode() for label in LABELS]
        pieces = [struct.pack("<2i", _MAGIC, _VERSION), struct.pack("<12id", *arguments, 1e-4)]
        tokens = sum(counts) + sum(self.label_counts)
        # -1: the dictionary was never pruned.
        pieces.append(struct.pack("<3i2q", len(words) + len(labels), len(words), len(labels), tokens, -1))
        pieces += [word + b"\0" + struct.pack("<qb", count, 0) for word, count in zip(words, counts, strict=True)]
        pieces += [
            label + b"\0" + struct.pack("<qb", count, 1) for label, count in zip(labels, self.label_counts, strict=True)
        ]
        for matrix in (self.inputs, self.outputs):
            pieces += [struct.pack("<?2q", False, *matrix.shape), matrix.astype("<f4").tobytes()]
        return b"".join(pieces)

    def _table(self) -> tuple[Hashes, Numbers, int, int]:
        return self.vocabulary.keys, self.vocabulary.numbers, len(self.vocabulary.words), self.word_ngrams


def train_classifier(
    lines: Sequence[str], positive: Sequence[bool], word_ngrams: int, epochs: int, seed: int
) -> TrainedClassifier:
    """Learn from lines (as :func:`lc_data.quality.classifier.separate` makes them) which of them are positive.

    Each epoch goes through all lines in another order that the seed decides; the rate falls to 0 in a straight line.
    """
    vocabulary = _count_words(lines)
    labels = np.array(positive, np.uint8)
    inputs = np.zeros((len(vocabulary.words) + _BUCKETS, _DIMENSIONS), np.float32)
    _fill(inputs, np.uint64(seed))
    outputs = np.zeros((len(LABELS), _DIMENSIONS), np.float32)
    counts = (int((labels == 0).sum()), int(labels.sum()))
    model = TrainedClassifier(vocabulary, word_ngrams, counts, inputs, outputs)
    data, offsets = _join(lines)
    ranks = np.empty(len(lines), np.uint64)
    for epoch in range(epochs):
        _rank(ranks, np.uint64(seed), np.uint64(epoch))
        order = np.argsort(ranks, kind="stable")
        rates = _RATE * (1 - (epoch + np.arange(len(lines)) / max(len(lines), 1)) / epochs)
        _train(data, offsets, model._table(), (inputs, outputs), (order, labels, rates))
    return model


def measure_auc(scores: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]) -> float:
    """How often a positive score exceeds a negative one, equals counted half; NaN without one of each."""
    wanted, others = scores[positive], np.sort(scores[~positive])
    if not len(wanted) or not len(others):
        return float("nan")
    below, upto = np.searchsorted(others, wanted, "left"), np.searchsorted(others, wanted, "right")
    return float((below + upto).mean() / 2 / len(others))


def _count_words(lines: Sequence[str]) -> Vocabulary:
    counter: Counter[bytes] = Counter()
    for line in lines:
        counter.update(line.encode().split(b" "))
    counter[_END] = len(lines)
    frequent = [(word, count) for word, count in counter.items() if count >= _MIN_COUNT]
    chosen = sorted(frequent, key=lambda pair: (-pair[1], pair[0]))[:_MAX_WORDS]
    size = 1 << max(2 * len(chosen), 4).bit_length()
    keys, numbers = np.zeros(size, np.uint64), np.zeros(size, np.uint32)
    data, offsets = _join_bytes([word for word, _ in chosen])
    _insert(data, offsets, keys, numbers)
    return Vocabulary([word for word, _ in chosen], [count for _, count in chosen], keys, numbers)


def _join(lines: Sequence[str]) -> tuple[Bytes, Counts]:
    return _join_bytes([line.encode() for line in lines])


def _join_bytes(pieces: list[bytes]) -> tuple[Bytes, Counts]:
    offsets = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    return np.frombuffer(b"".join(pieces), np.uint8), offsets


@kernel
def _hash_word(text: Bytes) -> tuple[np.uint64, np.uint64]:
    """The hash of a word, as fastText has it and extends it to 64 bits, and one of 64 bits that is never 0."""
    short, long = _SEED_32, _SEED_64
    for byte in text:
        value = np.uint64(byte)
        long = (long ^ value) * _PRIME_64
        # fastText reads bytes as signed.
        short = (short ^ ((value | _HIGH | np.uint64(0xFFFFFF00)) if byte > 127 else value)) & _LOW
        short = (short * _PRIME_32) & _LOW
    return (short | _HIGH) if short & _SIGN else short, long | np.uint64(1)


@kernel
def _insert(data: Bytes, offsets: Counts, keys: Hashes, numbers: Numbers) -> None:
    for word in range(len(offsets) - 1):
        _, key = _hash_word(data[offsets[word] : offsets[word + 1]])
        slot = find_slot(keys, key)
        keys[slot] = key
        numbers[slot] = np.uint32(word)


@kernel
def _add_word(word: Bytes, table: tuple[Hashes, Numbers, int, int], state: tuple[Hashes, int, Counts, int]) -> int:
    """Enter a word's row, where it has one, and its hash; returns the number of features."""
    hashes, words, features, count = state
    short, key = _hash_word(word)
    hashes[words] = short
    slot = find_slot(table[0], key)
    if table[0][slot] == key:
        features[count] = table[1][slot]
        count += 1
    return count


@kernel
def _read_features(line: Bytes, table: tuple[Hashes, Numbers, int, int], hashes: Hashes, features: Counts) -> int:
    """The rows of a line's words and runs of words, in fastText's order; returns how many."""
    words = count = start = 0
    for at in range(len(line) + 1):
        if at == len(line) or line[at] == 32:
            if at > start:
                count = _add_word(line[start:at], table, (hashes, words, features, count))
                words += 1
            start = at + 1
    end = np.array([60, 47, 115, 62], np.uint8)  # </s>
    count = _add_word(end, table, (hashes, words, features, count))
    words += 1
    for first in range(words):
        value = hashes[first]
        for last in range(first + 1, min(first + table[3], words)):
            value = value * _NGRAM_PRIME + hashes[last]
            features[count] = table[2] + np.int64(value % np.uint64(_BUCKETS))
            count += 1
    return count


@kernel
def _predict(features: Counts, weights: tuple[Floats, Floats], hidden: Floats) -> float:
    """Fill ``hidden`` with the mean of the rows; returns the probability of the second label."""
    inputs, outputs = weights
    hidden[:] = 0
    for feature in features:
        for place in range(len(hidden)):
            hidden[place] += inputs[feature, place]
    margin = 0.0
    for place in range(len(hidden)):
        hidden[place] /= np.float32(len(features))
        margin += hidden[place] * (outputs[1, place] - outputs[0, place])
    return 1 / (1 + np.exp(-margin))


@kernel
def _buffers(offsets: Counts, word_ngrams: int) -> tuple[Hashes, Counts]:
    longest = 0
    for line in range(len(offsets) - 1):
        longest = max(longest, offsets[line + 1] - offsets[line])
    words = longest // 2 + 2
    return np.empty(words, np.uint64), np.empty(words * word_ngrams, np.int64)


@kernel
def _score(
    data: Bytes,
    offsets: Counts,
    table: tuple[Hashes, Numbers, int, int],
    weights: tuple[Floats, Floats],
    scores: npt.NDArray[np.float64],
) -> None:
    hashes, features = _buffers(offsets, table[3])
    hidden = np.empty(weights[1].shape[1], np.float32)
    for line in range(len(scores)):
        count = _read_features(data[offsets[line] : offsets[line + 1]], table, hashes, features)
        # A line of nothing but unknown words has no feature and no score of its own.
        scores[line] = _predict(features[:count], weights, hidden) if count else 0.5


@kernel
def _train(
    data: Bytes,
    offsets: Counts,
    table: tuple[Hashes, Numbers, int, int],
    weights: tuple[Floats, Floats],
    course: tuple[Counts, Bytes, npt.NDArray[np.float64]],
) -> None:
    """One epoch: the lines of ``course`` in its order, with its labels and rates."""
    order, labels, rates = course
    inputs, outputs = weights
    hashes, features = _buffers(offsets, table[3])
    size = inputs.shape[1]
    hidden, change = np.empty(size, np.float32), np.empty(size, np.float32)
    for step in range(len(order)):
        line = order[step]
        count = _read_features(data[offsets[line] : offsets[line + 1]], table, hashes, features)
        if not count:
            continue
        positive = _predict(features[:count], weights, hidden)
        pull = np.float32(rates[step] * (labels[line] - positive))
        for place in range(size):
            change[place] = pull * (outputs[1, place] - outputs[0, place]) / np.float32(count)
            outputs[1, place] += pull * hidden[place]
            outputs[0, place] -= pull * hidden[place]
        for feature in features[:count]:
            for place in range(size):
                inputs[feature, place] += change[place]


@kernel
def _fill(inputs: Floats, seed: np.uint64) -> None:
    """Even numbers between -1 and 1 over the dimensions, as fastText begins."""
    rows, size = inputs.shape
    start = mix64(seed + np.uint64(1))
    for row in range(rows):
        for place in range(size):
            mixed = mix64(start + np.uint64(row * size + place)) >> np.uint64(40)
            inputs[row, place] = np.float32((np.int64(mixed) / 8388608.0 - 1) / size)


@kernel
def _rank(ranks: Hashes, seed: np.uint64, epoch: np.uint64) -> None:
    start = mix64(mix64(seed + np.uint64(2)) + epoch)
    for line in range(len(ranks)):
        ranks[line] = mix64(start + np.uint64(line))
