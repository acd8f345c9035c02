"""From band keys to clusters of documents, each way in a process of its own, so that its peak memory is its own.

Run as ``python -m lc_data.bench.clustering WAY FOLDER``, over what :func:`write_keys` wrote; prints one JSON object.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lc_data.dedup.buckets import Keyed, group_repeated, meeting_pairs, number_documents

_BANDS = 16
_ALL_PAIRS_UP_TO = 64
_CHUNK_DOCUMENTS = 1 << 16


@dataclass(frozen=True)
class Clustering:
    """What one way took, and what it found."""

    seconds: float
    peak_bytes: int
    """Above what the process held with the keys in memory."""
    clusters: int
    """Sets of two and more documents that are joined by shared keys."""


def write_keys(folder: str, keys: int, seed: int) -> None:
    """Write band keys of documents: three in ten share two fifths of theirs with one of a tenth of the others."""
    rng = np.random.default_rng(seed)
    documents = max(keys // _BANDS, 1)
    originals = np.arange(documents)
    copies = np.flatnonzero(rng.random(documents) < 0.3)
    originals[copies] = rng.integers(0, max(documents // 10, 1), len(copies))
    table = rng.integers(0, 1 << 64, (documents, _BANDS), dtype=np.uint64)
    shared = rng.random((documents, _BANDS)) < 0.4
    table = np.where(shared, table[originals], table)
    np.save(Path(folder) / "keys.npy", table.reshape(-1))
    np.save(Path(folder) / "bytes.npy", rng.integers(200, 20_000, documents))


def measure_clustering(way: str, folder: str) -> Clustering:
    """Run one way in a new process; ``way`` is ``grouping``, ``dictionary`` or ``sets``."""
    command = [sys.executable, "-m", "lc_data.bench.clustering", way, folder]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Clustering(**json.loads(found.stdout))


def cluster_by_grouping(keys: npt.NDArray[np.uint64], sizes: npt.NDArray[np.int64]) -> int:
    """Our way: the documents of repeated keys are put together, they give pairs, and the pairs connected components."""

    def chunks() -> Iterator[Keyed]:
        for first in range(0, len(sizes), _CHUNK_DOCUMENTS):
            documents = number_documents(first, min(_CHUNK_DOCUMENTS, len(sizes) - first))
            rows = slice(first * _BANDS, (first + len(documents)) * _BANDS)
            yield Keyed(keys[rows], np.repeat(documents, _BANDS))

    groups = group_repeated(chunks)
    pairs = meeting_pairs(groups, lambda documents: sizes[documents], _ALL_PAIRS_UP_TO)
    del groups
    # Components ask whether two documents are joined, not how often.
    edges = coo_matrix((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), (len(sizes), len(sizes)))
    _, labels = connected_components(edges, directed=False)
    return int((np.bincount(labels) > 1).sum())


def cluster_by_dictionary(keys: npt.NDArray[np.uint64], sizes: npt.NDArray[np.int64]) -> int:
    """The leanest dictionary way: from each key to its first document, and union-find as soon as a key is met again."""
    first: dict[int, int] = {}
    parent = list(range(len(sizes)))
    for start in range(0, len(keys), 1 << 16):
        for row, key in enumerate(keys[start : start + (1 << 16)].tolist(), start):
            document = row // _BANDS
            other = first.setdefault(key, document)
            if other != document:
                _join(parent, other, document)
    return _count_clusters(parent)


def cluster_by_sets(keys: npt.NDArray[np.uint64], sizes: npt.NDArray[np.int64]) -> int:
    """The dictionary way that deduplication scripts have: the set of documents of each key, then union-find over it."""
    documents_of: dict[int, set[int]] = defaultdict(set)
    for start in range(0, len(keys), 1 << 16):
        for row, key in enumerate(keys[start : start + (1 << 16)].tolist(), start):
            documents_of[key].add(row // _BANDS)
    parent = list(range(len(sizes)))
    for documents in documents_of.values():
        if len(documents) > 1:
            lowest = min(documents)
            for document in documents:
                _join(parent, lowest, document)
    return _count_clusters(parent)


def _join(parent: list[int], left: int, right: int) -> None:
    left, right = _root(parent, left), _root(parent, right)
    parent[max(left, right)] = min(left, right)


def _root(parent: list[int], document: int) -> int:
    while parent[document] != document:
        parent[document] = parent[parent[document]]
        document = parent[document]
    return document


def _count_clusters(parent: list[int]) -> int:
    counts = np.bincount([_root(parent, document) for document in range(len(parent))])
    return int((counts > 1).sum())


WAYS: dict[str, Callable[[npt.NDArray[np.uint64], npt.NDArray[np.int64]], int]] = {
    "grouping": cluster_by_grouping,
    "dictionary": cluster_by_dictionary,
    "sets": cluster_by_sets,
}


def _peak_bytes() -> int:
    """The most memory that this process has held; ``ru_maxrss`` would count what its parent held at the start."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) << 10
    unit = 1 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _main(way: str, folder: str) -> None:
    cluster = WAYS[way]
    cluster(np.arange(64, dtype=np.uint64), np.ones(4, np.int64))  # compiles
    keys, sizes = (np.load(Path(folder) / f"{name}.npy") for name in ("keys", "bytes"))
    held = _peak_bytes()
    started = time.process_time()
    clusters = cluster(keys, sizes)
    seconds = time.process_time() - started
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_bytes": _peak_bytes() - held, "clusters": clusters}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
