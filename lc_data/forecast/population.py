"""The documents of an estimate, and which of them are looked at closely.

All that was read is known by domain and size. What only the filter and the tokenizer can tell, whether a document
stays and how many tokens it has, is found out on a sample, drawn by stratum: a domain's documents of about one size (a
size octave: from 2^k bytes up to 2^(k+1)) stand for each other, so within a stratum every document has the same chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_DOCUMENTS = 10
"""Of every stratum so many are looked at, or all of it."""
LEAST_BYTES = 1 << 20
"""Of every stratum so much text is looked at, or all of it: short documents are cheap, and there are many of them."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LongUnseen:
    """Documents longer than the ranges that were read of a domain's files: a range in which none begins lies in one."""

    domain: int
    longer_than_bytes: float
    """The size of a range."""
    bytes: float
    """Bytes that they may have together."""
    factor: float
    """Of the source: what its documents stand for."""
    empty: int
    """Ranges in which no document begins."""


@dataclass(frozen=True)
class Population:
    """The documents that were read and are no duplicates of others; arrays [n]."""

    domain: Integers
    """Code of the domain."""
    size_bytes: Integers
    """UTF-8 bytes of the text."""
    cluster: Integers
    """Which piece of the input it was read with: documents of a piece may be alike."""
    factor: Floats
    """How many documents of the corpus it stands for: bytes of its source by bytes of it that were read, at least 1."""
    sized: Marks
    """Whether what was read of its source was whole documents, so that their bytes are the bytes that were read. A
    range of a file of lines gives the documents that begin in it, which may be longer or shorter than the range."""
    long_unseen: tuple[LongUnseen, ...] = ()

    @property
    def stratum(self) -> Integers:
        """Number of the domain x size octave, 64 for each domain."""
        return self.domain * 64 + np.frexp(np.maximum(self.size_bytes, 1).astype(np.float64))[1] - 1

    @property
    def is_whole(self) -> bool:
        """Whether everything was read, so that documents stand for themselves alone."""
        return bool((self.factor == 1).all())


def choose_sample(population: Population, wanted_bytes: int, seed: int, least_bytes: int = LEAST_BYTES) -> Marks:
    """Mark the documents to look at, bool [n]: about ``wanted_bytes`` of text, by stratum in proportion to its bytes.

    Of each stratum at least ``LEAST_DOCUMENTS`` and about ``least_bytes``, or all of one that has less.
    """
    size, stratum = population.size_bytes, population.stratum
    share = min(1.0, wanted_bytes / max(int(size.sum()), 1))
    # Ordered by stratum and, within it, by chance: the first of each are its sample.
    order = np.lexsort((np.random.default_rng(seed).random(len(size)), stratum))
    _, first, count = np.unique(stratum[order], return_index=True, return_counts=True)
    enough = least_bytes * count / np.maximum(np.add.reduceat(size[order], first), 1) if len(first) else count
    least = np.maximum(np.maximum(share * count, enough), LEAST_DOCUMENTS)
    wanted = np.minimum(np.ceil(least).astype(np.int64), count)
    place = np.arange(len(size)) - np.repeat(first, count)
    marks = np.zeros(len(size), bool)
    marks[order[place < np.repeat(wanted, count)]] = True
    return marks


@dataclass(frozen=True)
class Findings:
    """What became of a population's sampled documents; arrays [n]."""

    sampled: Marks
    tokens: Integers
    """Of a sampled document that stays; 0 for one that was dropped, and for all others."""

    @property
    def kept(self) -> Marks:
        """Sampled documents that stay."""
        return self.tokens > 0
