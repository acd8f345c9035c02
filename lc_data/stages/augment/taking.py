"""Which documents are transformed: the end of what each stage of the mixture draws of each stratum.

A place in a stratum's stream is a number of tokens, so what is taken is an interval between two document ends, and
packing draws what lies before and behind it as it would have without. Only the index is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from lc_data.augment.chunks import count_chunks
from lc_data.augment.grouping import group_neighbours, interleave_strata
from lc_data.augment.untie_knots import knot_cost
from lc_data.corpus.fingerprint import child_seed
from lc_data.mixing.stream import DocumentStream
from lc_data.recipe.augment import Interleave, UntieKnots

_WHOLE = 1 << 62
"""A piece that no document is longer than."""


@dataclass(frozen=True)
class Interval:
    """What is taken of a draw: tokens ``low`` to ``high`` of a stratum's stream, both document ends."""

    stage: int
    stratum: int
    low: int
    high: int


@dataclass(frozen=True)
class Groups:
    """Documents that become derived ones, and those that were taken and stay as they are."""

    document: np.ndarray
    """int64 [members]: document numbers, group after group"""
    length: np.ndarray
    """int64 [members]"""
    chunks: np.ndarray
    """int64 [members]"""
    size: np.ndarray
    """int64 [groups]: members of each"""
    tokens: np.ndarray
    """int64 [groups]: of the derived document, made ones included"""
    left: np.ndarray
    """int64: documents that share a row with no other"""


def take_intervals(stream: DocumentStream, begin: int, tokens: int, shares: Sequence[float]) -> list[tuple[int, int]]:
    """Return the interval of each share of a draw, at its end, one after the other; empty ones have low = high."""
    whole = replace(stream, piece_tokens=_WHOLE)
    first = begin if _floor(stream, begin) == begin else _ceiling(stream, begin)
    last = _floor(stream, begin + tokens)
    if last <= first:
        return [(first, first)] * len(shares)
    behind = np.cumsum(list(shares)[::-1])[::-1]
    wanted = [begin + tokens - round(tokens * float(share)) for share in behind]
    edges = [min(max(whole.nearest_end(max(place, 0)), first), last) for place in wanted] + [last]
    return list(pairwise(edges))


def _floor(stream: DocumentStream, place: int) -> int:
    """The last document end that is not behind a place."""
    repeat, offset = divmod(place, stream.tokens)
    at = int(np.searchsorted(stream.ends, offset, side="right"))
    return repeat * stream.tokens + (int(stream.ends[at - 1]) if at else 0)


def _ceiling(stream: DocumentStream, place: int) -> int:
    """The first document end behind a place that is none."""
    repeat, offset = divmod(place, stream.tokens)
    return repeat * stream.tokens + int(stream.ends[int(np.searchsorted(stream.ends, offset, side="right"))])


def documents_of(stream: DocumentStream, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the documents of an interval and their tokens, int64, in drawing order."""
    pieces = replace(stream, piece_tokens=_WHOLE).draw(low, high, 0)
    return pieces.document, pieces.length.astype(np.int64)


def group_documents(
    strata: Sequence[tuple[np.ndarray, np.ndarray]], transform: UntieKnots | Interleave, room: int, key: int
) -> Groups:
    """Put what was taken of the strata of one domain, (documents, tokens) each, into groups that fit a row."""
    order = interleave_strata([len(document) for document, _ in strata])
    none = np.empty(0, np.int64)
    document = np.concatenate([none, *(document for document, _ in strata)])[order]
    length = np.concatenate([none, *(length for _, length in strata)])[order]
    chunks = count_chunks(length, transform, key)
    cost = length + knot_cost(chunks, transform.id_digits) if isinstance(transform, UntieKnots) else length
    group = group_neighbours(cost, room, transform.most_documents)
    mine = group >= 0
    # Documents too long for any group lie between those of one.
    by_group = np.flatnonzero(mine)[np.argsort(group[mine], kind="stable")]
    names, size = np.unique(group[mine], return_counts=True)
    tokens = np.bincount(np.searchsorted(names, group[mine]), weights=cost[mine], minlength=len(names))
    return Groups(
        document=document[by_group],
        length=length[by_group],
        chunks=chunks[by_group],
        size=size.astype(np.int64),
        tokens=tokens.astype(np.int64),
        left=document[~mine],
    )


def key_of(seed: int, transform: str, stage: int, domain: str) -> int:
    """Return the key of all random numbers for what one transform makes of a domain in a stage of the mixture."""
    return child_seed(seed, "augment", transform, stage, domain)
