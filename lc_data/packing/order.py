"""The order of packs: what they hold is spread evenly over the plan, their attention work is levelled per batch.

Shuffled packs leave the domain shares of a 10M-token window of 32K rows several points off, because long documents
fill whole packs by themselves. Here packs are dealt out by error diffusion: at each place, of the next few packs of
every queue (a queue holds, shuffled, the packs that one draw dominates), the one is taken that brings the tokens dealt
so far nearest to the plan's shares, by domain and by length bucket. What is off at the end of a block is made up for in
the next one.

Then each global batch is sorted by the sum of squared segment lengths, so that ranks that work side by side wait for
each other less. A batch's contents do not change by it, but a window that cuts through a batch then holds its heaviest
or its lightest packs only, and those belong to few domains: about 3 points off on seven domains, where windows of whole
batches are within half a point. An optimizer step knows no order within itself, so it is whole batches that count;
``order: spread`` leaves the sorting out.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from lc_data.packing.hashing import child_key, random_words

_LOOK_AHEAD = 6
"""Packs of each queue that are considered at every place."""
_QUARTIC = 1.0
"""Weight of the fourth power of what is off: one kind far off is worse than several a little."""
_LEAD = 0.02
"""Weight of a queue's lead over its even pace, in packs squared: no queue is emptied early."""
_WINDOW_BATCHES = 16
_FEW = 48
"""Up to so many pieces are sorted by insertion."""


def spread(queue: np.ndarray, off: np.ndarray, ahead: np.ndarray, key: int) -> np.ndarray:
    """Return an order of packs, int64 [n_packs], in which every stretch holds its share of everything.

    ``queue`` is the queue of each pack, non-negative integers [n_packs]; ``off``, float64 [n_packs, n_kinds], how much
    more each pack holds of each kind than its share, in packs; ``ahead`` [n_kinds] what earlier packs hold too much.
    ``key`` shuffles the queues.
    """
    waiting = np.lexsort((random_words(key, len(queue)), queue))
    ends = np.cumsum(np.bincount(queue))
    return waiting[_diffuse(np.ascontiguousarray(off[waiting]), ends, ahead.astype(np.float64))]


def by_work_in_batches(order: np.ndarray, work: np.ndarray, batch_packs: int) -> np.ndarray:
    """Sort each run of ``batch_packs`` packs of an order by descending work, equal ones as they stood."""
    batch = np.arange(len(order)) // batch_packs
    return order[np.lexsort((-work[order], batch))]


def by_work_in_windows(order: np.ndarray, work: np.ndarray, batch_packs: int, key: int) -> np.ndarray:
    """Sort windows of 16 batches by descending work, and shuffle the batches of each; a last part batch stays last."""
    whole = len(order) // batch_packs * batch_packs
    head = by_work_in_batches(order[:whole], work, batch_packs * _WINDOW_BATCHES).reshape(-1, batch_packs)
    window = np.arange(len(head)) // _WINDOW_BATCHES
    shuffled = np.lexsort((random_words(child_key(key, 0), len(head)), window))
    return np.concatenate((head[shuffled].ravel(), by_work_in_batches(order[whole:], work, batch_packs)))


@njit(cache=True)
def _sort_few(pieces: np.ndarray, within: np.ndarray) -> None:
    """Sort pieces by ``within``, equal ones as they stood."""
    if len(pieces) > _FEW:
        pieces[:] = pieces[np.argsort(within[pieces], kind="mergesort")]
        return
    for end in range(1, len(pieces)):
        piece, slot = pieces[end], end
        while slot and within[pieces[slot - 1]] > within[piece]:
            pieces[slot] = pieces[slot - 1]
            slot -= 1
        pieces[slot] = piece


@njit(cache=True)
def by_place(
    row: np.ndarray, order: np.ndarray, rows: int, within: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort pieces by the place of their row in ``order``, then by ``within``, then as they stood.

    ``row`` and ``within`` are [n_pieces], ``order`` names some of ``rows`` rows. Returns the pieces whose row is named,
    the place of each one's row, both int64, and which piece of its row each is, int32. Counting places and inserting
    the few pieces of each is a tenth of the time of a sort.
    """
    place = np.full(rows, -1, np.int64)
    for at in range(len(order)):
        place[order[at]] = at
    ends = np.zeros(len(order) + 1, np.int64)
    for piece in range(len(row)):
        if place[row[piece]] >= 0:
            ends[place[row[piece]] + 1] += 1
    for at in range(len(order)):
        ends[at + 1] += ends[at]
    begins = ends[:-1].copy()
    pieces = np.empty(ends[-1], np.int64)
    for piece in range(len(row)):
        at = place[row[piece]]
        if at >= 0:
            pieces[ends[at]] = piece
            ends[at] += 1
    places, nth = np.empty(len(pieces), np.int64), np.empty(len(pieces), np.int32)
    for at in range(len(order)):
        _sort_few(pieces[begins[at] : ends[at]], within)
        for slot in range(begins[at], ends[at]):
            places[slot], nth[slot] = at, slot - begins[at]
    return pieces, places, nth


@njit(cache=True)
def _diffuse(off: np.ndarray, ends: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Merge queues, consecutive rows that end at ``ends``, so that running sums stay near zero; of equals the first.

    Plain float64 sums in a fixed order, so the result is the same on every machine. Giving a
    pack up once its sum exceeds the best is slower: mispredicted branches cost more than the arithmetic.
    """
    packs, kinds = off.shape
    heads = np.concatenate((np.zeros(1, ends.dtype), ends[:-1]))
    begins = heads.copy()
    rest = np.arange(packs)
    sums = ahead.copy()
    order = np.empty(packs, np.int64)
    for place in range(packs):
        best, least = -1, np.inf
        for queue in range(len(ends)):
            size = ends[queue] - begins[queue]
            lead = max(0.0, heads[queue] + 1 - begins[queue] - size * (place + 1.0) / packs)
            for at in range(heads[queue], min(heads[queue] + _LOOK_AHEAD, ends[queue])):
                error = _LEAD * lead * lead
                for kind in range(kinds):
                    value = sums[kind] + off[rest[at], kind]
                    square = value * value
                    error += square + _QUARTIC * square * square
                if error < least:
                    best, least, chosen_queue = at, error, queue
        head = heads[chosen_queue]
        rest[head], rest[best] = rest[best], rest[head]
        order[place] = rest[head]
        for kind in range(kinds):
            sums[kind] += off[rest[head], kind]
        heads[chosen_queue] = head + 1
    return order
