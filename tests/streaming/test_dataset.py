from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from lc_data import PackedDataset
from lc_data.corpus import tokenized_writer
from lc_data.corpus.local_copies import LocalCopies
from lc_data.corpus.plan import PlanError
from lc_data.corpus.tokenized import ShardMetadata, TokenizedError
from lc_data.failure import Failure
from lc_data.mixing.stream import stratum_streams
from lc_data.packing.planner import Draw, plan_packs
from lc_data.recipe.packing import PackSection
from lc_data.streaming.state import StreamStateError
from tests.streaming.oracle import as_lists, expected_pack
from tests.streaming.packed_run import Document, PackedRun, next_fit, random_documents


def indices(dataset: PackedDataset) -> list[int]:
    return [pack["pack_index"] for pack in dataset]


@pytest.mark.parametrize("prefetch", [0, 1, 2])
def test_every_pack_is_that_of_the_oracle(packed: PackedRun, prefetch: int) -> None:
    dataset = PackedDataset(packed.folder, seq_len=33, prefetch=prefetch)
    streamed = [as_lists(pack) for pack in dataset]
    assert streamed == [expected_pack(packed, "pretrain", index) for index in range(dataset.packs)]


def test_any_pack_can_be_had(packed: PackedRun) -> None:
    dataset = PackedDataset(packed.folder, rank=1, world_size=4)
    for index in (dataset.packs - 1, 0, 13, 12, 0):
        assert as_lists(dataset.pack(index)) == expected_pack(packed, "pretrain", index)
    for index in (-1, dataset.packs):
        with pytest.raises(IndexError, match=f"pack {index} of a plan with {dataset.packs}"):
            dataset.pack(index)
    assert dataset.state_dict()["consumed"] == 0


def test_the_tokens_alone_of_any_pack_are_its_input_ids(packed: PackedRun) -> None:
    dataset = PackedDataset(packed.folder)
    for index in range(dataset.packs):
        assert dataset.tokens(index).tolist() == dataset.pack(index)["input_ids"].tolist()


def test_dtypes_and_shapes(packed: PackedRun) -> None:
    pack = PackedDataset(packed.folder).pack(0)
    kinds = {name: str(value.dtype) for name, value in pack.items() if not isinstance(value, int)}
    assert kinds.pop("cu_seqlens") == "torch.int32"
    assert set(kinds.values()) == {"torch.int64"}
    assert list(pack) == [
        "input_ids", "labels", "position_ids", "cu_seqlens", "max_seqlen",
        "document_ids", "part_ids", "domain_ids", "pack_index",
    ]  # fmt: skip


def test_target_spans_decide_the_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    documents = [
        Document(f"chat-{n}", "chat", rng.integers(2, 900, 20).tolist(), [(0, 3), (7, 11), (18, 20)]) for n in range(5)
    ]
    documents += [Document("plain", "chat", list(range(2, 12))), Document("silent", "chat", list(range(2, 12)), [])]
    made = PackedRun(tmp_path, documents)
    made.write_bucket()
    made.write_plan("sft", 47, next_fit(made.lengths, 47, packs_per_block=2))
    dataset = PackedDataset(tmp_path, plan="sft")
    assert [as_lists(pack) for pack in dataset] == [expected_pack(made, "sft", index) for index in range(dataset.packs)]


@pytest.mark.parametrize("seq_len", [1, 33, 64, 1024])
@pytest.mark.parametrize("vocab_size", [5000, 200_000])
def test_an_epoch_is_every_token_of_every_document_once(tmp_path: Path, seq_len: int, vocab_size: int) -> None:
    """Planned by the real planner at rate 1: what the segments hold, put together by part, is the documents."""
    documents = random_documents(60, seed=seq_len, longest=3 * seq_len, vocab_size=vocab_size)
    exact = [Document(f"exact-{n}", "web", [n + 2] * seq_len) for n in range(3)]
    documents += [
        *exact,
        Document("one", "web", [2]),
        Document("long", "web", list(range(2, 2 + 40 * min(seq_len, 100) + 7))),
    ]
    made = PackedRun(tmp_path, documents, vocab_size=vocab_size)
    made.write_bucket()
    stratum = np.array([made.domains.index(document.domain) for document in documents])
    streams = stratum_streams(stratum, made.lengths, np.zeros(len(documents), bool), seq_len)
    draws = [Draw(stream, stream.tokens, domain, 0) for domain, stream in streams.items()]
    packing = PackSection.model_construct(seq_len=seq_len, block_packs=16, global_batch_packs=4)
    made.write_plan("pretrain", seq_len, [planned.block for planned in plan_packs([draws], packing, seed=9)])

    parts: dict[int, dict[int, list[int]]] = {}
    for rank in range(2):
        dataset = PackedDataset(tmp_path, rank=rank, world_size=2)
        trailing = [dataset.pack(dataset.packs - 1)] if rank == 0 and dataset.trailing_packs else []
        for pack in [*dataset, *trailing]:
            borders = pack["cu_seqlens"].tolist()
            for segment, (document, part) in enumerate(
                zip(pack["document_ids"].tolist(), pack["part_ids"].tolist(), strict=True)
            ):
                if document >= 0:
                    assert part not in parts.setdefault(document, {})
                    parts[document][part] = pack["input_ids"][borders[segment] : borders[segment + 1]].tolist()
    joined = {number: [token for part in sorted(pieces) for token in pieces[part]] for number, pieces in parts.items()}
    assert joined == {number: document.tokens for number, document in enumerate(documents)}


