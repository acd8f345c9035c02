from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from lc_data.corpus import storage
from lc_data.corpus.document import DOCUMENT_SCHEMA, DROPPED_SCHEMA
from lc_data.corpus.manifest import Manifest, write_manifest
from lc_data.corpus.run import StageFolder
from lc_data.corpus.shard import write_documents, write_rows
from lc_data.corpus.trace import TraceError, trace_document, trace_pack
from tests.streaming.packed_run import Document, PackedRun, next_fit

TEXTS = {
    "novel": "Es war einmal ein König, der hatte drei Söhne. " * 9,
    "short": "the sky is blue",
    "chinese": "天地玄黄,宇宙洪荒。日月盈昃,辰宿列张。" * 6,
    "emoji": "a 🙂 b <eos> 🙃 c " * 8,
    "repository": "# README\nhello\n" + "import os\nprint(os.name)\n" * 12,
}
README_BYTES = len(b"# README\nhello\n")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=alphabet, special_tokens=["<eos>"], show_progress=False
    )
    made.train_from_iterator(TEXTS.values(), trainer)
    made.encode_special_tokens = True
    return made


@pytest.fixture
def run(tmp_path: Path, tokenizer: Tokenizer) -> PackedRun:
    """Documents with text, tokens that end in EOS, and a plan in rows of 37; two documents were dropped before."""
    documents = [Document(name, "text", [*tokenizer.encode(text).ids, 0]) for name, text in TEXTS.items()]
    made = PackedRun(tmp_path / "run", documents, vocab_size=330, upstream={"dedupe": "d" * 32}, eos_id=0)
    _write_documents(made.run.stage("dedupe"))
    made.write_bucket()
    storage.write_atomic(made.run.stage("bucket").file("tokenizer.json"), tokenizer.to_str().encode())
    made.write_plan("pretrain", 37, next_fit(made.lengths, 37, packs_per_block=4))
    return made


def _write_documents(stage: StageFolder) -> None:
    parts = [
        {"source": "README.md", "offset": 0, "length": README_BYTES},
        {"source": "main.py", "offset": README_BYTES, "length": len(TEXTS["repository"]) - README_BYTES},
    ]
    rows = [
        {
            "id": name,
            "text": text,
            "domain": "text",
            "source": f"{name}.txt",
            "parts": parts if name == "repository" else None,
        }
        for name, text in TEXTS.items()
    ]
    shards = [
        write_documents(stage.uri, f"shards/{number}.arrow", [pa.Table.from_pylist(some, schema=DOCUMENT_SCHEMA)])
        for number, some in enumerate((rows[:2], rows[2:]))
    ]
    gone = {"id": "copy", "reason": "near_duplicate", "domain": "web", "bytes": 3, "detail": '{"of": "novel"}'}
    dropped = write_rows(stage.uri, "dropped/0.arrow", [gone], DROPPED_SCHEMA)
    manifest = Manifest(stage="dedupe", fingerprint="d" * 32, shards=shards, dropped=[dropped], seed=0)
    write_manifest(stage.manifest_uri, manifest)


def test_bytes_of_pieces_decode_to_their_tokens_and_cover_the_text(run: PackedRun, tokenizer: Tokenizer) -> None:
    covered: dict[str, list[tuple[int, int]]] = {}
    tokens = {document.id: document.tokens for document in run.documents}
    for pack in range(run.plans["pretrain"]["packs"]):
        trace = trace_pack(str(run.folder), pack)
        assert trace.padding_tokens == 37 - sum(piece.end - piece.start for piece in trace.pieces)
        for piece in trace.pieces:
            assert piece.source == f"{piece.document_id}.txt"
            assert piece.bytes is not None
            covered.setdefault(piece.document_id, []).append((piece.bytes.start, piece.bytes.end))
            text = TEXTS[piece.document_id].encode()[piece.bytes.start : piece.bytes.end].decode()
            decoded = tokenizer.decode(tokens[piece.document_id][piece.start : piece.end])
            # A character whose bytes two pieces share belongs to both, so only its ends can differ.
            assert decoded.strip("\ufffd") in text
    for name, text in TEXTS.items():
        ends = sorted(covered[name])
        assert (ends[0][0], ends[-1][1]) == (0, len(text.encode()))
        assert all(after[0] <= before[1] for before, after in pairwise(ends))


