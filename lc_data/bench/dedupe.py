"""Deduplication: clustering many keys against the dictionary way, and what the whole stage finds of planted copies."""

from __future__ import annotations

import json
import random
import statistics
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lc_data.bench.books import make_books, plant_books
from lc_data.bench.clustering import Clustering, measure_clustering, write_keys
from lc_data.bench.dedupe_text import make_documents
from lc_data.bench.peers import require_peers
from lc_data.bench.result import BenchResult, BenchRow
from lc_data.bench.text import edit
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import read_table
from lc_data.recipe.load import parse_recipe
from lc_data.stages.chain import run_chain
from lc_data.text.reference import list_content_words

_NGRAM, _THRESHOLD = 5, 0.8
_EDIT_RATES = (0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.05, 0.1)


@dataclass(frozen=True)
class DedupeSizes:
    """How much is measured."""

    keys: int = 10_000_000
    rounds: int = 3
    planted: int = 1_500
    document_chars: int = 2_000
    books: int = 16
    book_chars: int = 400_000
    unrelated: int = 1_000
    unrelated_words: int = 12_000


def bench_dedupe(sizes: DedupeSizes | None = None) -> BenchResult:
    """Time and memory of clustering; recall and precision of the stage on planted near-duplicates."""
    require_peers("dedupe", "datasketch")
    sizes = sizes or DedupeSizes()
    return BenchResult("dedupe", [*compare_clustering(sizes), *compare_found(sizes), *compare_books(sizes)])


def compare_clustering(sizes: DedupeSizes) -> list[BenchRow]:
    """Seconds of a core and peak memory beyond the keys, and whether all find the same number of clusters."""
    peers = {"dictionary": "a dictionary and union-find", "sets": "a dictionary of sets and union-find"}
    with tempfile.TemporaryDirectory() as folder:
        write_keys(folder, sizes.keys, seed=4)
        rounds = [[measure_clustering(way, folder) for way in ("grouping", *peers)] for _ in range(sizes.rounds)]
    ours, *others = (_median(way) for way in zip(*rounds, strict=True))
    what, rows = f"clustering {sizes.keys:,} keys", []
    for peer, theirs in zip(peers.values(), others, strict=True):
        for name, unit, mine, other in (
            ("time", "s of a core", ours.seconds, theirs.seconds),
            ("peak memory", "MB", ours.peak_bytes / 1e6, theirs.peak_bytes / 1e6),
        ):
            rows.append(BenchRow(f"{what}: {name}", unit, mine, peer, other, other / mine))
        found = ours.clusters / theirs.clusters
        rows.append(BenchRow(f"{what}: found", "clusters", ours.clusters, peer, theirs.clusters, found))
    return rows


def compare_found(sizes: DedupeSizes) -> list[BenchRow]:
    """Recall and precision on pairs whose true Jaccard of word 5-grams, from Python sets, is at least 0.8."""
    plain = make_documents(sizes.document_chars, sizes.planted, seed=5)
    rng = random.Random(5)
    copies = [edit(text, _EDIT_RATES[row % len(_EDIT_RATES)], rng) for row, text in enumerate(plain)]
    grams = [_ngrams(text) for text in (*plain, *copies)]
    planted = {(row, sizes.planted + row) for row in range(sizes.planted)}
    true = {pair for pair in planted if _jaccard(grams, pair) >= _THRESHOLD}
    peer = "datasketch's LSH, 16 x 8, unverified"
    rows = []
    scores = [_score(found, true, grams) for found in (find_with_stage([*plain, *copies]), find_with_datasketch(grams))]
    for name, ours, theirs in zip(("recall", "precision"), *scores, strict=True):
        unit = f"share of {len(true):,} pairs" if name == "recall" else "share of pairs found"
        rows.append(BenchRow(f"planted near-duplicates: {name}", unit, ours, peer, theirs, ours / theirs))
    return rows


