"""From keys to pairs: documents that share a key are candidates for being the same.

Most keys are there once, and sorting them all to find those that are not was most of the work. Instead the rows, of 12
bytes, are spread by a hash of their key into parts that fit a core's cache, and in each a table of slots tells which
keys repeat; only their documents are put together. Ten million keys, of which a fifth repeat, take 0.4 s to their
components and 14 bytes each; the leanest dictionary with union-find takes 16 times as long and eight times as much.

A bucket of m documents has m(m-1)/2 pairs; one page footer shared by a million documents must not become 10^12 of them,
so in large buckets each document meets only the first ones, of which the keeper will be, and its neighbours in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lc_data.dedup.shingles import drop_repeats
from lc_data.failure import Failure
from lc_data.text.compile import Bytes, Counts, Hashes, Numbers, kernel
from lc_data.text.words import mix64

MAX_DOCUMENTS = 1 << 32
"""Document numbers take four bytes."""
_REACH = 8
_PART_KEYS = 1 << 12
_PART_BITS = 12
"""At most: more parts than this are more places to write to than a core's address cache holds."""
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


class TooManyDocumentsError(Failure):
    """There are more documents than numbers for them."""


@dataclass(frozen=True)
class Keyed:
    """Documents under their keys, one row for each document and key."""

    keys: npt.NDArray[np.uint64]
    documents: npt.NDArray[np.uint32]
    settled: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    """The rows of documents that are settled already are left out: bit ``d % 8`` of byte ``d // 8`` is set, where ``d``
    counts from ``first``. Empty where none is."""
    first: int = 0


@dataclass(frozen=True)
class Groups:
    """The documents of each key that is there more than once, key by key in no order that means anything."""

    documents: npt.NDArray[np.uint32]
    """Within a group in the order in which they came in."""
    borders: npt.NDArray[np.int64]
    """Where each group starts, and after the last one the number of rows."""


Weigh = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
"""The weights of different documents, sorted by number: the heaviest are met in large buckets."""


def require_numbers(documents: int) -> None:
    """Raise :class:`TooManyDocumentsError` where so many documents cannot be numbered."""
    if documents > MAX_DOCUMENTS:
        raise TooManyDocumentsError(
            f"{documents:,} documents: dedupe numbers at most {MAX_DOCUMENTS:,}. Make several recipes of the sources, "
            "each for a part of them, and deduplicate the parts"
        )


def number_documents(first: int, count: int) -> npt.NDArray[np.uint32]:
    """The numbers of ``count`` documents from ``first`` on; :class:`TooManyDocumentsError` where there are none."""
    require_numbers(first + count)
    return np.arange(first, first + count, dtype=np.uint32)


