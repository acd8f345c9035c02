"""The bucket stage: right ids, right places, and the same bytes however its input lies and however it is run."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tokenizers import Tokenizer

from lc_data.corpus import shard as document_shard
from lc_data.corpus.document import DOCUMENT_SCHEMA, message_part
from lc_data.corpus.fingerprint import child_seed, file_checksum, stable_order_keys
from lc_data.corpus.ledger import Ledger
from lc_data.corpus.manifest import Manifest, write_manifest
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus, open_shard
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.engine.task import TaskError, perform
from lc_data.failure import Failure
from lc_data.lengths.gigatoken_encoder import EngineError, GigatokenEncoder
from lc_data.lengths.tokenizer import DocumentTokenizer
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.load import parse_recipe
from lc_data.recipe.recipe import Recipe
from lc_data.stages.bucket import STAGE, check_tokenizer, tokenize
from lc_data.stages.bucket.tokenize import NO_TOKENS
from tests.lengths.texts import mixed_text, small_tokenizer

EOS = "<|endoftext|>"
EDGES = [16, 64, 256]

RECIPE = """
name: test
seed: 3
sources:
  - {name: web, kind: jsonl, domain: web, paths: [none]}
  - {name: zh, kind: jsonl, domain: 书籍/a, paths: [none]}
  - {name: chats, kind: chat, domain: chats, paths: [none]}
tokenizer: {path: TOKENIZER}
bucket: {edges_tokens: [16, 64, 256], shard_tokens: 3000}
"""


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch):
    """Many parts and batches on a small corpus."""
    monkeypatch.setattr(tokenize, "_LEAST_TASK_BYTES", 20_000)
    monkeypatch.setattr(document_shard, "BATCH_BYTES", 5_000)


@pytest.fixture(scope="session")
def tokenizer_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tiny" / "tokenizer.json"
    path.parent.mkdir()
    path.write_text(small_tokenizer())
    return path


def recipe(tokenizer: Path | None, *overrides: str) -> Recipe:
    text = RECIPE.replace("{path: TOKENIZER}", "{train: {vocab_size: 600, sample_bytes: 30000}}")
    return parse_recipe(RECIPE.replace("TOKENIZER", str(tokenizer)) if tokenizer else text, overrides)


def document(document_id: str, text: str, domain: str, parts: list[dict] | None = None) -> dict:
    empty = dict.fromkeys(DOCUMENT_SCHEMA.names)
    return empty | {"id": document_id, "text": text, "domain": domain, "source": "test", "parts": parts}


def chat(document_id: str, *contents: str) -> dict:
    text, parts = "", []
    for index, content in enumerate(contents):
        role = ("user", "assistant")[index % 2]
        text += f"<|im_start|>{role}\n"
        start = len(text.encode())
        text += f"{content}<|im_end|>\n"
        source = message_part(index, role)
        parts.append({"source": source, "offset": start, "length": len(text.encode()) - start})
    return document(document_id, text, "chats", parts)


def corpus(count: int = 300) -> list[dict]:
    rng = random.Random(0)
    rows = [document(f"web-{i}", mixed_text(i, rng.choice([1, 20, 60, 200])), "web") for i in range(count)]
    rows += [document(f"zh-{i}", "天地玄黄" * rng.randint(1, 90), "书籍/a") for i in range(count // 3)]
    rows += [chat(f"chat-{i}", mixed_text(i, 9), f"yes <|im_end|>\n {i}") for i in range(count // 6)]
    repository = [{"source": "a.py", "offset": 0, "length": 3}, {"source": "b.py", "offset": 3, "length": 3}]
    return [*rows, document("repository", "a=1b=2", "web", repository), document("empty", "", "web")]


def publish(run: RunFolder, shards: list[list[dict]]) -> None:
    """A dedupe stage's output with these documents in these shards."""
    folder, ledger, entries = run.stage("dedupe"), Ledger(), []
    for number, rows in enumerate(shards):
        table = pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)
        entries.append(document_shard.write_documents(folder.uri, f"shards/{number}.arrow", [table]))
        for row in rows:
            ledger.come_in(row["domain"], 1, len(row["text"].encode()))
            ledger.keep(row["domain"], 1, len(row["text"].encode()))
    manifest = Manifest(stage="dedupe", fingerprint="d" * 32, shards=entries, ledger=ledger, seed=3)
    write_manifest(folder.manifest_uri, manifest)


