"""Rows before they have an order: which pieces lie together. What every packing method gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lc_data.mixing.stream import Pieces


@dataclass(frozen=True)
class Rows:
    """The pieces of a block and the row of each; rows are numbered from 0 and none is empty."""

    pieces: Pieces
    row: np.ndarray
    """int64 [n_pieces]"""
    count: int
    unfinished: np.ndarray
    """bool [count]: rows that the next block's pieces may fill better"""

    def tokens_by_kind(self, kind_of_draw: np.ndarray) -> np.ndarray:
        """Return the tokens that each row holds of each kind of draw, float64 [count, kinds]."""
        kinds = int(kind_of_draw.max(initial=0)) + 1
        cells = self.row * kinds + kind_of_draw[self.pieces.draw]
        return np.bincount(cells, weights=self.pieces.length, minlength=self.count * kinds).reshape(-1, kinds)

    def work(self) -> np.ndarray:
        """Return the attention work of each row, the sum of its squared piece lengths, float64 [count].

        Exact up to 2^53: a row of 16M tokens has 2^48.
        """
        length = self.pieces.length.astype(np.float64)
        return np.bincount(self.row, weights=length * length, minlength=self.count)

    def longest(self) -> np.ndarray:
        """Return the longest piece of each row, int64 [count]."""
        longest = np.zeros(self.count, np.int64)
        np.maximum.at(longest, self.row, self.pieces.length)
        return longest

    @classmethod
    def of(cls, pieces: Pieces, row: np.ndarray, count: int, unfinished: np.ndarray | None = None) -> Rows:
        """Make rows, all of them finished unless it is said which are not."""
        return cls(pieces, row, count, np.zeros(count, bool) if unfinished is None else unfinished)