@settings(max_examples=25)
@given(legs=st.lists(st.tuples(st.sampled_from([1, 2, 3, 4, 8]), st.integers(0, 5)), max_size=8))
def test_resuming_anywhere_with_any_world_size_loses_and_repeats_nothing(packed: PackedRun, legs) -> None:
    """Legs of (world size, steps); each stops in mid-stream and hands its saved state, as JSON, to the next."""
    state, seen = None, []
    for world_size, steps in [*legs, (1, 10**6)]:
        ranks = [PackedDataset(packed.folder, rank, world_size, prefetch=rank % 2) for rank in range(world_size)]
        states = []
        for dataset in ranks:
            if state is not None:
                dataset.load_state_dict(json.loads(state))
        streams = [iter(dataset) for dataset in ranks]
        for _ in range(min(steps, ranks[0].packs_left)):
            seen += [next(stream)["pack_index"] for stream in streams]
        states = {json.dumps(dataset.state_dict()) for dataset in ranks}
        assert len(states) == 1
        state = states.pop()
    assert seen == list(range(packed.plans["pretrain"]["packs"]))


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
def test_ranks_end_together_and_say_what_is_left(packed: PackedRun, world_size: int) -> None:
    ranks = [PackedDataset(packed.folder, rank, world_size) for rank in range(world_size)]
    packs = ranks[0].packs
    left = {(dataset.packs_left, dataset.trailing_packs) for dataset in ranks}
    assert left == {(packs // world_size, packs % world_size)}
    steps = list(zip(*map(indices, ranks), strict=True))
    assert [pack for step in steps for pack in step] == list(range(packs - packs % world_size))
    last = PackedDataset(packed.folder)
    last.load_state_dict(ranks[0].state_dict())
    assert indices(last) == list(range(packs - packs % world_size, packs))
    assert indices(last) == []


def test_iterating_goes_on_where_it_was_left(packed: PackedRun) -> None:
    dataset = PackedDataset(packed.folder)
    first = iter(dataset)
    assert [next(first)["pack_index"] for _ in range(3)] == [0, 1, 2]
    assert dataset.state_dict()["consumed"] == 3
    del first
    assert indices(dataset)[:2] == [3, 4]
    dataset.load_state_dict(dataset.state_at(0))
    assert indices(dataset) == list(range(dataset.packs))
    assert not [thread for thread in threading.enumerate() if thread.name == "lc_data-prefetch"]


def test_a_loader_without_workers_counts_what_it_hands_out(packed: PackedRun) -> None:
    dataset = PackedDataset(packed.folder, rank=1, world_size=2)
    for step, pack in enumerate(DataLoader(dataset, batch_size=None)):
        assert pack["pack_index"] == 2 * step + 1
        assert dataset.state_dict() == dataset.state_at(2 * step + 2)
        if step == 4:
            break
    assert [pack["pack_index"] for pack in DataLoader(dataset, batch_size=None)][:2] == [11, 13]


def check_loaders(packed: PackedRun, world_size: int, workers: int, batch_size: int, consumed: int) -> None:
    """The packs of all ranks' loaders, batch by batch, are the global sequence from ``consumed`` on."""
    flat = []
    for rank in range(world_size):
        dataset = PackedDataset(packed.folder, rank, world_size, batch_size=batch_size)
        dataset.load_state_dict(dataset.state_at(consumed))
        loader = DataLoader(dataset, batch_size=batch_size, num_workers=workers, collate_fn=list)
        flat.append([as_lists(pack) for batch in loader for pack in batch])
    served = [pack for step in zip(*flat, strict=True) for pack in step]
    packs = packed.plans["pretrain"]["packs"]
    places = range(consumed, packs - (packs - consumed) % world_size)
    assert served == [expected_pack(packed, "pretrain", index) for index in places]


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
def test_loaders_without_workers(packed: PackedRun, world_size: int, batch_size: int) -> None:
    check_loaders(packed, world_size, workers=0, batch_size=batch_size, consumed=5)


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
def test_loaders_with_worker_processes(packed: PackedRun, world_size: int, batch_size: int) -> None:
    check_loaders(packed, world_size, workers=2, batch_size=batch_size, consumed=7)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 2, 4])
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
def test_the_whole_grid_of_worker_processes(packed: PackedRun, world_size: int, workers: int, batch_size: int) -> None:
    for consumed in (0, 11):
        check_loaders(packed, world_size, workers, batch_size, consumed)