def bucket(folder: Path, shards: list[list[dict]], wanted: Recipe, backend=None) -> RunFolder:
    run = RunFolder(str(folder))
    publish(run, shards)
    bring_up_to_date(STAGE, wanted, run, backend or SerialBackend())
    return run


def published(run: RunFolder) -> dict[str, bytes]:
    folder = Path(run.stage("bucket").uri)
    manifest = run.stage("bucket").manifest()
    names = ["manifest.json", *(entry.file for entry in manifest.files())]
    on_disk = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert on_disk == {*names, "timing.json"}
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def run(tmp_path_factory, tokenizer_path) -> RunFolder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenize, "_LEAST_TASK_BYTES", 20_000)
        patch.setattr(document_shard, "BATCH_BYTES", 5_000)
        return bucket(tmp_path_factory.mktemp("run"), [corpus()], recipe(tokenizer_path))


def test_tokens_are_those_of_the_package_and_dialogues_know_their_targets(run):
    opened = TokenizedCorpus.open(run)
    plain = Tokenizer.from_str(small_tokenizer())
    plain.encode_special_tokens = True
    rows = {row["id"]: row for row in corpus()}
    assert opened.document_count == len(rows)
    for number in range(opened.document_count):
        row, tokens = rows.pop(opened.document_id(number)), opened.tokens(number).tolist()
        spans = opened.target_spans(number)
        if row["domain"] == "chats":
            said = [plain.decode(tokens[a:b], skip_special_tokens=False) for a, b in spans.tolist()]
            assert said == [f"yes <|im_end|>\n {row['id'][5:]}<|im_end|>\n"]
            assert plain.decode(tokens, skip_special_tokens=False) == row["text"] + EOS
        else:
            assert spans is None
            assert tokens == [*plain.encode(row["text"]).ids, opened.tokenizer.eos_id]
    assert not rows


def test_every_shard_is_one_shuffled_stratum_and_the_index_says_the_same(run):
    opened = TokenizedCorpus.open(run)
    manifest = run.stage("bucket").manifest()
    seed = child_seed(3, "bucket order")
    order, first = [], 0
    for entry in manifest.shards:
        shard = open_shard(run.stage("bucket").file(entry.file))
        lengths, ids = shard.lengths, shard.batch["id"].to_pylist()
        assert entry.facts["first_document"] == first
        rows = slice(first, first + entry.rows)
        first += entry.rows
        assert opened.length[rows].tolist() == lengths.tolist() == np.diff(shard.offsets).tolist()
        assert {opened.domains[code] for code in opened.domain[rows]} == {entry.facts["domain"]}
        assert pc.unique(shard.batch["domain"]).to_pylist() == [opened.domains.index(entry.facts["domain"])]
        assert set(opened.bucket[rows].tolist()) == {entry.facts["bucket"]}
        assert {sum(edge <= length for edge in EDGES) for length in lengths} == {entry.facts["bucket"]}
        assert entry.tokens == lengths.sum() <= 3000 or entry.rows == 1
        order += [(entry.facts["domain"], entry.facts["bucket"], key) for key in stable_order_keys(ids, seed)]
    assert order == sorted(order)
    assert first == opened.document_count
    assert len(manifest.shards) > len({row[:2] for row in order})


