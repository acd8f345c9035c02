"""A run on an S3 server of this machine, whose replies are late, cut short, or errors."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from torch.utils.data import DataLoader
from werkzeug.serving import make_server

from lc_data import PackedDataset
from lc_data.corpus.local_copies import CopyError, LocalCopies
from tests.streaming.oracle import as_lists, expected_pack
from tests.streaming.packed_run import PackedRun

RUN = "s3://runs/packed"


@dataclass
class Faults:
    """What the server does wrong with replies to reads below bucket/shards and pack/plan."""

    kinds: Iterator[str] = field(default_factory=lambda: itertools.repeat("none"))
    served: list[str] = field(default_factory=list)

    def __call__(self, application: Any) -> Any:
        def faulty(environ: dict, start_response: Any) -> Any:
            path = environ["PATH_INFO"]
            if environ["REQUEST_METHOD"] != "GET" or not ("/shards/" in path or "/plan/" in path):
                return application(environ, start_response)
            self.served.append(path)
            kind = next(self.kinds)
            if kind == "error":
                start_response("503 Slow Down", [("Content-Length", "0")])
                return [b""]
            if kind == "slow":
                time.sleep(0.2)
            body = b"".join(application(environ, start_response))
            return [body[: len(body) // 2]] if kind == "cut" else [body]

        return faulty


@pytest.fixture(scope="module")
def server() -> Iterator[Faults]:
    faults = Faults()
    served = make_server("127.0.0.1", 0, faults(DomainDispatcherApplication(create_backend_app)), threaded=True)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{served.server_port}")
        yield faults
    served.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def remote(server: Faults, packed: PackedRun) -> PackedRun:
    files = fsspec.filesystem("s3")
    files.mkdir("runs")
    files.put(str(packed.folder), "runs/packed", recursive=True)
    return packed


def stream(copies: LocalCopies, **how: Any) -> list[dict]:
    return [as_lists(pack) for pack in PackedDataset(RUN, copies=copies, **how)]


def expected(run: PackedRun) -> list[dict]:
    return [expected_pack(run, "pretrain", index) for index in range(run.plans["pretrain"]["packs"])]


@pytest.mark.parametrize("kinds", [["none"], ["slow", "cut", "none"], ["error", "none", "none", "none"]])
def test_a_remote_run_is_streamed_whatever_its_server_does(
    remote: PackedRun, server: Faults, tmp_path: Path, kinds: list[str]
) -> None:
    server.kinds = itertools.cycle(kinds)
    copies = LocalCopies(tmp_path, 1 << 30)
    assert stream(copies) == expected(remote)
    server.kinds = itertools.repeat("error")
    assert stream(copies) == expected(remote), "all is on this machine now"
    assert not list(tmp_path.glob("*.tmp-*"))


def test_a_server_that_never_answers_well_is_named(remote: PackedRun, server: Faults, tmp_path: Path) -> None:
    server.kinds = itertools.repeat("cut")
    with pytest.raises(CopyError, match=r"s3://runs/packed/.* could not be read in 2 attempts"):
        stream(LocalCopies(tmp_path, 1 << 30, attempts=2))
    [index] = [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
    assert index.read_bytes() == (remote.folder / "bucket/index.arrow").read_bytes()


def test_a_shard_that_was_exchanged_is_named(remote: PackedRun, server: Faults, tmp_path: Path) -> None:
    server.kinds = itertools.repeat("none")
    files = fsspec.filesystem("s3")
    shards = sorted(files.ls("runs/packed/bucket/shards", detail=False))
    whole = files.cat_file(shards[1])
    files.pipe_file(shards[1], files.cat_file(shards[0]))
    try:
        with pytest.raises(CopyError, match="is not the file that the manifest names: checksum"):
            stream(LocalCopies(tmp_path, 1 << 30))
    finally:
        files.pipe_file(shards[1], whole)


def test_copies_stay_within_their_bytes(remote: PackedRun, server: Faults, tmp_path: Path) -> None:
    server.kinds = itertools.repeat("none")
    sizes = sorted(shard.bytes for shard in remote.run.stage("bucket").manifest().files())
    copies = LocalCopies(tmp_path, 3 * sizes[-1])
    dataset, largest = PackedDataset(RUN, copies=copies, prefetch=0), 0
    for index in range(dataset.packs):
        assert as_lists(dataset.pack(index)) == expected_pack(remote, "pretrain", index)
        dataset._reader._ahead.wait()
        largest = max(largest, sum(path.stat().st_size for path in tmp_path.iterdir()))
    assert sizes[-1] < largest <= copies.max_bytes


def test_workers_and_ranks_share_copies(remote: PackedRun, server: Faults, tmp_path: Path) -> None:
    server.kinds, server.served = itertools.repeat("none"), []
    copies = LocalCopies(tmp_path, 1 << 30)
    flat = []
    for rank in range(2):
        dataset = PackedDataset(RUN, rank, 2, copies=copies)
        loader = DataLoader(dataset, batch_size=None, num_workers=2)
        flat.append([as_lists(pack) for pack in loader])
    served = [pack for step in zip(*flat, strict=True) for pack in step]
    assert served == expected(remote)[: len(served)]
    assert len(server.served) == len(set(server.served))


def test_the_next_block_is_copied_while_this_one_is_read(remote: PackedRun, server: Faults, tmp_path: Path) -> None:
    server.kinds, server.served = itertools.repeat("none"), []
    dataset = PackedDataset(RUN, copies=LocalCopies(tmp_path, 1 << 30), prefetch=0)
    blocks = remote.blocks["pretrain"]
    dataset.pack(0)
    dataset._reader._ahead.wait()
    before = len(server.served)
    for document in sorted({int(number) for number in blocks[1].document}):
        dataset._reader.corpus.tokens(document)
    assert len(server.served) == before


def _die_while_copying(folder: str, uri: str, checksum: str) -> None:
    from lc_data.corpus import local_copies

    read = local_copies._read_range

    def half(uri: str, begin: int, end: int) -> bytes:
        if begin:
            os._exit(9)
        return read(uri, begin, end)

    local_copies._read_range, local_copies._CHUNK_BYTES = half, 100
    LocalCopies(Path(folder), 1 << 30).fetch(uri, checksum)


def test_a_process_that_is_killed_leaves_no_half_copy(remote: PackedRun, server: Faults, tmp_path: Path) -> None:
    server.kinds = itertools.repeat("none")
    manifest = json.loads((remote.folder / "bucket/manifest.json").read_text())
    entry = manifest["shards"][0]
    uri = f"{RUN}/bucket/{entry['file']}"
    child = multiprocessing.get_context("spawn").Process(
        target=_die_while_copying, args=(str(tmp_path), uri, entry["checksum"])
    )
    child.start()
    child.join()
    assert child.exitcode == 9
    copy = LocalCopies(tmp_path, 1 << 30).fetch(uri, entry["checksum"])
    assert copy.read_bytes() == (remote.folder / "bucket" / entry["file"]).read_bytes()