def test_spawned_workers_open_their_own_maps(packed: PackedRun) -> None:
    dataset = PackedDataset(packed.folder, 0, 2)
    before = as_lists(dataset.pack(3))
    loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    assert [pack["pack_index"] for pack in loader] == list(range(0, dataset.packs - 1, 2))
    assert as_lists(dataset.pack(3)) == before


def test_a_state_of_another_plan_or_corpus_is_refused(packed: PackedRun, tmp_path: Path) -> None:
    saved = PackedDataset(packed.folder).state_at(4)
    for change, named in (
        (lambda run: run.write_plan("pretrain", 33, next_fit(run.lengths, 33, 7, seed=1)), "plan_hash differs"),
        (lambda run: run.write_plan("pretrain", 40, next_fit(run.lengths, 40, 7)), "seq_len differs: .* 33, .* 40"),
        (lambda run: run.documents[0].tokens.__setitem__(0, 2), "fingerprint differs"),
    ):
        run = PackedRun(tmp_path / named[:5], random_documents(29, seed=5, longest=90))
        run.write_bucket()
        run.write_plan("pretrain", 33, next_fit(run.lengths, 33, 7))
        change(run)
        run.write_bucket()
        run.write_plan("pretrain", run.plans["pretrain"]["seq_len"], run.blocks["pretrain"])
        dataset = PackedDataset(run.folder)
        with pytest.raises(StreamStateError, match=named):
            dataset.load_state_dict(saved)
        assert dataset.state_dict()["consumed"] == 0


def test_a_state_beyond_the_plan_cannot_be_made(packed: PackedRun) -> None:
    dataset = PackedDataset(packed.folder)
    for consumed in (-1, dataset.packs + 1):
        with pytest.raises(StreamStateError, match="consumed"):
            dataset.state_at(consumed)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_edited_shard_is_named_not_served(spoilt: PackedRun, prefetch: int) -> None:
    path = spoilt.shard_file(2)
    token = np.array(spoilt.documents[7].tokens[:6], np.uint16).tobytes()
    data = bytearray(path.read_bytes())
    assert data.count(token) == 1
    data[data.index(token)] ^= 1
    path.write_bytes(data)
    with pytest.raises(TokenizedError, match=f"{path.name} changed on disk.*restore it"):
        list(PackedDataset(spoilt.folder, prefetch=prefetch))
    assert len(indices(PackedDataset(spoilt.folder, verify="size"))) == spoilt.plans["pretrain"]["packs"]


