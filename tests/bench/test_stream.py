"""What the stream is compared with is comparable, and a peer that is absent has no number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lc_data.bench.stream import StreamSizes, bench_stream
from lc_data.bench.stream_peers import PEERS, Layout, Pass, Peer, add_boundaries, write_arrow
from lc_data.bench.synthetic import write_packed_run
from lc_data.corpus.run import RunFolder
from lc_data.streaming.dataset import PackedDataset

SEQ_LEN = 4096


def write_nothing(layout: Layout) -> None:
    del layout


def read_tokens(layout: Layout) -> Pass:
    rows = PackedDataset(layout.run, prefetch=0)
    return lambda: sum(len(rows.pack(at)["input_ids"]) for at in range(rows.packs))


@pytest.mark.slow
def test_every_row_is_measured_and_nothing_stays():
    peers = (
        Peer("ourselves", "numpy", write_nothing, read_tokens),
        Peer("nobody", "no_such_package", write_nothing, read_tokens),
    )
    result = bench_stream(StreamSizes(tokens=400_000, seq_len=SEQ_LEN, rounds=1, epochs=2, peers=peers))
    copies, ourselves, nobody, memory, files = result.rows
    assert [row.peer for row in (copies, ourselves)] == ["memcpy of the same bytes", "ourselves"]
    assert all(row.ours > 0 and row.theirs > 0 for row in (copies, ourselves, memory))
    assert "not installed" in nobody.peer
    assert math.isnan(nobody.ratio)
    assert result.as_json()["rows"][2]["ratio"] is None
    assert files.peer == "none"


def test_boundaries_collated_from_indices_are_ours(tmp_path):
    write_packed_run(RunFolder(str(tmp_path / "run")), 200_000, SEQ_LEN)
    dataset = PackedDataset(tmp_path / "run", prefetch=0)
    padded = 0
    for number in range(dataset.packs):
        pack = dataset.pack(number)
        borders = pack["cu_seqlens"].numpy()
        real = pack["document_ids"].numpy() >= 0
        padded += int((~real).sum())
        sample = {
            "input_ids": pack["input_ids"].numpy().astype(np.int32),
            "indices": np.stack((borders[:-1], borders[1:]), axis=1)[real],
        }
        made = add_boundaries(sample)
        assert made.keys() <= pack.keys()
        for name, value in made.items():
            assert np.array_equal(value, pack[name]), (number, name)
    assert padded > 0


def test_arrow_holds_the_rows(tmp_path):
    import pyarrow as pa

    write_packed_run(RunFolder(str(tmp_path / "run")), 200_000, SEQ_LEN)
    write_arrow(Layout(str(tmp_path / "run"), str(tmp_path / "arrow"), SEQ_LEN))
    dataset = PackedDataset(tmp_path / "run", prefetch=0)
    table = pa.ipc.open_stream(tmp_path / "arrow" / "rows.arrow").read_all()
    assert len(table) == dataset.packs
    for number, row in enumerate(table.to_pylist()):
        for name, values in row.items():
            assert values == dataset.pack(number)[name].tolist()


@pytest.mark.peers
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.package)
def test_a_peer_delivers_all_but_a_partial_row(peer, tmp_path):
    write_packed_run(RunFolder(str(tmp_path / "run")), 200_000, SEQ_LEN)
    layout = Layout(str(tmp_path / "run"), str(tmp_path / "layout"), SEQ_LEN)
    peer.write(layout)
    rows = PackedDataset(layout.run, prefetch=0).packs
    assert rows - 1 <= peer.read(layout)() / SEQ_LEN <= rows