def test_the_manifest_sums_up(run):
    manifest = run.stage("bucket").manifest()
    facts, opened = manifest.facts, TokenizedCorpus.open(run)
    assert facts["domains"] == ["chats", "web", "书籍/a"]
    assert facts["purposes"] == {"chats": "sft", "web": "pretrain", "书籍/a": "pretrain"}
    assert facts["tokenizer"]["name"] == "tiny"
    assert facts["tokenizer"]["hash"] == file_checksum(run.stage("bucket").file("tokenizer.json"))
    assert facts["documents"] == opened.document_count
    assert facts["tokens"] == manifest.ledger.kept().tokens == manifest.ledger.received().tokens == opened.length.sum()
    assert facts["longest_document"]["tokens"] == opened.length.max()
    assert opened.document_id(facts["longest_document"]["document"]) == facts["longest_document"]["id"]
    for code, domain in enumerate(facts["domains"]):
        for level in range(len(EDGES) + 1):
            here = opened.length[(opened.domain == code) & (opened.bucket == level)]
            assert facts["histogram"][domain]["documents"][level] == len(here)
            assert facts["histogram"][domain]["tokens"][level] == here.sum()
    assert sum(entry.text_bytes for entry in manifest.shards) == sum(len(row["text"].encode()) for row in corpus())


@pytest.mark.parametrize("trained", [False, True])
def test_bytes_do_not_depend_on_how_the_input_is_sharded(tmp_path, tokenizer_path, trained):
    wanted = recipe(None if trained else tokenizer_path)
    rows = corpus(90)
    shuffled = random.Random(1).sample(rows, len(rows))
    cuts = [shuffled[:10], shuffled[10:100], shuffled[100:]]
    first = published(bucket(tmp_path / "a", [rows], wanted))
    second = published(bucket(tmp_path / "b", cuts, wanted))
    assert first == second


class KilledBackend:
    """Runs so many jobs, then is gone."""

    def __init__(self, jobs: int) -> None:
        self.left = jobs

    def run(self, jobs):
        for job in jobs:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            yield job, perform(job)


@pytest.mark.parametrize("jobs", [1, 3, 9])
def test_a_stage_that_was_stopped_continues_to_the_same_bytes(tmp_path, tokenizer_path, jobs):
    wanted, rows = recipe(tokenizer_path), corpus(90)
    shards = [rows[:60], rows[60:]]
    whole = published(bucket(tmp_path / "whole", shards, wanted))
    run = RunFolder(str(tmp_path / "stopped"))
    publish(run, shards)
    with pytest.raises(KeyboardInterrupt):
        bring_up_to_date(STAGE, wanted, run, KilledBackend(jobs))
    assert not run.stage("bucket").is_published()
    bring_up_to_date(STAGE, wanted, run, SerialBackend())
    assert published(run) == whole


def test_one_document_of_a_million_tokens_is_one_document(tmp_path, tokenizer_path):
    text = mixed_text(5, 30_000) + "1 2" * 350_000 + mixed_text(6, 1000)
    run = bucket(tmp_path, [[document("giant", text, "web"), document("small", "a", "web")]], recipe(tokenizer_path))
    opened = TokenizedCorpus.open(run)
    plain = Tokenizer.from_str(small_tokenizer())
    plain.encode_special_tokens = True
    number = opened.find("giant")
    assert opened.length[number] > 1_000_000
    assert opened.bucket[number] == len(EDGES)
    assert opened.tokens(number)[:-1].tolist() == plain.encode_batch_fast([text])[0].ids


def test_a_vocabulary_above_65536_is_stored_in_four_bytes(tmp_path):
    definition = json.loads(small_tokenizer())
    for number in range(len(definition["model"]["vocab"]), 70_000):
        definition["model"]["vocab"][f"filler {number}"] = number
    path = tmp_path / "large.json"
    path.write_text(json.dumps(definition))
    opened = TokenizedCorpus.open(bucket(tmp_path / "run", [corpus(12)], recipe(path)))
    assert opened.vocab_size == 70_000
    assert opened.tokenizer.name == "large"
    assert {opened.tokens(number).dtype for number in range(opened.document_count)} == {np.dtype(np.int32)}


