"""Every format read back, as its receiver reads it where that is installed, and byte by byte where it is not."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lc_data.exports import export
from lc_data.exports.export import FORMATS, ExportError, export_plan
from lc_data.recipe.errors import RecipeError
from tests.streaming.oracle import expected_pack
from tests.streaming.packed_run import Document, PackedRun, next_fit, random_documents

SEQ_LEN = 33


@pytest.fixture(scope="module", params=[5000, 200_000], ids=["uint16", "int32"])
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PackedRun:
    documents = random_documents(40, 5, 90, vocab_size=request.param)
    documents.append(Document("spoken", "web", list(range(2, 32)), [(3, 9), (20, 30)]))
    made = PackedRun(tmp_path_factory.mktemp("packed") / "run", documents, vocab_size=request.param)
    made.write_bucket()
    blocks = next_fit(made.lengths, SEQ_LEN, 7)
    made.write_plan("pretrain", SEQ_LEN, blocks)
    made.write_plan("sft", SEQ_LEN, blocks)
    return made


@pytest.fixture
def rows(packed: PackedRun) -> list[dict]:
    return [expected_pack(packed, "pretrain", index) for index in range(packed.plans["pretrain"]["packs"])]


def write(packed: PackedRun, to: str, out: Path, rows_per_shard: int = 5) -> dict:
    shard_bytes = FORMATS[to].bytes_per_token * SEQ_LEN * rows_per_shard
    return export_plan(str(packed.folder), "pretrain", to, str(out), shard_bytes)


def tokens_of(paths: list[Path], dtype: type) -> list[list[int]]:
    return np.concatenate([np.fromfile(path, dtype) for path in paths]).reshape(-1, SEQ_LEN).tolist()


def mask_of(row: dict) -> list[bool]:
    return [label != -100 for label in row["labels"]]


def test_parquet(packed: PackedRun, rows: list[dict], tmp_path: Path) -> None:
    write(packed, "hf-parquet", tmp_path)
    read = pq.ParquetDataset(sorted(tmp_path.glob("*.parquet"))).read().to_pylist()
    for row, there in zip(rows, read, strict=True):
        lengths = [end - begin for begin, end in pairwise(row["cu_seqlens"])]
        assert there == {name: row[name] for name in there if name != "seq_lens"} | {"seq_lens": lengths}


def test_megatron(packed: PackedRun, rows: list[dict], tmp_path: Path) -> None:
    said = write(packed, "megatron", tmp_path)
    dtype = np.dtype(said["token_dtype"])
    found = []
    for path in sorted(tmp_path.glob("*.idx")):
        data = path.read_bytes()
        magic, version, code, count, documents = struct.unpack_from("<9sQBQQ", data)
        assert (magic, version, code) == (b"MMIDIDX\0\0", 1, {"uint16": 8, "int32": 4}[said["token_dtype"]])
        lengths = np.frombuffer(data, np.int32, count, 34)
        begins = np.frombuffer(data, np.int64, count, 34 + 4 * count)
        ends_of_documents = np.frombuffer(data, np.int64, documents, 34 + 12 * count)
        assert len(data) == 34 + 12 * count + 8 * documents
        assert ends_of_documents.tolist() == list(range(count + 1))
        whole = path.with_suffix(".bin").read_bytes()
        found += [
            np.frombuffer(whole, dtype, length, begin).tolist() for length, begin in zip(lengths, begins, strict=True)
        ]
    assert found == [row["input_ids"][begin:end] for row in rows for begin, end in pairwise(row["cu_seqlens"])]


def test_mds(packed: PackedRun, rows: list[dict], tmp_path: Path) -> None:
    write(packed, "mds", tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    found = []
    for entry in index["shards"]:
        data = (tmp_path / entry["raw_data"]["basename"]).read_bytes()
        assert len(data) == entry["raw_data"]["bytes"]
        count = struct.unpack_from("<I", data)[0]
        assert count == entry["samples"]
        offsets = np.frombuffer(data, np.uint32, count + 1, 4)
        found += [data[begin:end] for begin, end in pairwise(offsets.tolist())]
    for row, sample in zip(rows, found, strict=True):
        size = struct.unpack_from("<I", sample)[0]
        assert sample[4] == 2 << 2 | 2
        assert np.frombuffer(sample, np.int32, (size - 9) // 4, 13).reshape(-1, 2).tolist() == [
            list(pair)
            for pair, document in zip(pairwise(row["cu_seqlens"]), row["document_ids"], strict=True)
            if document >= 0
        ]
        rest = 4 + size
        assert np.frombuffer(sample, np.int32, SEQ_LEN, rest).tolist() == row["input_ids"]
        assert np.frombuffer(sample, np.uint8, SEQ_LEN, rest + 4 * SEQ_LEN).tolist() == mask_of(row)
        assert struct.unpack_from("<q", sample, rest + 5 * SEQ_LEN) == (row["pack_index"],)


def test_olmo_core(packed: PackedRun, rows: list[dict], tmp_path: Path) -> None:
    said = write(packed, "olmo-core", tmp_path)
    dtype = np.uint16 if said["token_dtype"] == "uint16" else np.uint32
    masks = sorted(tmp_path.glob("*.mask.npy"))
    tokens = sorted(set(tmp_path.glob("*.npy")) - set(masks))
    assert tokens_of(tokens, dtype) == [row["input_ids"] for row in rows]
    assert tokens_of(masks, bool) == [mask_of(row) for row in rows]


def test_datatrove_reads_its_own_format(packed: PackedRun, rows: list[dict], tmp_path: Path) -> None:
    from datatrove.utils.dataset import DatatroveFileDataset

    said = write(packed, "datatrove", tmp_path)
    size = np.dtype(said["token_dtype"]).itemsize
    tokens, positions = [], []
    for path in sorted(tmp_path.glob("*.ds")):
        dataset = DatatroveFileDataset(str(path), SEQ_LEN - 1, size, return_positions=True)
        read = [dataset[number] for number in range(len(dataset))]
        tokens += [item["input_ids"].tolist() for item in read]
        positions += [item["positions"].tolist() for item in read]
    assert tokens == [row["input_ids"] for row in rows]
    assert positions == [row["position_ids"] for row in rows]
    assert tokens_of(sorted(tmp_path.glob("*.loss")), bool) == [mask_of(row) for row in rows]


@pytest.mark.parametrize("to", FORMATS)
def test_an_interrupted_export_goes_on_and_a_whole_one_stays(
    packed: PackedRun, tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write(packed, to, tmp_path / "whole")
    calls = 0
    read = export._read

    def stumble(*arguments):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError("the disk is gone")
        return read(*arguments)

    monkeypatch.setattr(export, "_read", stumble)
    with pytest.raises(OSError, match="the disk is gone"):
        write(packed, to, tmp_path / "torn")
    assert not (tmp_path / "torn/export.json").exists()
    assert write(packed, to, tmp_path / "torn") == whole
    shards = -(-whole["rows"] // 5)
    assert calls == 3 + (shards - 2), "the two finished shards were not written again"
    assert write(packed, to, tmp_path / "torn") == whole
    assert calls == 3 + (shards - 2)


def test_what_cannot_be_exported_is_said(packed: PackedRun, tmp_path: Path) -> None:
    run = str(packed.folder)
    with pytest.raises(RecipeError, match="'mdss' is not a format; did you mean 'mds'"):
        export_plan(run, "pretrain", "mdss", str(tmp_path))
    with pytest.raises(ExportError, match="megatron has no place for labels"):
        export_plan(run, "sft", "megatron", str(tmp_path))
    export_plan(run, "pretrain", "mds", str(tmp_path / "a"))
    with pytest.raises(ExportError, match="holds another export: format, plan differ"):
        export_plan(run, "sft", "hf-parquet", str(tmp_path / "a"))
    (tmp_path / "b").mkdir()
    (tmp_path / "b/thesis.tex").write_text("dear to somebody")
    with pytest.raises(ExportError, match="is not empty and holds no export"):
        export_plan(run, "pretrain", "mds", str(tmp_path / "b"))


def test_documents_are_told_apart_where_attention_does_not(tmp_path: Path) -> None:
    made = PackedRun(tmp_path / "run", random_documents(20, 5, 20))
    made.write_bucket()
    made.write_plan("pretrain", SEQ_LEN, next_fit(made.lengths, SEQ_LEN, 7))
    export_plan(str(made.folder), "pretrain", "hf-parquet", str(tmp_path / "apart"))
    blocks = [replace(block, span=np.zeros_like(block.span)) for block in made.blocks["pretrain"]]
    made.write_plan("pretrain", SEQ_LEN, blocks, mask="none")
    export_plan(str(made.folder), "pretrain", "hf-parquet", str(tmp_path / "together"))
    apart, together = (pq.read_table(tmp_path / name / "part-00000.parquet") for name in ("apart", "together"))
    for column in ("input_ids", "seq_lens", "document_ids", "domain_ids"):
        assert together[column] == apart[column]
    assert together["labels"] != apart["labels"]
