"""Other projects' loaders over the same corpus, each in its own layout, as they are set up for long rows.

None of them delivers all that we do: what each gives is said at its name. Each is a pass over its whole layout. All
that they write goes below the folder of their layout, which is theirs alone: loaders clear their caches.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from lc_data.exports.export import export_plan
from lc_data.streaming.dataset import PackedDataset

_ONE_SHARD_BYTES = 3 << 30
"""Everything in one file, as far as MDS, whose offsets have 32 bits, allows it."""
_ROWS_PER_BATCH = 8
_EOS = 1

Pass = Callable[[], int]
"""Reads everything once; returns the tokens delivered."""


@dataclass(frozen=True)
class Layout:
    """Where the packed run lies, and where a peer's layout of it."""

    run: str
    folder: str
    seq_len: int


@dataclass(frozen=True)
class Peer:
    """A loader beside which ours is measured."""

    name: str
    package: str
    """as it is imported"""
    write: Callable[[Layout], None]
    """writes its layout; it does not happen in the process that is measured"""
    read: Callable[[Layout], Pass]
    """opens its layout"""


def write_mds(layout: Layout) -> None:
    """Our rows as MDS, packed offline: what ProLong trains from."""
    export_plan(layout.run, "pretrain", "mds", layout.folder, _ONE_SHARD_BYTES)


def read_mds(layout: Layout) -> Pass:
    """MosaicML's StreamingDataset, the boundaries made of the ``indices`` column."""
    _import_without_torchvision("streaming")
    from streaming import StreamingDataset

    dataset = StreamingDataset(local=layout.folder, shuffle=False, batch_size=1)
    return lambda: sum(len(add_boundaries(sample)["input_ids"]) for sample in dataset)


def add_boundaries(sample: dict[str, Any]) -> dict[str, Any]:
    """Make a row of one MDS sample: tokens, labels without the first of each segment, positions and cu_seqlens."""
    tokens = torch.from_numpy(sample["input_ids"].astype(np.int64))
    indices = sample["indices"]
    labels, positions = torch.full_like(tokens, -100), torch.zeros_like(tokens)
    for begin, end in indices.tolist():
        labels[begin + 1 : end] = tokens[begin + 1 : end]
        positions[begin:end] = torch.arange(end - begin)
    borders = [0, *indices[:, 1].tolist()]
    if borders[-1] < len(tokens):
        positions[borders[-1] :] = torch.arange(len(tokens) - borders[-1])
        borders.append(len(tokens))
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


def write_arrow(layout: Layout) -> None:
    """Our rows as uncompressed Arrow, a few in a batch: the fastest that Hugging Face datasets streams from."""
    dataset = PackedDataset(layout.run, prefetch=0)
    fields = {name: pa.list_(pa.int64()) for name in ("input_ids", "labels", "position_ids")}
    schema = pa.schema(fields | {"cu_seqlens": pa.list_(pa.int32())})
    Path(layout.folder).mkdir()
    with pa.OSFile(str(Path(layout.folder, "rows.arrow")), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for begin in range(0, dataset.packs, _ROWS_PER_BATCH):
            rows = [dataset.pack(at) for at in range(begin, min(begin + _ROWS_PER_BATCH, dataset.packs))]
            columns = [_lists([row[name].numpy() for row in rows]) for name in schema.names]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _lists(rows: list[np.ndarray]) -> pa.Array:
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(rows)))


def read_arrow(layout: Layout) -> Pass:
    """Hugging Face datasets, streaming, numpy format: rows that are ready, with the same boundaries."""
    from datasets import load_dataset

    files, cache = (str(Path(layout.folder, name)) for name in ("rows.arrow", "cache"))
    rows = load_dataset("arrow", data_files=files, split="train", streaming=True, cache_dir=cache).with_format("numpy")
    return lambda: sum(len(row["input_ids"]) for row in rows)


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
    Peer("MosaicML Streaming, boundaries collated", "streaming", write_mds, read_mds),
    Peer("Megatron-LM GPTDataset, positions alone", "megatron", write_megatron, read_megatron),
    Peer("Hugging Face datasets streaming, numpy", "datasets", write_arrow, read_arrow),
)