def test_without_bos_and_eos_an_empty_document_is_dropped(tmp_path, tokenizer_path):
    run = bucket(tmp_path, [corpus(12)], recipe(tokenizer_path, "tokenizer.eos=null"))
    manifest = run.stage("bucket").manifest()
    assert manifest.ledger.domains["web"].dropped[NO_TOKENS].documents == 1
    [dropped] = manifest.dropped
    assert document_shard.read_table(run.stage("bucket").file(dropped.file))["id"].to_pylist() == ["empty"]
    assert TokenizedCorpus.open(run).find("empty") is None


def test_no_documents_at_all(tmp_path, tokenizer_path):
    run = bucket(tmp_path, [], recipe(tokenizer_path))
    assert TokenizedCorpus.open(run).document_count == 0
    assert run.stage("bucket").manifest().facts["longest_document"] is None


def test_the_tokenizers_content_counts_not_its_place(tmp_path, tokenizer_path):
    run = bucket(tmp_path / "run", [corpus(12)], recipe(tokenizer_path))
    moved = tmp_path / "tiny" / "tokenizer.json"
    moved.parent.mkdir()
    moved.write_bytes(tokenizer_path.read_bytes())
    assert not bring_up_to_date(STAGE, recipe(moved), run, SerialBackend()).ran
    moved.write_text(small_tokenizer(650))
    report = bring_up_to_date(STAGE, recipe(moved), run, SerialBackend())
    assert report.ran
    assert any("tokenizer.hash" in change for change in report.changes)


@pytest.mark.parametrize("normalizer", [None, {"type": "NFC"}])
def test_shards_and_index_are_the_same_by_each_engine(tmp_path, normalizer):
    definition = json.loads(small_tokenizer()) | {"normalizer": normalizer}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(definition))
    outputs = {}
    for engine in ("auto", "tokenizers", "gigatoken"):
        run = bucket(tmp_path / engine, [corpus(90)], recipe(path, f"tokenizer.engine={engine}"))
        outputs[engine] = published(run)
        manifest = json.loads(outputs[engine].pop("manifest.json"))
        used = "tokenizers" if engine == "tokenizers" else "gigatoken"
        assert manifest["facts"]["engines"] == {
            "documents": {used: manifest["facts"]["documents"]},
            "why_not_gigatoken": [],
        }
    assert outputs["auto"] == outputs["tokenizers"] == outputs["gigatoken"]


def test_the_engine_is_in_no_fingerprint(tmp_path, tokenizer_path):
    run = bucket(tmp_path, [corpus(12)], recipe(tokenizer_path, "tokenizer.engine=tokenizers"))
    assert not bring_up_to_date(STAGE, recipe(tokenizer_path, "tokenizer.engine=auto"), run, SerialBackend()).ran


@pytest.fixture
def poisoned(monkeypatch):
    """Gigatoken that gives a wrong id for texts with one word, and fails on those with another."""
    right = GigatokenEncoder.encode

    def encode(self, texts):
        if any("deadly" in text for text in texts):
            raise EngineError("PanicException: index out of bounds, on 'deadly text'")
        arrays = right(self, texts)
        return [array + ("wrong" in text) for text, array in zip(texts, arrays, strict=True)]

    monkeypatch.setattr(GigatokenEncoder, "encode", encode)


REASONS = {
    "wrong": "gigatoken's ids of document poison differ from those of `tokenizers` at token 0",
    "deadly": "PanicException: index out of bounds, on 'deadly text'",
}


