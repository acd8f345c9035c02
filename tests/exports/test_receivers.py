"""Every format read back by the package that it is for; a test is left out where that is not installed.

They need not be dependencies: what their readers import is little, and some pin versions that exclude one another.
``pip install --no-deps mosaicml-streaming megatron-core ai2-olmo-core`` and what is then found missing will do.
"""

from __future__ import annotations

import json
import sys
from importlib.machinery import ModuleSpec
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from lc_data.exports.export import FORMATS, export_plan
from tests.streaming.oracle import expected_pack
from tests.streaming.packed_run import PAD_ID, Document, PackedRun, next_fit, random_documents

pytestmark = pytest.mark.peers

SEQ_LEN = 48
EOS_ID = 0


@pytest.fixture(scope="module", params=[5000, 200_000], ids=["uint16", "int32"])
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PackedRun:
    """Documents that end in EOS, as OLMo-core needs them to; one of them with targets."""
    documents = random_documents(40, 5, 90, vocab_size=request.param)
    documents.append(Document("spoken", "web", list(range(2, 32)), [(3, 9), (20, 30)]))
    for document in documents:
        document.tokens[-1] = EOS_ID
    made = PackedRun(tmp_path_factory.mktemp("packed") / "run", documents, vocab_size=request.param, eos_id=EOS_ID)
    made.write_bucket()
    made.write_plan("pretrain", SEQ_LEN, next_fit(made.lengths, SEQ_LEN, 7))
    return made


@pytest.fixture
def rows(packed: PackedRun) -> list[dict[str, Any]]:
    return [expected_pack(packed, "pretrain", index) for index in range(packed.plans["pretrain"]["packs"])]


def write(packed: PackedRun, to: str, out: Path) -> dict[str, Any]:
    """Export in shards of five rows."""
    return export_plan(str(packed.folder), "pretrain", to, str(out), FORMATS[to].bytes_per_token * SEQ_LEN * 5)