def group_repeated(chunks: Callable[[], Iterable[Keyed]]) -> Groups:
    """The documents of every key that at least two rows have. ``chunks`` is called twice and gives the same rows.

    Takes 12 bytes a row.
    """
    bits = min(_PART_BITS, (sum(len(chunk.keys) for chunk in chunks()) // _PART_KEYS).bit_length())
    sizes = np.zeros(1 << bits, np.int64)
    for chunk in chunks():
        _count_parts(chunk.keys, chunk.documents, (chunk.settled, chunk.first), sizes)
    borders = np.concatenate([[0], np.cumsum(sizes)])
    keys, documents = np.empty(borders[-1], np.uint64), np.empty(borders[-1], np.uint32)
    places = borders[:-1].copy()
    for chunk in chunks():
        _spread(chunk.keys, chunk.documents, (chunk.settled, chunk.first), places, (keys, documents))
    groups, rows = _group_parts(keys, documents, borders)
    starts = np.append(keys[:groups].astype(np.int64), rows)
    del keys
    documents.resize(rows, refcheck=False)
    return Groups(documents, starts)


def meeting_pairs(groups: Groups, weigh: Weigh, all_pairs_up_to: int) -> npt.NDArray[np.uint32]:
    """Pairs of documents that share a key, as often as they share one: uint32[pairs, 2].

    In groups of more than ``all_pairs_up_to`` documents each is paired with the 8 heaviest and with the 8 next heavier
    than itself, equals by number.
    """
    documents = _order_large(groups, weigh, all_pairs_up_to)
    pairs = np.empty((_pair(documents, groups.borders, all_pairs_up_to, np.empty((0, 2), np.uint32)), 2), np.uint32)
    _pair(documents, groups.borders, all_pairs_up_to, pairs)
    return pairs


def candidate_pairs(groups: Groups, weigh: Weigh, all_pairs_up_to: int) -> npt.NDArray[np.int64]:
    """Different documents of :func:`meeting_pairs`, the smaller number first, sorted and each once: int64[pairs, 2]."""
    return unique_pairs(meeting_pairs(groups, weigh, all_pairs_up_to))


def unique_pairs(pairs: npt.NDArray[np.int64] | npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Pairs with the smaller number first, sorted, each once and none of a document with itself: int64[pairs, 2]."""
    packed = pack_pairs(pairs[pairs[:, 0] != pairs[:, 1]])
    packed.sort()
    return unpack_pairs(packed[: drop_repeats(packed)])


def pack_pairs(pairs: npt.NDArray[np.int64] | npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """Each pair as one number, that sorts as the pair with its smaller document first does: uint64[pairs]."""
    packed = np.minimum(pairs[:, 0], pairs[:, 1]).astype(np.uint64)
    packed <<= _HALF
    packed |= np.maximum(pairs[:, 0], pairs[:, 1]).astype(np.uint64)
    return packed


def unpack_pairs(packed: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Pairs from the numbers of :func:`pack_pairs`: int64[pairs, 2]."""
    pairs = np.empty((len(packed), 2), np.int64)
    pairs[:, 0], pairs[:, 1] = packed >> _HALF, packed & _LOW
    return pairs


def partition_of(keys: npt.NDArray[np.uint64], partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each key by its highest bits; ``partitions`` is a power of two."""
    bits = partitions.bit_length() - 1
    if partitions != 1 << bits:
        raise ValueError(f"{partitions} partitions: a power of two is needed")
    return (keys >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(keys), np.int64)


def group_equal(keys: Hashes) -> npt.NDArray[np.int64]:
    """A number for each row of uint64[rows, columns], the same for equal rows: int64[rows]."""
    order = np.lexsort(keys.T[::-1])
    ordered = keys[order]
    new = np.ones(len(keys), np.int64)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    groups = np.empty(len(keys), np.int64)
    groups[order] = np.cumsum(new) - 1
    return groups


def _order_large(groups: Groups, weigh: Weigh, all_pairs_up_to: int) -> npt.NDArray[np.uint32]:
    """The same documents, those of large groups from the heaviest to the lightest."""
    sizes = np.diff(groups.borders)
    large = np.flatnonzero(sizes > all_pairs_up_to)
    if not len(large):
        return groups.documents
    rows = np.concatenate([np.arange(groups.borders[group], groups.borders[group + 1]) for group in large.tolist()])
    numbers, places = np.unique(groups.documents[rows], return_inverse=True)
    heavy = weigh(numbers.astype(np.int64))[places]
    documents = groups.documents.copy()
    order = np.lexsort((groups.documents[rows], -heavy, np.repeat(large, sizes[large])))
    documents[rows] = groups.documents[rows[order]]
    return documents


@kernel
def _is_settled(settled: tuple[Bytes, int], document: np.int64) -> bool:
    bits, first = settled
    place = document - first
    return len(bits) > 0 and bool((bits[place >> 3] >> np.uint8(place & 7)) & 1)


@kernel
def _part_shift(parts: int) -> np.uint64:
    """How far a mixed key is shifted right to leave the number of its part, of a power of two of them."""
    bits = 0
    while 1 << bits < parts:
        bits += 1
    return np.uint64(64 - bits)


@kernel
def _count_parts(keys: Hashes, documents: Numbers, settled: tuple[Bytes, int], sizes: Counts) -> None:
    shift = _part_shift(len(sizes))
    for row in range(len(keys)):
        if not _is_settled(settled, np.int64(documents[row])):
            sizes[np.int64(mix64(keys[row]) >> shift) if len(sizes) > 1 else 0] += 1


@kernel
def _spread(
    keys: Hashes, documents: Numbers, settled: tuple[Bytes, int], places: Counts, out: tuple[Hashes, Numbers]
) -> None:
    """Write rows to the next place of their part; keys mixed, since equal ones are all that is asked for."""
    out_keys, out_documents = out
    shift = _part_shift(len(places))
    for row in range(len(keys)):
        if _is_settled(settled, np.int64(documents[row])):
            continue
        key = mix64(keys[row])
        part = np.int64(key >> shift) if len(places) > 1 else 0
        place = places[part]
        out_keys[place], out_documents[place] = key, documents[row]
        places[part] = place + 1


@kernel
def _group_parts(keys: Hashes, documents: Numbers, borders: Counts) -> tuple[int, int]:
    """Move the documents of repeated keys together at the front of ``documents``; returns groups and rows.

    The start of each group is left at the front of ``keys``: a group has two rows at least, so neither is written
    beyond what has been read.
    """
    groups, rows = 0, 0
    largest = 0
    for part in range(len(borders) - 1):
        largest = max(largest, borders[part + 1] - borders[part])
    slots = 16
    while slots < 2 * largest:
        slots *= 2
    slot_keys, slot_counts = np.empty(slots, np.uint64), np.empty(slots, np.int32)
    slot_of, held = np.empty(largest, np.int32), np.empty(largest, np.uint32)
    for part in range(len(borders) - 1):
        first, size = borders[part], borders[part + 1] - borders[part]
        slots = 16
        while slots < 2 * size:
            slots *= 2
        slot_counts[:slots] = 0
        for row in range(size):
            key = keys[first + row]
            slot = np.int64(key & np.uint64(slots - 1))
            while slot_counts[slot] and slot_keys[slot] != key:
                slot = (slot + 1) & (slots - 1)
            slot_keys[slot] = key
            slot_counts[slot] += 1
            slot_of[row], held[row] = slot, documents[first + row]
        base = rows
        for row in range(size):
            slot = slot_of[row]
            count = slot_counts[slot]
            if count > 1:
                # Met for the first time: its place is taken, and from now on the slot holds the next one, negative.
                keys[groups] = base
                groups += 1
                slot_counts[slot] = -(base - rows) - 1
                base += count
            if count > 1 or count < 0:
                place = -slot_counts[slot] - 1
                documents[rows + place] = held[row]
                slot_counts[slot] -= 1
        rows = base
    return groups, rows


@kernel
def _pair(documents: Numbers, borders: Counts, all_pairs_up_to: int, out: Numbers) -> int:
    """Write the pairs of each group into ``out`` where it has room; returns how many there are."""
    count = 0
    for group in range(len(borders) - 1):
        first, last = borders[group], borders[group + 1]
        small = last - first <= all_pairs_up_to
        for right in range(first + 1, last):
            heaviest = right if small else min(right, first + _REACH)
            for left in range(first, heaviest):
                count = _add(documents[left], documents[right], out, count)
            for left in range(max(heaviest, right - _REACH), right):
                count = _add(documents[left], documents[right], out, count)
    return count


@kernel
def _add(left: int, right: int, out: Numbers, count: int) -> int:
    if count < len(out):
        out[count, 0], out[count, 1] = left, right
    return count + 1
