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

from lc_data.dedup.shingles import drop_repeats, next_shingles
from lc_data.text.buffers import text_buffers
from lc_data.text.characters import character_classes, lower_case
from lc_data.text.compile import Bytes, Counts, Hashes, Numbers, kernel
from lc_data.text.words import BLOCK_WORDS, mix64

_BAND = np.uint64(0xD6E8FEB86659FD93)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_WIDER = np.uint64(8)
_SAMPLE_ROOM = 1 << 20
"""Sampled shingles that are collected in one call: room for 128 MB of text at one in 64."""


@dataclass(frozen=True)
class Signatures:
    """The signatures of a column of texts."""

    values: npt.NDArray[np.uint32]
    """uint32[rows, permutations]; all ones where a text has no shingle."""
    shingles: npt.NDArray[np.int64]
    """How many shingles each text has, repeats counted."""
    samples: list[npt.NDArray[np.uint64]]
    """The different shingles of each text that are in the sample, sorted."""
    sampled: npt.NDArray[np.int64]
    """How many of them each text has for lying below the bound, the rest being the least of a short text."""


@cache
def permutations(count: int, seed: int = 1) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Factors and offsets of the affine permutations, drawn as datasketch draws them: uint32[count] each."""
    # datasketch defines its scheme by this old generator.
    draw = np.random.RandomState(seed)
    factors = 2 * draw.randint(0, 1 << 31, count, dtype=np.uint32) + np.uint32(1)
    return factors.astype(np.uint32), draw.randint(0, 1 << 32, count, dtype=np.uint32)


def sign(text: pa.Array, ngram_words: int, count: int, one_in: int | None = None, least: int = 0) -> Signatures:
    """The MinHash signatures of texts over their word n-grams, with ``count`` permutations (0: none are made).

    In the same pass one shingle in ``one_in`` is sampled: those with a hash below ``2**64 // one_in``. Of a text that
    has fewer than ``least`` of those, the ``least`` shingles with the smallest hashes, or all that there are.
    """
    data, offsets = text_buffers(text)
    offsets = offsets.astype(np.int64)
    values = np.full((len(text), count), 0xFFFFFFFF, np.uint32)
    counts = np.zeros((len(text), 3), np.int64)
    limit = np.uint64((1 << 64) // one_in if one_in is not None else 0)
    # A text of one repeated word may have all its shingles in the sample; memory never written is never used.
    room = int((np.diff(offsets) // 2 + 1).max(initial=0)) if one_in is not None else 0
    scratch = (np.empty(BLOCK_WORDS + ngram_words - 1, np.uint64), np.empty(BLOCK_WORDS, np.uint64))
    affine, tables, samples = permutations(count), (character_classes(), lower_case()), []
    sample, row = np.empty(max(room, _SAMPLE_ROOM if one_in is not None else 0), np.uint64), 0
    while row < len(text):
        done = _sign_rows(
            (data, offsets[row:]), tables, (*scratch, sample), affine, (values[row:], counts[row:]), (limit, least)
        )
        row += done
        ends = np.cumsum(counts[row - done : row, 1])
        samples += np.split(sample[: ends[-1]].copy(), ends[:-1])
    return Signatures(values, counts[:, 0].copy(), samples, counts[:, 2].copy())


def band_keys(signatures: npt.NDArray[np.uint32], bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """The key of each band of each signature, different bands never sharing one but by chance: uint64[rows, bands]."""
    keys = np.empty((len(signatures), bands), np.uint64)
    _hash_bands(signatures, rows, keys)
    return keys


def estimate_jaccard(left: npt.NDArray[np.uint32], right: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
    """The estimated similarity of paired signatures: the share of equal values. Standard error sqrt(J(1-J)/K)."""
    return (left == right).mean(axis=1)


@kernel
def _sign_rows(
    text: tuple[Bytes, Counts],
    tables: tuple[Bytes, Numbers],
    scratch: tuple[Hashes, Hashes, Hashes],
    affine: tuple[Numbers, Numbers],
    out: tuple[Numbers, Counts],
    bound: tuple[np.uint64, int],
) -> int:
    """Sign texts until the room for samples may not hold another; returns how many are signed.

    ``out`` takes their signatures, and for each the shingles, how many different ones its sample has, and how many of
    them lie below the bound. One call from Python per text took as long as signing 700 bytes.
    """
    limit, least = bound
    data, offsets = text
    hashes, shingles, sample = scratch
    values, counts = out
    used, row = 0, 0
    while row < len(values):
        one_text = data[offsets[row] : offsets[row + 1]]
        if limit and used and len(sample) - used < len(one_text) // 2 + 1:
            break
        room = (hashes, shingles, sample[used:])
        wide = _widen(limit, len(one_text), least)
        total, sampled = _sign_text(one_text, tables, room, affine, values[row], wide)
        sample[used : used + sampled].sort()
        sampled = drop_repeats(sample[used : used + sampled])
        while sampled < least and wide < _ALL:
            wide = _ALL if wide >= _ALL // _WIDER else wide * _WIDER
            sampled = _sign_text(one_text, tables, room, affine, values[row, :0], wide)[1]
            sample[used : used + sampled].sort()
            sampled = drop_repeats(sample[used : used + sampled])
        below = int(np.searchsorted(sample[used : used + sampled], limit))
        sampled = below if below >= least else min(sampled, least)
        counts[row, 0], counts[row, 1], counts[row, 2] = total, sampled, below
        used += sampled
        row += 1
    return row


@kernel
def _widen(limit: np.uint64, size: int, least: int) -> np.uint64:
    """A bound below which a text of so many bytes has more than ``least`` shingles, mostly; at least ``limit``.

    What is kept does not depend on it: a text that has fewer after all is read once more.
    """
    wide = limit
    # A shingle in 8 bytes, and three times as many as are wanted.
    while wide < _ALL // _WIDER and np.float64(size) * np.float64(wide) < 24.0 * least * np.float64(_ALL):
        wide *= np.uint64(2)
    return wide


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
    values = np.empty(len(shingles), np.uint32)
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
            values[index] = value ^ (value >> np.uint32(16))
        # Permutations outside: each keeps its least value in a register. The other way round is a third slower.
        for k in range(len(signature)):
            least, factor, shift = signature[k], factors[k], shifts[k]
            for index in range(count):
                least = min(least, np.uint32(factor * values[index] + shift))
            signature[k] = least
    return total, sampled


@kernel
def _hash_bands(signatures: Numbers, rows: int, keys: Hashes) -> None:
    for document in range(len(signatures)):
        for band in range(keys.shape[1]):
            value = np.uint64(band + 1) * _BAND
            for slot in range(band * rows, (band + 1) * rows):
                value = mix64(value ^ np.uint64(signatures[document, slot])) + _BAND
            keys[document, band] = value