def test_parts_of_a_joined_document_are_told_with_their_own_bytes(run: PackedRun) -> None:
    pieces = [
        piece
        for pack in range(run.plans["pretrain"]["packs"])
        for piece in trace_pack(str(run.folder), pack).pieces
        if piece.document_id == "repository"
    ]
    pieces.sort(key=lambda piece: piece.start)
    assert len(pieces) > 1
    first = pieces[0].parts
    assert (first[0].source, first[0].bytes.start, first[0].bytes.end) == ("README.md", 0, README_BYTES)
    code = [part for piece in pieces for part in piece.parts if part.source == "main.py"]
    assert code[0].bytes.start == 0
    assert code[-1].bytes.end == len(TEXTS["repository"]) - README_BYTES
    assert all(after.bytes.start == before.bytes.end for before, after in pairwise(code))


def test_a_document_is_followed_to_its_packs(run: PackedRun) -> None:
    trace = trace_document(str(run.folder), "novel")
    length = len(run.documents[0].tokens)
    assert (trace.document, trace.domain, trace.tokens, trace.source) == (0, "text", length, "novel.txt")
    assert sum(seen.end - seen.start for seen in trace.sightings) == length
    for seen in trace.sightings:
        pieces = trace_pack(str(run.folder), seen.pack).pieces
        assert ("novel", seen.part, seen.start, seen.end) in [(p.document_id, p.part, p.start, p.end) for p in pieces]
    assert f"pack {trace.sightings[0].pack}: part 0, tokens 0-37" in trace.as_text()


def test_a_dropped_document_is_followed_to_its_end(run: PackedRun) -> None:
    trace = trace_document(str(run.folder), "copy")
    assert trace.as_text() == 'copy [web] was dropped by dedupe: near_duplicate ({"of": "novel"})'
    assert trace.document is None


def test_what_the_run_never_had_is_said(run: PackedRun) -> None:
    with pytest.raises(TraceError, match="no document with the id 'nobody'"):
        trace_document(str(run.folder), "nobody")
    packs = run.plans["pretrain"]["packs"]
    for pack in (-1, packs):
        with pytest.raises(TraceError, match=f"pack {pack} is not in plan 'pretrain' .* packs 0 to {packs - 1}"):
            trace_pack(str(run.folder), pack)


def test_both_are_json_and_text(run: PackedRun) -> None:
    pack = trace_pack(str(run.folder), 0)
    assert json.loads(json.dumps(pack.as_json()))["pieces"][0]["document_id"] == pack.pieces[0].document_id
    assert pack.as_text().startswith("pack 0 of ")
    assert pack.pieces[0].document_id in pack.as_text()
    assert json.loads(json.dumps(trace_document(str(run.folder), "short").as_json()))["document_id"] == "short"


def test_without_its_text_a_pack_is_still_traced_to_documents(run: PackedRun) -> None:
    storage.remove_tree(run.run.stage("dedupe").uri)
    piece = trace_pack(str(run.folder), 0).pieces[0]
    assert (piece.source, piece.bytes, piece.parts) == (None, None, ())
    assert "a source that is not in this run folder" in trace_pack(str(run.folder), 0).as_text()


def test_no_bytes_are_guessed_when_the_text_gives_other_tokens(run: PackedRun) -> None:
    run.documents[0] = replace(run.documents[0], tokens=[*run.documents[0].tokens[:-3], 5, 5, 0])
    run.write_bucket()
    run.write_plan("pretrain", 37, run.blocks["pretrain"])
    for seen in trace_document(str(run.folder), "novel").sightings:
        (piece,) = [piece for piece in trace_pack(str(run.folder), seen.pack).pieces if piece.document_id == "novel"]
        assert (piece.source, piece.bytes) == ("novel.txt", None)
