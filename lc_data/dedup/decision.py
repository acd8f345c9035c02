"""Who stays: the longest, and only what is verified to be like it goes.

The rule. Documents are taken from the longest to the shortest, equals by id. A document goes if a document that stays
has been verified to be its duplicate, else it stays. So every document that goes has a keeper that stays, is at least
as long, and was compared with it; nothing goes because it resembles something that resembles something. Taking
connected components instead is known to have removed 97 to 99% of a corpus of books.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Removals:
    """Documents that go, and for each the document that stays in its place and how alike they are."""

    documents: npt.NDArray[np.int64]
    keepers: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]


def order_documents(bytes: npt.NDArray[np.int64], ids: list[str]) -> npt.NDArray[np.int64]:  # noqa: A002
    """The place of each document from the longest to the shortest, equals by id: int64[documents]."""
    by_id = np.empty(len(ids), np.int64)
    by_id[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    places = np.empty(len(ids), np.int64)
    places[np.lexsort((by_id, -bytes))] = np.arange(len(ids))
    return places


def remove_copies(groups: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> Removals:
    """Of each group of equal documents all but the first in order go; ``documents`` and ``keepers`` are row numbers."""
    order = np.lexsort((places, groups))
    first = np.ones(len(order), bool)
    first[1:] = groups[order][1:] != groups[order][:-1]
    leaders = order[first][np.cumsum(first) - 1]
    return Removals(order[~first], leaders[~first], np.ones(int((~first).sum())))


def remove_near(
    pairs: npt.NDArray[np.int64], similarity: npt.NDArray[np.float64], places: npt.NDArray[np.int64]
) -> Removals:
    """Apply the rule to verified pairs: int64[pairs, 2] of row numbers into ``places``.

    Where several documents that stay are like the one that goes, its keeper is the most similar, equals by order.
    """
    left_first = places[pairs[:, 0]] < places[pairs[:, 1]]
    longer = np.where(left_first, pairs[:, 0], pairs[:, 1])
    shorter = np.where(left_first, pairs[:, 1], pairs[:, 0])
    order = np.lexsort((places[longer], -similarity, places[shorter]))
    keeper_of: dict[int, tuple[int, float]] = {}
    # In this order all pairs of a longer document are settled before it is asked whether it stays.
    for row in order.tolist():
        if int(shorter[row]) not in keeper_of and int(longer[row]) not in keeper_of:
            keeper_of[int(shorter[row])] = (int(longer[row]), float(similarity[row]))
    found = sorted(keeper_of.items())
    return Removals(
        np.array([document for document, _ in found], np.int64),
        np.array([keeper for _, (keeper, _) in found], np.int64),
        np.array([value for _, (_, value) in found], np.float64),
    )
