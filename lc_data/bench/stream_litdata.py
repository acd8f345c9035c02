"""LitData's TokensLoader over the same tokens, in chunks that are written here.

Its ``optimize`` is not called: it empties the folders that it takes for its caches. A chunk of tokens is a header of
32-bit numbers (items, where each begins, where the last ends) and the tokens; ``index.json`` says how many and of which
type. A chunk of 64 MB, one item in each, is its default.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lc_data.bench.stream_layout import Layout, Pass
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus

_CHUNK_BYTES = 1 << 26
_INT32 = 15
"""LitData's number for the type."""
_ONE_LEAF = [1, {"type": None, "context": None, "children_spec": []}]
"""torch's name for a sample that is one tensor and no structure."""


def write_litdata(layout: Layout) -> None:
    """All tokens of the run, document after document."""
    folder = Path(layout.folder)
    folder.mkdir()
    chunks = []
    for number, tokens in enumerate(_cut(TokenizedCorpus.open(RunFolder(layout.run)), _CHUNK_BYTES // 4)):
        name, bounds = f"chunk-0-{number}.bin", np.array([1, 12, 12 + tokens.nbytes], np.uint32)
        folder.joinpath(name).write_bytes(bounds.tobytes() + tokens.tobytes())
        size = bounds.nbytes + tokens.nbytes
        chunks.append({"chunk_bytes": size, "chunk_size": 1, "dim": len(tokens), "filename": name})
    config = {
        "compression": None,
        "chunk_size": None,
        "chunk_bytes": _CHUNK_BYTES,
        "data_format": [f"no_header_tensor:{_INT32}"],
        "data_spec": json.dumps(_ONE_LEAF),
        "encryption": None,
        "item_loader": "TokensLoader",
    }
    folder.joinpath("index.json").write_text(json.dumps({"chunks": chunks, "config": config}))


def read_litdata(layout: Layout) -> Pass:
    """Rows of bare tokens, cut wherever a row ends; what is left of a chunk is dropped."""
    from litdata import StreamingDataset, TokensLoader

    rows = StreamingDataset(layout.folder, item_loader=TokensLoader(layout.seq_len), shuffle=False)
    return lambda: sum(map(len, rows))


def _cut(corpus: TokenizedCorpus, size: int) -> Iterator[np.ndarray]:
    """All tokens, int32, so many at a time."""
    left = np.empty(0, np.int32)
    for number in range(len(corpus.shards)):
        left = np.concatenate((left, corpus.shard(number).tokens.astype(np.int32)))
        while len(left) >= size:
            yield left[:size]
            left = left[size:]
    if len(left):
        yield left