def lengths_of(row: dict[str, Any]) -> list[int]:
    return [end - begin for begin, end in pairwise(row["cu_seqlens"])]


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets(packed: PackedRun, rows: list[dict], tmp_path: Path, streaming: bool) -> None:
    datasets = pytest.importorskip("datasets")
    write(packed, "hf-parquet", tmp_path / "out")
    read = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out/*.parquet"), split="train", streaming=streaming,
        cache_dir=str(tmp_path / "cache"),
    )  # fmt: skip
    found = list(read)
    names = ("pack_index", "input_ids", "labels", "position_ids", "document_ids", "domain_ids")
    assert found == [{name: row[name] for name in names} | {"seq_lens": lengths_of(row)} for row in rows]


@pytest.mark.parametrize("mapped", [True, False])
def test_megatron_core(packed: PackedRun, rows: list[dict], tmp_path: Path, mapped: bool) -> None:
    indexed_dataset = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    said = write(packed, "megatron", tmp_path)
    found: list[list[int]] = []
    for path in sorted(tmp_path.glob("*.idx")):
        prefix = str(path.with_suffix(""))
        assert indexed_dataset.IndexedDataset.exists(prefix)
        dataset = indexed_dataset.IndexedDataset(prefix, mmap=mapped)
        assert dataset.index.dtype == np.dtype(said["token_dtype"])
        sequences = [dataset[number] for number in range(len(dataset))]
        assert dataset.sequence_lengths.tolist() == [len(sequence) for sequence in sequences]
        assert dataset.document_indices.tolist() == list(range(len(dataset) + 1))
        found += [sequence.tolist() for sequence in sequences]
    assert found == [row["input_ids"][begin:end] for row in rows for begin, end in pairwise(row["cu_seqlens"])]


def test_megatron_core_cuts_our_rows(packed: PackedRun, tmp_path: Path) -> None:
    """Over documents in their order its index of samples begins every sample where a document and a row begin."""
    indexed_dataset = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    helpers = pytest.importorskip("megatron.core.datasets.helpers")
    write(packed, "megatron", tmp_path)
    dataset = indexed_dataset.IndexedDataset(
        str(tmp_path / "part-00000")
    )  # its arrays are views of maps that it closes
    sizes = dataset.sequence_lengths.copy()
    documents = np.arange(len(sizes), dtype=np.int32)
    samples = helpers.build_sample_idx(sizes, documents, SEQ_LEN, 1, int(sizes.sum()))
    firsts = np.searchsorted(np.cumsum(sizes), np.arange(len(samples)) * SEQ_LEN, side="right")
    assert len(samples) == 5
    assert samples.tolist() == [[first, 0] for first in firsts.tolist()]


@pytest.fixture
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """mosaicml-streaming imports its readers of pictures with all others; torchvision is not what is tested here."""
    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.VisionDataset = module.CIFAR10 = object  # type: ignore[attr-defined]
        module.to_tensor = None  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("_no_pictures")
def test_mosaicml_streaming(packed: PackedRun, rows: list[dict], tmp_path: Path) -> None:
    streaming = pytest.importorskip("streaming")
    write(packed, "mds", tmp_path)
    dataset = streaming.StreamingDataset(local=str(tmp_path), batch_size=1, shuffle=False)
    found = [dataset[number] for number in range(len(dataset))]
    assert len(found) == len(rows)
    for sample, row in zip(found, rows, strict=True):
        documents = zip(pairwise(row["cu_seqlens"]), row["document_ids"], strict=True)
        assert sample["input_ids"].tolist() == row["input_ids"]
        assert sample["mask"].tolist() == [label != -100 for label in row["labels"]]
        assert sample["indices"].tolist() == [list(ends) for ends, document in documents if document >= 0]
        assert sample["pack_index"] == row["pack_index"]
    assert sorted(sample["pack_index"] for sample in dataset) == list(range(len(rows)))


def test_olmo_core(packed: PackedRun, rows: list[dict], tmp_path: Path) -> None:
    numpy_dataset = pytest.importorskip("olmo_core.data.numpy_dataset")
    said = write(packed, "olmo-core", tmp_path / "out")
    masks = sorted((tmp_path / "out").glob("*.mask.npy"))
    tokens = sorted(set((tmp_path / "out").glob("*.npy")) - set(masks))
    dataset = numpy_dataset.NumpyFSLDataset(
        *tokens, sequence_length=SEQ_LEN, pad_token_id=PAD_ID, eos_token_id=EOS_ID, vocab_size=packed.vocab_size,
        dtype=np.uint16 if said["token_dtype"] == "uint16" else np.uint32, label_mask_paths=masks,
        generate_doc_lengths=True,
    )  # fmt: skip
    dataset.work_dir = tmp_path / "work"
    dataset.prepare()
    found = [dataset[number] for number in range(len(dataset))]
    assert [item["input_ids"].tolist() for item in found] == [row["input_ids"] for row in rows]
    batch = {name: torch.stack([item[name] for item in found]) for name in ("input_ids", "label_mask")}
    labels = pytest.importorskip("olmo_core.data.utils").get_labels(batch)
    assert labels.tolist() == [[*row["labels"][1:], -100] for row in rows]
    for item, row in zip(found, rows, strict=True):
        # A piece that is not its document's last has no EOS: what follows it in the row is one document with it there.
        ends = [end for end in row["cu_seqlens"][1:-1] if row["input_ids"][end - 1] == EOS_ID]
        assert np.cumsum([length for length in item["doc_lens"].tolist() if length]).tolist() == [*ends, SEQ_LEN]


def test_export_json_lists_the_files(packed: PackedRun, tmp_path: Path) -> None:
    said = write(packed, "megatron", tmp_path)
    assert json.loads((tmp_path / "export.json").read_text()) == said
    assert {entry["file"] for entry in said["files"]} == {path.name for path in tmp_path.iterdir()} - {"export.json"}
