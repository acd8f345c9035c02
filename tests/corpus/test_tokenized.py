"""Tokenised shards at rest: what is written is what is mapped, and what is not the manifest's is named."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lc_data.corpus import storage
from lc_data.corpus.manifest import Manifest, ManifestError, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.shard import WrittenTable
from lc_data.corpus.tokenized import TokenizedCorpus, TokenizedError, TokenizedShard, TokenizerInfo, read_shard
from lc_data.corpus.tokenized_writer import Stratum, TokenizedDocuments, span_lists, write_index, write_tokenized

Spans = list[tuple[int, int]] | None
Rows = list[tuple[list[int], Spans]]


def tokenizer(vocab_size: int = 1000) -> TokenizerInfo:
    return TokenizerInfo("tiny", "tokenizer.json", "0" * 32, vocab_size, None, 1, 1)


def write_corpus(folder: Path, shards: list[Rows], vocab_size: int = 1000) -> RunFolder:
    run = RunFolder(str(folder))
    stage, entries, first = run.stage("bucket"), [], 0
    dtype = np.uint16 if vocab_size <= 65536 else np.int32
    for number, rows in enumerate(shards):
        documents = TokenizedDocuments(
            ids=pa.array([f"{number}/{row}" for row in range(len(rows))], pa.string()),
            tokens=np.array([token for tokens, _ in rows for token in tokens], dtype),
            lengths=np.array([len(tokens) for tokens, _ in rows], np.uint32),
            target_spans=span_lists([spans for _, spans in rows]),
            text_bytes=0,
        )
        target = WrittenTable(stage.uri, f"shards/{number}.arrow")
        entry = write_tokenized(target, documents, Stratum("web", number), tokenizer(vocab_size), ["books", "web"])
        entries.append(entry.model_copy(update={"facts": entry.facts | {"first_document": first}}))
        first += len(rows)
    lengths = np.array([len(tokens) for rows in shards for tokens, _ in rows], np.int64)
    buckets = np.repeat(np.arange(len(shards)), [len(rows) for rows in shards])
    index = write_index(stage.uri, lengths, np.ones(len(lengths), np.int64), buckets)
    facts = {"domains": ["books", "web"], "purposes": {"books": "pretrain", "web": "sft"}, "edges_tokens": [4],
             "tokenizer": vars(tokenizer(vocab_size))}  # fmt: skip
    manifest = Manifest(stage="bucket", fingerprint="f", shards=entries, extra=[index], seed=0, facts=facts)
    write_manifest(stage.manifest_uri, manifest)
    return run


SHARDS: list[Rows] = [
    [([5, 6, 7], None), ([8], []), ([9, 10], [(0, 1)])],
    [([11, 12, 13, 14], [(1, 2), (3, 4)])],
]


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return write_corpus(tmp_path / "run", SHARDS)


row = st.tuples(
    st.lists(st.integers(0, 999), min_size=1, max_size=6), st.none() | st.lists(st.just((0, 1)), max_size=2)
)


@settings(max_examples=20)
@given(shards=st.lists(st.lists(row, min_size=1, max_size=5), max_size=3), large=st.booleans())
def test_what_is_written_is_what_is_read(tmp_path_factory, shards, large):
    run = write_corpus(tmp_path_factory.mktemp("run"), shards, 70_000 if large else 1000)
    corpus = TokenizedCorpus.open(run)
    rows = [(number, place, *row) for number, rows in enumerate(shards) for place, row in enumerate(rows)]
    assert corpus.document_count == len(rows)
    for document, (number, place, tokens, spans) in enumerate(rows):
        assert corpus.locate(document) == (number, place)
        assert corpus.document_id(document) == f"{number}/{place}"
        assert corpus.find(f"{number}/{place}") == document
        assert corpus.tokens(document).tolist() == tokens
        assert corpus.tokens(document).dtype == (np.int32 if large else np.uint16)
        assert corpus.tokens(document, 1, len(tokens) - 1).tolist() == tokens[1:]
        found = corpus.target_spans(document)
        assert (found is None) == (spans is None)
        assert found is None or (
            found.reshape(-1, 2).tolist() == [list(span) for span in spans] and found.dtype == np.int32
        )
        assert (corpus.length[document], corpus.domain[document], corpus.bucket[document]) == (len(tokens), 1, number)


def test_tokens_are_views_of_the_file_and_hold_no_handle(run):
    corpus = TokenizedCorpus.open(run)
    tokens = corpus.tokens(0)
    assert not tokens.flags.writeable
    assert np.shares_memory(tokens, corpus.shard(0).tokens)
    maps = Path("/proc/self/maps")
    if maps.exists():
        shard = f"{run.stage('bucket').uri}/shards/0.arrow"
        address = tokens.__array_interface__["data"][0]
        ranges = [line.split()[0].split("-") for line in maps.read_text().splitlines() if line.endswith(shard)]
        assert any(int(low, 16) <= address < int(high, 16) for low, high in ranges)
        assert not any(
            os.readlink(entry.path) == shard
            for entry in os.scandir("/proc/self/fd")
            if entry.is_symlink() and os.path.exists(entry.path)
        )


def test_another_process_opens_its_own_maps(run):
    corpus = TokenizedCorpus.open(run)
    corpus.tokens(0)
    copied = pickle.loads(pickle.dumps(corpus))
    assert copied.tokens(3).tolist() == [11, 12, 13, 14]
    assert copied.tokenizer == corpus.tokenizer == tokenizer()


@pytest.mark.parametrize("document", [-1, 4])
def test_documents_outside_the_corpus(run, document):
    with pytest.raises(IndexError, match=f"document {document} of a corpus of 4"):
        TokenizedCorpus.open(run).locate(document)


@pytest.mark.parametrize(("start", "length"), [(0, 4), (-1, 1), (2, 2), (3, -1)])
def test_tokens_outside_a_document(run, start, length):
    with pytest.raises(ValueError, match="of document 0/0, which has 3"):
        TokenizedCorpus.open(run).tokens(0, start, length)


def test_a_stage_that_has_not_run(tmp_path):
    with pytest.raises(ManifestError, match="has not been run to its end"):
        TokenizedCorpus.open(RunFolder(str(tmp_path)))


def shard_path(run: RunFolder, number: int = 0) -> Path:
    return Path(run.stage("bucket").file(f"shards/{number}.arrow"))


def map_shard(path: Path) -> TokenizedShard:
    return read_shard(storage.map_buffer(str(path)), str(path))


def rewrite(path: Path, **options) -> None:
    table = pa.ipc.open_file(path.read_bytes()).read_all()
    compression, rows = options.get("compression"), options.get("rows")
    with pa.ipc.new_file(str(path), table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=rows)


def test_a_compressed_shard_is_refused_with_the_fix(run):
    rewrite(shard_path(run), compression="zstd")
    with pytest.raises(
        TokenizedError, match=r"0\.arrow is compressed and cannot be mapped: write it without compression"
    ):
        map_shard(shard_path(run))


def test_a_shard_of_several_batches_is_refused_with_the_fix(run):
    rewrite(shard_path(run), rows=1)
    with pytest.raises(TokenizedError, match=r"0\.arrow has 3 record batches.*write it as one batch"):
        map_shard(shard_path(run))


def test_an_arrow_file_that_is_no_shard_is_refused(tmp_path):
    path = tmp_path / "x.arrow"
    table = pa.table({"tokens": pa.array([[1]], pa.list_(pa.uint16()))})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(TokenizedError, match="no tokenised shard"):
        map_shard(path)


def test_a_shard_that_was_swapped_is_named_and_not_served(run, tmp_path):
    # The same size, rows and tokens, but other tokens.
    other = write_corpus(tmp_path / "other", [[([1, 2, 3], None), ([4], []), ([5, 6], [(0, 1)])], SHARDS[1]])
    assert shard_path(other).stat().st_size == shard_path(run).stat().st_size
    shutil.copy(shard_path(other), shard_path(run))
    corpus = TokenizedCorpus.open(run)
    with pytest.raises(TokenizedError, match=r"0\.arrow is not the file that the manifest names: token checksum"):
        corpus.tokens(0)
    assert corpus.tokens(3).tolist() == [11, 12, 13, 14]


def test_a_truncated_shard_is_named(run):
    os.truncate(shard_path(run), shard_path(run).stat().st_size - 8)
    with pytest.raises(TokenizedError, match=r"0\.arrow is not the file that the manifest names: bytes"):
        TokenizedCorpus.open(run).tokens(0)
    with pytest.raises(TokenizedError, match=r"0\.arrow is not a whole Arrow file"):
        map_shard(shard_path(run))


def test_a_missing_shard_is_named(run):
    shard_path(run).unlink()
    with pytest.raises(TokenizedError, match=r"0\.arrow, which the manifest names, does not exist"):
        TokenizedCorpus.open(run).tokens(0)


def test_an_index_of_another_corpus_is_refused(run):
    write_index(run.stage("bucket").uri, np.ones(3), np.ones(3), np.ones(3))
    with pytest.raises(TokenizedError, match=r"index\.arrow is not the file that the manifest names"):
        TokenizedCorpus.open(run)


def test_the_writer_refuses_tokens_of_another_type(tmp_path):
    documents = TokenizedDocuments(
        pa.array(["a"]), np.array([1], np.int32), np.array([1], np.uint32), span_lists([None]), 1
    )
    with pytest.raises(ValueError, match="a vocabulary of 1000 needs uint16"):
        write_tokenized(WrittenTable(str(tmp_path), "x.arrow"), documents, Stratum("web", 0), tokenizer(), ["web"])


def test_an_object_store_serves_the_same(run):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(run.uri, "/copied-run", recursive=True)
    try:
        corpus = TokenizedCorpus.open(RunFolder("memory://copied-run"))
        assert corpus.tokens(3, 1, 2).tolist() == [12, 13]
    finally:
        memory.rm("/copied-run", recursive=True)
