"""What the stream is compared with is comparable, and a peer that is absent has no number."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest

from lc_data.bench.stream import StreamSizes, bench_stream, measure_peer
from lc_data.bench.stream_layout import Layout, Pass, Peer
from lc_data.bench.stream_litdata import write_litdata
from lc_data.bench.stream_memory import measure_first_pack
from lc_data.bench.stream_peers import PEERS, add_boundaries, make_row, write_parquet
from lc_data.bench.stream_scale import write_huge_run
from lc_data.bench.synthetic import write_packed_run
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.streaming.dataset import PackedDataset

SEQ_LEN = 4096


def write_nothing(layout: Layout) -> None:
    del layout


def read_tokens(layout: Layout) -> Pass:
    rows = PackedDataset(layout.run, prefetch=0)
    return lambda: sum(len(rows.pack(at)["input_ids"]) for at in range(rows.packs))


def read_for_ever(layout: Layout) -> Pass:
    del layout
    time.sleep(3600)
    raise AssertionError("it was not ended")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    folder = str(tmp_path_factory.mktemp("synthetic") / "run")
    write_packed_run(RunFolder(folder), 200_000, SEQ_LEN)
    return folder


@pytest.mark.slow
def test_every_row_is_measured_and_nothing_stays():
    peers = (
        Peer("ourselves", "numpy", write_nothing, read_tokens, bar=0.1),
        Peer("ourselves, bare", "numpy", write_nothing, read_tokens, bar=0.1, bare=True),
        Peer("nobody", "no_such_package", write_nothing, read_tokens, bar=2.0),
    )
    sizes = StreamSizes(400_000, SEQ_LEN, rounds=1, peer_rounds=1, epochs=2, peers=peers, huge_tokens=40_000_000)
    result = bench_stream(sizes)
    copies, ourselves, bare, whole, nobody, first, first_memory, memory, files = result.rows
    assert [row.peer for row in (copies, ourselves)] == ["memcpy of the same bytes", "ourselves"]
    assert all(row.ours > 0 and row.theirs > 0 for row in (copies, ourselves, bare, whole, first, first_memory, memory))
    assert (bare.bar, whole.bar) == (0.1, None)
    assert "not installed" in nobody.peer
    assert math.isnan(nobody.ratio)
    assert result.as_json()["rows"][4]["ratio"] is None
    assert files.ours == 0


def test_a_peer_that_hangs_is_ended_and_said(run, tmp_path):
    peer = Peer("nobody answers", "numpy", write_nothing, read_for_ever, bar=1.0)
    sizes = StreamSizes(seq_len=SEQ_LEN, peer_rounds=1, limit_s=8)
    (late,) = measure_peer(str(tmp_path), peer, Layout(run, str(tmp_path / "layout"), SEQ_LEN), sizes)
    assert late.peer == "nobody answers (no answer in 8 s)"
    assert math.isnan(late.ratio)


def test_boundaries_collated_are_ours(run):
    dataset = PackedDataset(run, prefetch=0)
    padded = 0
    for number in range(dataset.packs):
        pack = dataset.pack(number)
        borders = pack["cu_seqlens"].numpy()
        real = pack["document_ids"].numpy() >= 0
        padded += int((~real).sum())
        tokens = pack["input_ids"].numpy().astype(np.int32)
        indices = np.stack((borders[:-1], borders[1:]), axis=1)[real]
        for made in (
            add_boundaries({"input_ids": tokens, "indices": indices}),
            make_row(tokens, [0, *np.cumsum(np.diff(borders)[real]).tolist()]),
        ):
            assert made.keys() <= pack.keys()
            for name, value in made.items():
                assert np.array_equal(value, pack[name]), (number, name)
    assert padded > 0


def test_parquet_holds_the_rows(run, tmp_path):
    import pyarrow.parquet as pq

    write_parquet(Layout(run, str(tmp_path / "parquet"), SEQ_LEN))
    dataset = PackedDataset(run, prefetch=0)
    table = pq.read_table(tmp_path / "parquet" / "rows.parquet")
    assert len(table) == dataset.packs
    for number, row in enumerate(table.to_pylist()):
        pack = dataset.pack(number)
        assert row["input_ids"] == pack["input_ids"].tolist()
        lengths = pack["cu_seqlens"].diff().tolist()
        assert row["seq_lens"] == lengths[: int((pack["document_ids"] >= 0).sum())]


def test_litdata_chunks_hold_every_token_behind_their_header(run, tmp_path):
    write_litdata(Layout(run, str(tmp_path / "litdata"), SEQ_LEN))
    index = json.loads((tmp_path / "litdata" / "index.json").read_text())
    corpus = TokenizedCorpus.open(RunFolder(run))
    expected = np.concatenate([corpus.shard(number).tokens for number in range(len(corpus.shards))])
    found = []
    for chunk in index["chunks"]:
        content = (tmp_path / "litdata" / chunk["filename"]).read_bytes()
        items, begin, end = np.frombuffer(content, np.uint32, 3).tolist()
        assert (items, begin, end, chunk["chunk_bytes"]) == (1, 12, len(content), len(content))
        found.append(np.frombuffer(content, np.int32, offset=begin))
        assert len(found[-1]) == chunk["dim"]
    assert np.array_equal(np.concatenate(found), expected)


def test_the_first_pack_of_a_run_of_which_most_is_only_named(tmp_path):
    folder = str(tmp_path / "huge")
    write_huge_run(RunFolder(folder), 300_000_000, 1 << 16)
    dataset = PackedDataset(folder)
    assert dataset.packs * dataset.seq_len > 290_000_000
    written = {file.name for file in (tmp_path / "huge" / "bucket" / "shards").iterdir()}
    named = TokenizedCorpus.open(RunFolder(folder)).shards
    assert len(written) < len(named)
    assert sum(entry.tokens for entry in named) // dataset.seq_len == dataset.packs
    seconds, held = measure_first_pack(folder)
    assert seconds > 0
    assert held > 0
    assert [dataset.pack(at)["pack_index"] for at in (0, 50)] == [0, 50]


@pytest.mark.peers
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_delivers_all_but_a_partial_row(peer, run, tmp_path):
    layout = Layout(run, str(tmp_path / "layout"), SEQ_LEN)
    peer.write(layout)
    rows = PackedDataset(layout.run, prefetch=0).packs
    assert rows - 1 <= peer.read(layout)() / SEQ_LEN <= rows