def compare_books(sizes: DedupeSizes) -> list[BenchRow]:
    """The share of planted excerpts and editions that goes, and of unrelated books that stays."""
    planted = plant_books(sizes.books, sizes.book_chars, seed=9)
    gone = {document for document, _, _ in remove_with_stage(planted.texts)}
    rows = []
    for kind, places in planted.kinds.items():
        share = len(gone.intersection(places)) / len(places)
        unit = f"share of {len(places)} found"
        rows.append(BenchRow(f"planted in {sizes.book_chars // 1000} KB books: {kind}", unit, share, "all", 1.0, share))
    books = make_books(sizes.unrelated, sizes.unrelated_words, seed=10)
    kept, peer_kept = len(books) - len(remove_with_stage(books)), count_clusters_by_characters(books)
    peer = "character 5-grams and transitive closure"
    return [*rows, BenchRow("unrelated books", "kept", kept, peer, peer_kept, kept / peer_kept)]


def count_clusters_by_characters(texts: list[str]) -> int:
    """How many documents are left by one that joins all whose MinHash of character 5-grams shares one band of 16."""
    grams = [{text[at : at + _NGRAM] for at in range(len(text) - _NGRAM + 1)} for text in texts]
    pairs = np.array(sorted(find_with_datasketch(grams)), np.int64).reshape(-1, 2)
    edges = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(texts), len(texts)))
    return int(connected_components(edges, directed=False)[0])


def find_with_stage(texts: list[str]) -> set[tuple[int, int]]:
    """Each document that the stage removes as an exact or near copy, as a pair with its keeper."""
    copies = ("exact_duplicate", "near_duplicate")
    return {_ordered(document, keeper) for document, keeper, reason in remove_with_stage(texts) if reason in copies}


def remove_with_stage(texts: list[str]) -> list[tuple[int, int, str]]:
    """What the stage removes with its defaults: document, keeper and reason."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "documents.jsonl"
        with source.open("w") as out:
            out.writelines(json.dumps({"id": f"{row}", "text": text}) + "\n" for row, text in enumerate(texts))
        recipe = parse_recipe(
            json.dumps({
                "name": "planted",
                "sources": [{"name": "planted", "kind": "jsonl", "domain": "text", "paths": [str(source)]}],
                "dedupe": {"max_loss": 1.0},
                "tokenizer": {"train": {}},
                "engine": {"backend": "serial"},
            })
        )  # fmt: skip
        run = RunFolder(str(Path(folder) / "run"))
        *_, report = run_chain(recipe, run, "dedupe")
        dropped = [read_table(run.stage("dedupe").file(entry.file)) for entry in report.manifest.dropped]
        rows = pa.concat_tables(dropped).to_pylist() if dropped else []
    return [(int(row["id"]), int(json.loads(row["detail"])["keeper"]), row["reason"]) for row in rows]


def find_with_datasketch(grams: list[set[str]]) -> set[tuple[int, int]]:
    """The pairs that share a band in datasketch's index, taken as they are."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=128, params=(16, 8))
    found = set()
    for row, texts in enumerate(grams):
        signature = MinHash(num_perm=128)
        signature.update_batch([text.encode() for text in texts])
        found |= {_ordered(int(other), row) for other in index.query(signature)}
        index.insert(str(row), signature)
    return found


def _score(found: set[tuple[int, int]], true: set[tuple[int, int]], grams: list[set[str]]) -> tuple[float, float]:
    right = [pair for pair in found if _jaccard(grams, pair) >= _THRESHOLD]
    return len(found & true) / len(true), len(right) / max(len(found), 1)


def _ngrams(text: str) -> set[str]:
    words = list_content_words(text)
    return {" ".join(words[at : at + _NGRAM]) for at in range(len(words) - _NGRAM + 1)}


def _jaccard(grams: list[set[str]], pair: tuple[int, int]) -> float:
    left, right = (grams[row] for row in pair)
    return len(left & right) / max(len(left | right), 1)


def _ordered(left: int, right: int) -> tuple[int, int]:
    return min(left, right), max(left, right)


def _median(rounds: Iterable[Clustering]) -> Clustering:
    found = list(rounds)
    seconds = statistics.median(each.seconds for each in found)
    return Clustering(seconds, int(statistics.median(each.peak_bytes for each in found)), found[0].clusters)
