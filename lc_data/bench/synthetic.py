"""A packed run of random tokens, for measuring what comes after packing without a corpus at hand.

Every document ends with EOS, because that is all that some peers know of boundaries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from lc_data.bench.pack import draw_lengths
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import FileEntry, Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import WrittenTable
from lc_data.corpus.tokenized import TokenizerInfo
from lc_data.corpus.tokenized_writer import Stratum, TokenizedDocuments, span_lists, write_index, write_tokenized
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.recipe.load import parse_recipe
from lc_data.stages import balance, pack

_EOS = 1
TOKENIZER = TokenizerInfo("random", "tokenizer.json", "0" * 32, 50_000, None, eos_id=_EOS, pad_id=_EOS)
DOMAIN = "synthetic"


def write_packed_run(run: RunFolder, tokens: int, seq_len: int) -> None:
    """Write about so many random tokens as bucketed shards, and balance and pack them with the real stages."""
    recipe = parse_recipe(
        f"{{name: synthetic, sources: [{{name: a, kind: text, domain: {DOMAIN}, paths: [none]}}], "
        f"tokenizer: {{train: {{}}}}, pack: {{seq_len: {seq_len}}}, mixture: {{held_out: {{share: 0}}}}}}"
    )
    lengths = draw_lengths(tokens // 4000, seed=2).astype(np.uint32)
    _write_bucketed(run, lengths, recipe.bucket.edges_tokens)
    for stage in (balance.STAGE, pack.STAGE):
        bring_up_to_date(stage, recipe, run, SerialBackend())


def _write_bucketed(run: RunFolder, lengths: np.ndarray, edges: tuple[int, ...]) -> None:
    folder = run.stage("bucket").uri
    buckets = np.searchsorted(edges, lengths, side="right")
    ledger, entries, order, first = Ledger(), [], [], 0
    for bucket in np.unique(buckets).tolist():
        mine = lengths[buckets == bucket]
        count = int(mine.sum())
        entry = write_random_shard(folder, f"shards/{bucket}.arrow", mine, bucket)
        entries.append(entry.model_copy(update={"facts": entry.facts | {"first_document": first}}))
        order.append(np.flatnonzero(buckets == bucket))
        first += len(mine)
        ledger.come_in(DOMAIN, len(mine), count, count)
        ledger.keep(DOMAIN, len(mine), count, count)
    rows = np.concatenate(order)
    index = write_index(folder, lengths[rows], np.zeros(len(rows), np.int64), buckets[rows])
    mark = "synthetic".ljust(32, "0")
    manifest = Manifest(
        stage="bucket",
        fingerprint=mark,
        shards=entries,
        extra=[index],
        ledger=ledger,
        seed=0,
        facts=bucket_facts(edges),
    )
    write_manifest(run.stage("bucket").manifest_uri, manifest)


def write_random_shard(folder: str, name: str, lengths: np.ndarray, bucket: int) -> FileEntry:
    """Write one shard of random tokens below a stage's folder; the same for the same bucket and lengths."""
    count = int(lengths.sum(dtype=np.int64))
    tokens = np.random.default_rng([3, bucket]).integers(2, TOKENIZER.vocab_size, count, dtype=np.uint16)
    tokens[np.cumsum(lengths, dtype=np.int64) - 1] = _EOS
    documents = TokenizedDocuments(
        ids=pa.array([f"{bucket}-{row}" for row in range(len(lengths))], pa.string()),
        tokens=tokens,
        lengths=lengths,
        target_spans=span_lists([None] * len(lengths)),
        text_bytes=count,
    )
    return write_tokenized(WrittenTable(folder, name), documents, Stratum(DOMAIN, bucket), TOKENIZER, [DOMAIN])


def bucket_facts(edges: tuple[int, ...]) -> dict[str, Any]:
    """Return what the manifest of bucketed shards says of all of them."""
    return {
        "tokenizer": vars(TOKENIZER),
        "domains": [DOMAIN],
        "purposes": {DOMAIN: "pretrain"},
        "edges_tokens": list(edges),
    }
