"""MinHash signatures straight from Arrow text (Broder 1997), in the ``affine32`` scheme of datasketch 2.

A shingle's hash is cut to 32 bits, finalised, and sent through K affine permutations of the 32-bit integers; the least
value of each is kept. The signatures are datasketch's own for the same 32-bit shingle hashes, so that its estimates,
and its tests, hold here. Text is read once, in blocks; a signature takes K * 4 bytes whatever the document's size. The
sample of shingles that tells containment is taken in the same pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.dedup.shingles import next_shingles
from lc_data.text.buffers import text_buffers
from lc_data.text.characters import character_classes, lower_case
from lc_data.text.compile import Bytes, Hashes, Numbers, kernel
from lc_data.text.words import BLOCK_WORDS, mix64

_BAND = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class Signatures:
    """The signatures of a column of texts."""

    values: npt.NDArray[np.uint32]
    """uint32[rows, permutations]; all ones where a text has no shingle."""
    shingles: npt.NDArray[np.int64]
    """How many shingles each text has, repeats counted."""
    samples: list[npt.NDArray[np.uint64]]
    """The different shingles of each text that are in the sample, sorted."""


@cache
def permutations(count: int, seed: int = 1) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Factors and offsets of the affine permutations, drawn as datasketch draws them: uint32[count] each."""
    # datasketch defines its scheme by this old generator.
    draw = np.random.RandomState(seed)
    factors = 2 * draw.randint(0, 1 << 31, count, dtype=np.uint32) + np.uint32(1)
    return factors.astype(np.uint32), draw.randint(0, 1 << 32, count, dtype=np.uint32)


def sign(text: pa.Array, ngram_words: int, count: int, one_in: int | None = None) -> Signatures:
    """The MinHash signatures of texts over their word n-grams, with ``count`` permutations (0: none are made).

    In the same pass one shingle in ``one_in`` is sampled: those with a hash below ``2**64 // one_in``.
    """
    data, offsets = text_buffers(text)
    factors, shifts = permutations(count)
    values = np.full((len(text), count), 0xFFFFFFFF, np.uint32)
    shingles = np.zeros(len(text), np.int64)
    samples = []
    limit = np.uint64((1 << 64) // one_in if one_in is not None else 0)
    longest = int(np.diff(offsets).max(initial=0)) if one_in is not None else 0
    # A text of one repeated word may have all its shingles in the sample; memory never written is never used.
    sample = np.empty(longest // 2 + 1, np.uint64)
    scratch = (np.empty(BLOCK_WORDS + ngram_words - 1, np.uint64), np.empty(BLOCK_WORDS, np.uint64), sample)
    for row in range(len(text)):
        one_text = data[offsets[row] : offsets[row + 1]]
        shingles[row], sampled = _sign_text(
            one_text, (character_classes(), lower_case()), scratch, (factors, shifts), values[row], limit
        )
        samples.append(np.unique(sample[:sampled]))
    return Signatures(values, shingles, samples)


def band_keys(signatures: npt.NDArray[np.uint32], bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """The key of each band of each signature, different bands never sharing one but by chance: uint64[rows, bands]."""
    keys = np.empty((len(signatures), bands), np.uint64)
    _hash_bands(signatures, rows, keys)
    return keys


def estimate_jaccard(left: npt.NDArray[np.uint32], right: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
    """The estimated similarity of paired signatures: the share of equal values. Standard error sqrt(J(1-J)/K)."""
    return (left == right).mean(axis=1)


@kernel
def _sign_text(
    text: Bytes,
    tables: tuple[Bytes, Numbers],
    scratch: tuple[Hashes, Hashes, Hashes],
    affine: tuple[Numbers, Numbers],
    signature: Numbers,
    limit: np.uint64,
) -> tuple[int, int]:
    hashes, shingles, sample = scratch
    factors, shifts = affine
    at, held, total, sampled = 0, 0, 0, 0
    while at < len(text):
        at, held, count = next_shingles(text, at, held, tables, hashes, shingles)
        total += count
        for index in range(count):
            if shingles[index] < limit:
                sample[sampled] = shingles[index]
                sampled += 1
            value = np.uint32(shingles[index])
            value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
            value = np.uint32((value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
            value = np.uint32(value ^ (value >> np.uint32(16)))
            for k in range(len(signature)):
                signature[k] = min(signature[k], np.uint32(factors[k] * value + shifts[k]))
    return total, sampled


@kernel
def _hash_bands(signatures: Numbers, rows: int, keys: Hashes) -> None:
    for document in range(len(signatures)):
        for band in range(keys.shape[1]):
            value = np.uint64(band + 1) * _BAND
            for slot in range(band * rows, (band + 1) * rows):
                value = mix64(value ^ np.uint64(signatures[document, slot])) + _BAND
            keys[document, band] = value
