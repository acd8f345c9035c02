"""Document lengths by domain, from the index alone: no shard is opened.

Bins are octaves: web pages and books differ by four orders of magnitude, so only a logarithmic axis shows both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.reports.content import DomainLengths, Lengths

CLASS_EDGES_TOKENS = (0, 4096, 8192, 16384, 32768)
"""The classes of the Index-1.9B-32K report, by which others can compare their corpora."""

STEP_EDGES_TOKENS = tuple(range(0, 32768 + 1, 4096))
"""Even steps over the lengths at which models are extended: octaves put half of that range into one bin."""

_FIRST_EDGE_TOKENS = 64


def bin_edges(longest_tokens: int) -> npt.NDArray[np.int64]:
    """Lower ends of the bins for lengths up to ``longest_tokens``: 0, 64, 128, 256, ..."""
    octaves = max(longest_tokens // _FIRST_EDGE_TOKENS, 1).bit_length()
    return np.concatenate([[0], _FIRST_EDGE_TOKENS << np.arange(octaves)]).astype(np.int64)


def bins_of(length: npt.NDArray[np.integer], edges: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """The bin of each length."""
    return np.searchsorted(edges, length, side="right") - 1


def measure_lengths(corpus: TokenizedCorpus) -> Lengths:
    """Lengths of every domain that has documents."""
    edges = bin_edges(int(corpus.length.max(initial=0)))  # those of plans, which hold derived documents as well
    length, domain = corpus.length[: corpus.bucketed_count], corpus.domain[: corpus.bucketed_count]
    domains = [
        _measure(name, np.asarray(length[domain == code], np.int64), edges) for code, name in enumerate(corpus.domains)
    ]
    return Lengths(
        edges_tokens=edges.tolist(),
        class_edges_tokens=list(CLASS_EDGES_TOKENS),
        step_edges_tokens=list(STEP_EDGES_TOKENS),
        domains=[domain for domain in domains if sum(domain.documents)],
    )


def _measure(name: str, length: npt.NDArray[np.int64], edges: npt.NDArray[np.int64]) -> DomainLengths:
    documents, tokens = _histogram(length, edges)
    class_documents, class_tokens = _histogram(length, np.array(CLASS_EDGES_TOKENS))
    step_documents, step_tokens = _histogram(length, np.array(STEP_EDGES_TOKENS))
    descending = np.sort(length)[::-1]
    reached = np.cumsum(descending)
    return DomainLengths(
        domain=name,
        documents=documents,
        tokens=tokens,
        class_documents=class_documents,
        class_tokens=class_tokens,
        step_documents=step_documents,
        step_tokens=step_tokens,
        longest_tokens=int(length.max(initial=0)),
        median_tokens=int(descending[(len(length) - 1) // 2]) if len(length) else 0,
        token_median_tokens=int(descending[np.searchsorted(reached, reached[-1] / 2)]) if len(length) else 0,
    )


def _histogram(length: npt.NDArray[np.int64], edges: npt.NDArray[np.int64]) -> tuple[list[int], list[int]]:
    bins = bins_of(length, edges)
    documents = np.bincount(bins, minlength=len(edges))
    # Sums of lengths are exact in float64 up to 2^53 tokens.
    tokens = np.bincount(bins, weights=length, minlength=len(edges)).astype(np.int64)
    return documents.tolist(), tokens.tolist()