@pytest.mark.parametrize("word", sorted(REASONS))
@pytest.mark.usefixtures("poisoned")
def test_a_part_on_which_the_engine_fails_is_done_by_the_reference(tmp_path, tokenizer_path, word):
    rows = [
        document("poison", f"{word} text", "web"),
        *(document(f"web-{i}", mixed_text(i, 9), "web") for i in range(9)),
    ]
    shards = [rows, corpus(30)]
    slow = published(bucket(tmp_path / "slow", shards, recipe(tokenizer_path, "tokenizer.engine=tokenizers")))
    run = bucket(tmp_path / "auto", shards, recipe(tokenizer_path))
    fast = published(run)
    engines = run.stage("bucket").manifest().facts["engines"]
    assert engines["documents"] == {"gigatoken": len(corpus(30)), "tokenizers": len(rows)}
    [reason] = engines["why_not_gigatoken"]
    assert reason.startswith(REASONS[word])
    assert {**fast, "manifest.json": b""} == {**slow, "manifest.json": b""}


@pytest.mark.parametrize("word", sorted(REASONS))
@pytest.mark.usefixtures("poisoned")
def test_a_demanded_engine_that_fails_is_an_error_that_names_the_document(tmp_path, tokenizer_path, word):
    wanted = recipe(tokenizer_path, "tokenizer.engine=gigatoken")
    with pytest.raises(TaskError, match=REASONS[word]):
        bucket(tmp_path, [[document("poison", f"{word} text", "web")]], wanted)


def test_a_tokenizer_that_gigatoken_cannot_do_is_said_before_any_work(tmp_path):
    path = tmp_path / "lower.json"
    path.write_text(json.dumps(json.loads(small_tokenizer()) | {"normalizer": {"type": "Lowercase"}}))
    with pytest.raises(RecipeError, match=r"engine is gigatoken: its normalizer 'Lowercase'.*use auto or tokenizers"):
        check_tokenizer(recipe(path, "tokenizer.engine=gigatoken"))
    check_tokenizer(recipe(path))
    engines = bucket(tmp_path / "run", [corpus(12)], recipe(path)).stage("bucket").manifest().facts["engines"]
    assert set(engines["documents"]) == {"tokenizers"}
    assert "Lowercase" in engines["why_not_gigatoken"][0]


def test_a_tokenizer_is_loaded_once_in_a_process(tmp_path, monkeypatch):
    loads = []
    real = DocumentTokenizer.__init__
    monkeypatch.setattr(DocumentTokenizer, "__init__", lambda self, *rest: loads.append(1) or real(self, *rest))
    path = tmp_path / "once.json"
    path.write_text(small_tokenizer(640))
    wanted = recipe(path)
    check_tokenizer(wanted)
    bucket(tmp_path / "run", [corpus(12)], wanted)
    assert loads == [1]


def test_dialogues_and_documents_in_one_domain_are_refused(tmp_path, tokenizer_path):
    rows = [chat("chat", "a", "b"), document("plain", "a", "chats")]
    with pytest.raises(Failure, match="'chats' holds 1 dialogues and 1 plain documents"):
        bucket(tmp_path, [rows], recipe(tokenizer_path))


def test_a_broken_dialogue_is_named(tmp_path, tokenizer_path):
    broken = chat("the-broken-one", "a", "b")
    broken["parts"][1]["length"] = 10_000
    with pytest.raises(TaskError, match="the-broken-one"):
        bucket(tmp_path, [[broken]], recipe(tokenizer_path))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer.path=nowhere.json", "'nowhere.json' does not exist"),
        ("tokenizer.eos='</s>'", r"tokenizer\.eos is '</s>', which is not in the vocabulary"),
        ("tokenizer.bos='<s>'", r"tokenizer\.bos is '<s>'"),
    ],
)
def test_a_wrong_tokenizer_is_a_fault_of_the_recipe(tokenizer_path, override, message):
    with pytest.raises(RecipeError, match=message):
        check_tokenizer(recipe(tokenizer_path, override))


def test_a_trained_tokenizer_must_have_its_own_eos():
    with pytest.raises(RecipeError, match=r"eos is '</s>', which train\.special_tokens lacks"):
        recipe(None, "tokenizer.eos='</s>'")