def test_only_what_a_row_touches_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage behind what was read is met when it is read: the first row costs its own chunks and no whole shard."""
    monkeypatch.setattr(tokenized_writer, "CHUNK_BYTES", 32)
    run = PackedRun(tmp_path, random_documents(29, seed=5, longest=90), shard_documents=8)
    run.write_bucket()
    run.write_plan("pretrain", 33, next_fit(run.lengths, 33, 7))
    order = [row for block in run.blocks["pretrain"] for row in block.document.tolist()]
    last = order[-1]
    shard = (last if last < 9 else last - 9) // 8 + (0 if last < 9 else 2)
    path = run.shard_file(shard)
    token = np.array(run.documents[last].tokens[-3:], np.uint16).tobytes()
    data = bytearray(path.read_bytes())
    assert data.count(token) == 1
    data[data.index(token)] ^= 1
    path.write_bytes(data)
    dataset = PackedDataset(run.folder)
    touched = {document for document in dataset.pack(0)["document_ids"].tolist() if document >= 0}
    assert last not in touched
    with pytest.raises(TokenizedError, match=f"{path.name} changed on disk: .* from token"):
        list(dataset)


def test_shards_without_checksums_of_their_chunks_are_checked_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they were written before there were any."""
    honest = tokenized_writer.ShardMetadata

    def older(**columns: Any) -> ShardMetadata:
        return honest(**columns | {"chunk_tokens": 0, "chunk_checksums": ""})

    monkeypatch.setattr(tokenized_writer, "ShardMetadata", older)
    run = PackedRun(tmp_path, random_documents(29, seed=5, longest=90))
    run.write_bucket()
    run.write_plan("pretrain", 33, next_fit(run.lengths, 33, 7))
    manifest = run.folder / "bucket" / "manifest.json"
    said = json.loads(manifest.read_text())
    for entry in said["shards"]:
        del entry["facts"]["chunks_checksum"]
    manifest.write_text(json.dumps(said))
    assert len(indices(PackedDataset(run.folder))) == run.plans["pretrain"]["packs"]
    path = run.shard_file(2)
    data = bytearray(path.read_bytes())
    data[data.index(np.array(run.documents[7].tokens[:6], np.uint16).tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(TokenizedError, match=f"{path.name} changed on disk: .* which have checksum"):
        list(PackedDataset(run.folder))


@pytest.mark.parametrize("damage", ["cut", "gone", "exchanged"])
def test_a_shard_that_is_not_whole_is_named(spoilt: PackedRun, damage: str) -> None:
    path = spoilt.shard_file(1)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(spoilt.shard_file(2).read_bytes())
    with pytest.raises(TokenizedError, match=path.name):
        list(PackedDataset(spoilt.folder, verify="size"))


def test_a_changed_plan_block_is_named(spoilt: PackedRun) -> None:
    path = next(spoilt.folder.glob("pack/plan/pretrain/block-00001.arrow"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    dataset = PackedDataset(spoilt.folder)
    assert dataset.pack(0)["pack_index"] == 0
    with pytest.raises(PlanError, match=r"block-00001\.arrow changed on disk"):
        list(dataset)


def test_a_plan_over_another_corpus_is_refused(spoilt: PackedRun) -> None:
    spoilt.documents[0].tokens.append(5)
    spoilt.write_bucket()
    with pytest.raises(PlanError, match="bucket was made again after pack"):
        PackedDataset(spoilt.folder)


def test_what_cannot_be_opened_is_explained(packed: PackedRun, tmp_path: Path) -> None:
    with pytest.raises(
        Failure, match=r"seq_len 64 was asked for, but .* packed at 33 .*seq_len=33.*-o pack.seq_len=64"
    ):
        PackedDataset(packed.folder, seq_len=64)
    with pytest.raises(PlanError, match="has no plan 'sft': it has pretrain"):
        PackedDataset(packed.folder, plan="sft")
    with pytest.raises(Failure, match="has not been run to its end"):
        PackedDataset(tmp_path / "nothing")
    with pytest.raises(ValueError, match="rank 3 of 2"):
        PackedDataset(packed.folder, rank=3, world_size=2)
    with pytest.raises(ValueError, match="prefetch must be 0 or more packs, got -1"):
        PackedDataset(packed.folder, prefetch=-1)


def test_streaming_needs_nothing_of_the_pipeline(packed: PackedRun) -> None:
    program = f"""
        import sys
        blocked = {{"ray", "numba", "typer", "rich", "polars", "scipy", "datatrove", "tokenizers", "pandas"}}
        class Block:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in blocked:
                    raise ImportError(name + " is blocked")
        sys.meta_path.insert(0, Block())
        from lc_data import PackedDataset
        dataset = PackedDataset({str(packed.folder)!r})
        print(len(list(dataset)), sorted(blocked & set(sys.modules)))
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.stdout, ended.stderr) == (f"{packed.plans['pretrain']['packs']} []\n", "")


def test_a_local_run_needs_no_home(packed: PackedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert PackedDataset(packed.folder).packs
    with pytest.raises(RuntimeError, match="home directory"):
        PackedDataset("memory://nowhere")


def test_a_run_may_be_a_uri(packed: PackedRun, tmp_path: Path) -> None:
    remote = fsspec.filesystem("memory")
    remote.put(str(packed.folder), "/stream-test", recursive=True)
    try:
        here = PackedDataset(f"file://{packed.folder}")
        there = PackedDataset("memory://stream-test", copies=LocalCopies(tmp_path, 1 << 30))
        assert [as_lists(pack) for pack in here] == [as_lists(pack) for pack in there]
        assert here.state_dict() == there.state_dict()
    finally:
        remote.rm("/stream-test", recursive=True)
