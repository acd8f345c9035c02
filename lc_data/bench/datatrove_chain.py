"""The chain as datatrove's own examples write it: filters, the four steps of MinHash, the tokenizer.

Run as ``python -m lc_data.bench.datatrove_chain FOLDER TOKENIZER WORKERS``; the last line printed is the wall seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter


def pipelines(folder: str, tokenizer: str, workers: int) -> list[tuple[int, list[Any]]]:
    """Each pipeline with its number of tasks."""
    work = f"{folder}-work"
    filtered = JsonlReader(f"{work}/filtered")
    config = MinhashConfig(n_grams=5, num_buckets=16, hashes_per_bucket=8)
    signatures, buckets, removed = (f"{work}/{name}" for name in ("signatures", "buckets", "removed"))
    return [
        (
            workers,
            [
                JsonlReader(folder),
                GopherQualityFilter(max_doc_words=None),
                GopherRepetitionFilter(),
                JsonlWriter(f"{work}/filtered", compression=None),
            ],
        ),
        (workers, [filtered, MinhashDedupSignature(signatures, config)]),
        (config.num_buckets, [MinhashDedupBuckets(signatures, buckets, config=config)]),
        (1, [MinhashDedupCluster(buckets, removed, config=config)]),
        (
            workers,
            [
                filtered,
                MinhashDedupFilter(removed),
                DocumentTokenizer(f"{work}/tokens", tokenizer, eos_token="<|endoftext|>", shuffle_documents=False),
            ],
        ),
    ]


def _main(folder: str, tokenizer: str, workers: str) -> None:
    started = time.perf_counter()
    for number, (tasks, pipeline) in enumerate(pipelines(folder, tokenizer, int(workers))):
        logs = f"{folder}-work/logs/{number}"
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=int(workers), logging_dir=logs).run()
        if not any(Path(f"{folder}-work/filtered").iterdir()):
            break  # Every document of the sample was dropped; the later steps refuse an empty folder.
    sys.stdout.write(f"\n{time.perf_counter() - started}\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
