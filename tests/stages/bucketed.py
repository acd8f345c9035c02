"""A bucket stage's output, made directly: documents of given lengths whose tokens say where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import WrittenTable
from lc_data.corpus.tokenized import TokenizerInfo
from lc_data.corpus.tokenized_writer import (
    Stratum,
    TokenizedDocuments,
    span_lists,
    write_columns,
    write_index,
    write_tokenized,
)

TOKENIZER = TokenizerInfo("bytes", "tokenizer.json", "0" * 32, 1000, None, 1, 1)


def write_bucketed(
    run: RunFolder,
    lengths: dict[str, list[int]],
    edges: tuple[int, ...],
    sft: tuple[str, ...] = (),
    columns: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
) -> None:
    """Publish RUN/bucket with one shard per domain x bucket, in the order of the lengths given.

    ``columns`` are functions of all documents' lengths; NaN is a missing value.
    """
    folder, domains = run.stage("bucket"), sorted(lengths)
    ledger, entries, rows, first = Ledger(), [], [], 0
    for code, domain in enumerate(domains):
        buckets = np.searchsorted(edges, lengths[domain], side="right")
        for bucket in sorted(set(buckets.tolist())):
            mine = np.array(lengths[domain], np.uint32)[buckets == bucket]
            documents = TokenizedDocuments(
                ids=pa.array([f"{domain}-{bucket}-{row}" for row in range(len(mine))], pa.string()),
                tokens=(np.arange(int(mine.sum())) % 1000).astype(np.uint16),
                lengths=mine,
                target_spans=span_lists([None] * len(mine)),
                text_bytes=int(mine.sum()),
            )
            target = WrittenTable(folder.uri, f"shards/{domain}-{bucket}.arrow")
            entry = write_tokenized(target, documents, Stratum(domain, bucket), TOKENIZER, domains)
            entries.append(entry.model_copy(update={"facts": entry.facts | {"first_document": first}}))
            rows += [(length, code, bucket) for length in mine.tolist()]
            first += len(mine)
            ledger.come_in(domain, len(mine), int(mine.sum()))
            ledger.keep(domain, len(mine), int(mine.sum()), int(mine.sum()))
            ledger.transform(domain, "tokenised", 0, 0, int(mine.sum()))
    table = [np.array([row[i] for row in rows], np.int64) for i in range(3)]
    extra = [write_index(folder.uri, *table)]
    if columns:
        values = {name: pa.array(make(table[0]), pa.float32(), from_pandas=True) for name, make in columns.items()}
        extra.append(write_columns(folder.uri, values))
    facts = {
        "tokenizer": vars(TOKENIZER),
        "domains": domains,
        "purposes": {domain: "sft" if domain in sft else "pretrain" for domain in domains},
        "edges_tokens": list(edges),
        "columns": {"names": list(columns or {})},
    }
    manifest = Manifest(
        stage="bucket", fingerprint="f" * 32, shards=entries, extra=extra, ledger=ledger, seed=0, facts=facts
    )
    write_manifest(folder.manifest_uri, manifest)
