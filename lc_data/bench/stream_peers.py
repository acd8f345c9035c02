"""Other projects' loaders over the same corpus, each in its own layout, as they are set up for long rows.

None of them delivers all that we do: what each gives is said at its name. Each is a pass over its whole layout. All
that they write goes below the folder of their layout, which is theirs alone: loaders clear their caches.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader

from lc_data.bench.stream_layout import Layout, Pass, Peer
from lc_data.bench.stream_litdata import read_litdata, write_litdata
from lc_data.exports.export import export_plan
from lc_data.streaming.dataset import PackedDataset

_ONE_SHARD_BYTES = 3 << 30
"""Everything in one file, as far as MDS, whose offsets have 32 bits, allows it."""
_WORKERS = 2
_ROWS_PER_GROUP = 100
_EOS = 1


def write_mds(layout: Layout) -> None:
    """Our rows as MDS, packed offline: what ProLong trains from."""
    export_plan(layout.run, "pretrain", "mds", layout.folder, _ONE_SHARD_BYTES)


def read_mds(layout: Layout) -> Pass:
    """MosaicML's StreamingDataset, the boundaries made of the ``indices`` column."""
    dataset = _open_mds(layout)
    return lambda: sum(len(add_boundaries(sample)["input_ids"]) for sample in dataset)


def read_mds_through_workers(layout: Layout) -> Pass:
    """The same through two processes of a DataLoader, which add the boundaries, as its users have it."""
    collate: Callable[[Any], Any] = add_boundaries  # of one sample, as there are no batches
    loader = DataLoader(_open_mds(layout), batch_size=None, num_workers=_WORKERS, collate_fn=collate)
    return lambda: sum(len(row["input_ids"]) for row in loader)


def _open_mds(layout: Layout) -> Any:
    _import_without_torchvision("streaming")
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    clean_stale_shared_memory()
    return StreamingDataset(local=layout.folder, shuffle=False, batch_size=1)


def add_boundaries(sample: dict[str, Any]) -> dict[str, Any]:
    """Make a row of one MDS sample: tokens, labels without the first of each segment, positions and cu_seqlens."""
    return make_row(sample["input_ids"], [0, *sample["indices"][:, 1].tolist()])


def make_row(input_ids: np.ndarray, borders: list[int]) -> dict[str, Any]:
    """Make a row of its tokens and of where its documents begin and end; what follows the last is padding."""
    tokens = torch.from_numpy(input_ids.astype(np.int64))
    labels, positions = torch.full_like(tokens, -100), torch.zeros_like(tokens)
    for begin, end in pairwise(borders):
        labels[begin + 1 : end] = tokens[begin + 1 : end]
        positions[begin:end] = torch.arange(end - begin)
    if borders[-1] < len(tokens):
        positions[borders[-1] :] = torch.arange(len(tokens) - borders[-1])
        borders = [*borders, len(tokens)]
    cu_seqlens = torch.tensor(borders, dtype=torch.int32)
    return {
        "input_ids": tokens,
        "labels": labels,
        "position_ids": positions,
        "cu_seqlens": cu_seqlens,
        "max_seqlen": int(cu_seqlens.diff().max()),
    }


def write_megatron(layout: Layout) -> None:
    """Tokens and index as Megatron-LM's preprocessing leaves them: one sequence a document."""
    export_plan(layout.run, "pretrain", "megatron", layout.folder, _ONE_SHARD_BYTES)


def read_megatron(layout: Layout) -> Pass:
    """Megatron-LM's GPTDataset, positions reset after EOS; its attention mask would be 4 GB a row and is left out."""
    from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
    from megatron.core.datasets.utils import Split

    prefix = str(Path(layout.folder, "part-00000"))
    config = GPTDatasetConfig(
        random_seed=1,
        sequence_length=layout.seq_len,
        blend=([prefix], None),
        split="1,0,0",
        path_to_cache=str(Path(layout.folder, "cache")),
        tokenizer=_Vocabulary(),
        reset_position_ids=True,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
    )
    indexed = GPTDataset.build_low_level_dataset(prefix, config)
    documents = np.arange(GPTDataset.numel_low_level_dataset(indexed), dtype=np.int32)
    dataset = GPTDataset(indexed, prefix, documents, None, Split.train, config)
    return lambda: sum(len(dataset[at]["tokens"]) for at in range(len(dataset)))


class _Vocabulary:
    """What Megatron-LM asks of a tokenizer."""

    vocab_size, eod, pad = 50_000, _EOS, -1

    def __init__(self) -> None:
        self.unique_identifiers = {"class": "random"}


def write_parquet(layout: Layout) -> None:
    """Our rows as Parquet with the lengths of their documents, as ``datasets`` writes it: snappy, by the hundred."""
    rows, folder = PackedDataset(layout.run, prefetch=0), Path(layout.folder)
    schema = pa.schema({"input_ids": pa.list_(pa.int32()), "seq_lens": pa.list_(pa.int32())})
    folder.mkdir()
    with pq.ParquetWriter(folder / "rows.parquet", schema) as writer:
        for begin in range(0, rows.packs, _ROWS_PER_GROUP):
            packs = [rows.pack(at) for at in range(begin, min(begin + _ROWS_PER_GROUP, rows.packs))]
            tokens = [pack["input_ids"].numpy() for pack in packs]
            lengths = [np.diff(pack["cu_seqlens"].numpy())[pack["document_ids"].numpy() >= 0] for pack in packs]
            writer.write_table(pa.table([_lists(tokens), _lists(lengths)], schema=schema))


def _lists(rows: list[np.ndarray]) -> pa.Array:
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(rows).astype(np.int32)))


def read_parquet(layout: Layout) -> Pass:
    """Hugging Face datasets, streaming, numpy format: tokens and lengths, the boundaries made of them."""
    from datasets import load_dataset

    files, cache = (str(Path(layout.folder, name)) for name in ("rows.parquet", "cache"))
    rows = load_dataset("parquet", data_files=files, split="train", streaming=True, cache_dir=cache)
    rows = rows.with_format("numpy")
    return lambda: sum(len(make_row(row["input_ids"], _borders(row["seq_lens"]))["input_ids"]) for row in rows)


def _borders(lengths: np.ndarray) -> list[int]:
    return [0, *np.cumsum(lengths).tolist()]


def _import_without_torchvision(package: str) -> None:
    """Import a package that imports torchvision for data sets of images, of which nothing is used here.

    torchvision's own build has to match torch's, CPU or CUDA, which no list of versions can say.
    """
    import transformers  # noqa: F401 - it looks for torchvision when it is imported, and must not find this one

    names: dict[str, dict[str, Any]] = {
        "torchvision": {},
        "torchvision.datasets": {"VisionDataset": type("VisionDataset", (), {})},
        "torchvision.transforms": {},
        "torchvision.transforms.functional": {"to_tensor": None},
    }
    for name, attributes in names.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(attributes)
        sys.modules.setdefault(name, module)
    __import__(package)


PEERS = (
    Peer("MosaicML Streaming, boundaries collated", "streaming", write_mds, read_mds, bar=10.0),
    Peer("MosaicML Streaming, 2 workers", "streaming", write_mds, read_mds_through_workers, bar=1.0, workers=_WORKERS),
    Peer("Megatron-LM GPTDataset, positions alone", "megatron", write_megatron, read_megatron, bar=8.0),
    Peer("Hugging Face streaming, Parquet, boundaries collated", "datasets", write_parquet, read_parquet, bar=15.0),
    Peer("LitData TokensLoader, bare tokens", "litdata", write_litdata, read_litdata, bar=1.0, bare=True),
)
