"""Length histograms, in documents and in tokens.

Both are needed to see a long-context corpus: a bucket with 1% of the documents may hold half of the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LengthHistogram:
    """Documents and tokens of each domain and bucket: int64 [n_domains, n_buckets]."""

    documents: Counts
    tokens: Counts

    def document_shares(self) -> Shares:
        """Share of a domain's documents in each bucket, float64 [n_domains, n_buckets]: rows sum to 1, or are 0."""
        return _row_shares(self.documents)

    def token_shares(self) -> Shares:
        """Share of a domain's tokens in each bucket, float64 [n_domains, n_buckets]: rows sum to 1, or are 0."""
        return _row_shares(self.tokens)


def measure_lengths(
    length: npt.NDArray, domain: npt.NDArray, bucket: npt.NDArray, n_domains: int, n_buckets: int
) -> LengthHistogram:
    """Count documents and tokens from the columns of an index, each [n]. Exact up to 2^53 tokens in a cell.

    Raises ValueError for a domain code or bucket outside the table.
    """
    if len(length) and (int(domain.max()) >= n_domains or int(bucket.max()) >= n_buckets):
        raise ValueError(f"domain {int(domain.max())} or bucket {int(bucket.max())} outside {n_domains} x {n_buckets}")
    cell = domain.astype(np.int64) * n_buckets + bucket
    shape = (n_domains, n_buckets)
    documents = np.bincount(cell, minlength=n_domains * n_buckets)
    tokens = np.bincount(cell, weights=length, minlength=n_domains * n_buckets)
    return LengthHistogram(documents.astype(np.int64).reshape(shape), tokens.astype(np.int64).reshape(shape))


def _row_shares(counts: Counts) -> Shares:
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
