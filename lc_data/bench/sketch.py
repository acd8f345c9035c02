"""MinHash signatures over word 5-grams, from text: our kernel against datatrove, datasketch and rensa.

The last two take n-grams and leave making them to their user; they get the cheapest way there is in Python, words
between white space. All make 128 values a document.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lc_data.bench.peers import require_peers
from lc_data.bench.result import BenchResult, Work, compare_rates
from lc_data.bench.text import column_of, cut_documents, size_of
from lc_data.dedup.minhash import band_keys, sign

_NGRAM, _BANDS, _ROWS = 5, 16, 8


@dataclass(frozen=True)
class SketchSizes:
    """How much is measured: (characters of a document, number of ours, number of datatrove's, of the others')."""

    documents: tuple[tuple[int, int, int, int], ...] = ((2_000, 1_600, 300, 1_000), (400_000, 8, 2, 6))
    rounds: int = 3


def bench_sketch(sizes: SketchSizes | None = None) -> BenchResult:
    """Rates at each document size."""
    require_peers("sketch", "datatrove", "spacy", "datasketch", "rensa")
    sizes = sizes or SketchSizes()
    rows = []
    for size, count, slow, fast in sizes.documents:
        texts = cut_documents(size, count, seed=3)
        ours = Work(partial(sketch, column_of(texts)), size_of(texts))
        for peer, signer, number in (
            ("datatrove", sign_with_datatrove(), slow),
            ("datasketch", sign_with_datasketch, fast),
            ("rensa", sign_with_rensa, fast),
        ):
            sample = texts[:number]
            theirs = Work(partial(signer, sample), size_of(sample))
            rows.append(compare_rates(f"signatures, {size // 1000} KB documents", peer, ours, theirs, sizes.rounds))
    return BenchResult("sketch", rows)


def sketch(column: pa.Array) -> npt.NDArray[np.uint64]:
    """Our signatures and the keys of their bands: uint64[documents, bands]."""
    return band_keys(sign(column, _NGRAM, _BANDS * _ROWS).values, _BANDS, _ROWS)


def sign_with_datatrove() -> Callable[[list[str]], list[object]]:
    """Signatures by datatrove with its defaults: words by spaCy, 64-bit hashes."""
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    config = MinhashConfig(n_grams=_NGRAM, num_buckets=_BANDS, hashes_per_bucket=_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        step = MinhashDedupSignature(folder, config)

    def sign_all(texts: list[str]) -> list[object]:
        return [step.get_signature(step.get_shingles(text)) for text in texts]

    return sign_all


def sign_with_datasketch(texts: list[str]) -> list[object]:
    """Signatures by datasketch, all n-grams of a document in one call."""
    from datasketch import MinHash

    signatures = []
    for text in texts:
        signature = MinHash(num_perm=_BANDS * _ROWS)
        signature.update_batch([gram.encode() for gram in list_ngrams(text)])
        signatures.append(signature.digest())
    return signatures


def sign_with_rensa(texts: list[str]) -> list[object]:
    """Signatures by rensa, all documents in one call."""
    from rensa import RMinHash

    rows: list[object] = RMinHash.digest_matrix_from_token_sets(map(list_ngrams, texts), _BANDS * _ROWS, 1).to_rows()
    return rows


def list_ngrams(text: str) -> list[str]:
    """Word 5-grams as strings."""
    words = text.lower().split()
    return [" ".join(words[at : at + _NGRAM]) for at in range(len(words) - _NGRAM + 1)]
