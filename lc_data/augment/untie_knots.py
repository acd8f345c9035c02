"""Untie the Knots (arXiv 2409.04774): chunks of several documents tangled in one row, tied together by ids.

Every document is cut into chunks. A chunk of a cut document begins with a knot that carries its id, and each but the
last ends with a knot that carries the id of the chunk that goes on. Chunks are shuffled across documents, each
document's own staying in order, and the last chunk of the last document is the last of all. After the last chunk of a
document the ids of its chunks follow in their order: to say them, the model has to find its way back through the row.
Loss counts on the text and on these ids, not on knots.

Ids are random numbers of a fixed width, distinct in a row, so that their order gives nothing away. Rows never run over:
what knots and answers take is known before documents are put together (the published code cuts what does not fit, the
answer among it).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from lc_data.augment.chunks import cut_chunks
from lc_data.augment.parts import ANSWER, ASK, HEAD, SOURCE, STOP, TAIL, Parts
from lc_data.packing.hashing import child_key, random_words
from lc_data.recipe.augment import UntieKnots

_CUTS, _ORDER, _IDS = range(3)


def knot_cost(chunks: npt.NDArray[np.int64], id_digits: int) -> npt.NDArray[np.int64]:
    """Return the made tokens of documents of so many chunks, int64 [n]: none for one that is not cut."""
    cost = (2 * chunks - 1) * (id_digits + 2) + 2 + chunks * id_digits
    return np.where(chunks > 1, cost, 0)


def untie_knots(
    document: npt.NDArray[np.int64],
    length: npt.NDArray[np.int64],
    chunks: npt.NDArray[np.int64],
    options: UntieKnots,
    key: int,
) -> Parts:
    """Return the parts of the row that these documents make, each cut into its number of ``chunks``."""
    owner, start, tokens = cut_chunks(length, chunks, options, child_key(key, _CUTS))
    labels = owner[np.argsort(random_words(child_key(key, _ORDER), len(owner)), kind="stable")]
    last = len(labels) - 1 - int(np.argmax(labels[::-1] == len(document) - 1))
    labels = np.append(np.delete(labels, last), labels[last])
    chosen = np.empty(len(owner), np.int64)
    chosen[np.argsort(labels, kind="stable")] = np.arange(len(owner))
    ids = distinct_numbers(child_key(key, _IDS), len(owner), 10**options.id_digits)
    made = int((2 * chunks + 1 + chunks)[chunks > 1].sum())  # heads, tails, answers, and what begins and ends these
    return Parts(*_emit(chosen, owner, start, tokens, ids, chunks, document, options.id_digits, len(owner) + made))


def distinct_numbers(key: int, count: int, below: int) -> npt.NDArray[np.int64]:
    """Return ``count`` different random numbers below a limit, int64; raises ValueError where there are too few."""
    if count > below:
        raise ValueError(f"{count} different numbers below {below}")
    if 4 * count > below:
        return np.argsort(random_words(key, below), kind="stable")[:count].astype(np.int64)
    drawn = (random_words(key, 2 * count + 16) % np.uint64(below)).astype(np.int64)
    _, first = np.unique(drawn, return_index=True)
    if len(first) < count:
        return np.argsort(random_words(key, below), kind="stable")[:count].astype(np.int64)
    return drawn[np.sort(first)[:count]]


@njit(cache=True)
def _emit(  # noqa: PLR0913, PLR0917 - a kernel takes arrays and numbers
    chosen: np.ndarray,
    owner: np.ndarray,
    start: np.ndarray,
    tokens: np.ndarray,
    ids: np.ndarray,
    chunks: np.ndarray,
    document: np.ndarray,
    id_digits: int,
    most: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Write down the chunks in the order ``chosen``, with what is made around them: the columns of :class:`Parts`."""
    role, source = np.empty(most, np.uint8), np.full(most, -1, np.int64)
    value, length = np.zeros(most, np.int64), np.empty(most, np.int32)
    first = np.cumsum(chunks) - chunks
    at = 0
    for chunk in chosen:
        mine = owner[chunk]
        place, count = chunk - first[mine], chunks[mine]
        if count > 1:
            role[at], value[at], length[at] = HEAD, ids[chunk], id_digits + 2
            at += 1
        role[at], source[at], value[at], length[at] = SOURCE, document[mine], start[chunk], tokens[chunk]
        at += 1
        if count > 1 and place < count - 1:
            role[at], value[at], length[at] = TAIL, ids[chunk + 1], id_digits + 2
            at += 1
        elif count > 1:
            role[at], length[at] = ASK, 1
            at += 1
            for other in range(first[mine], first[mine] + count):
                role[at], value[at], length[at] = ANSWER, ids[other], id_digits
                at += 1
            role[at], length[at] = STOP, 1
            at += 1
    return role[:at], source[:at], value[:at], length[:at]
