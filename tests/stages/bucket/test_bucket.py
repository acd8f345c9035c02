"""The bucket stage: right ids, right places, and the same bytes however its input lies and however it is run."""

from __future__ import annotations

import random

import numpy as np
import pyarrow.compute as pc
import pytest
from tokenizers import Tokenizer

from lc_data.corpus import shard as document_shard
from lc_data.corpus.fingerprint import child_seed, file_checksum, stable_order_keys
from lc_data.corpus.run import RunFolder
from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.engine.task import TaskError, perform
from lc_data.failure import Failure
from lc_data.stages.bucket import STAGE, tokenize
from lc_data.stages.bucket.tokenize import NO_TOKENS
from tests.lengths.texts import mixed_text, small_tokenizer
from tests.stages.bucket.documents import EDGES, EOS, bucket, chat, corpus, document, publish, published, recipe


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
    for number, entry in enumerate(manifest.shards):
        shard = opened.shard(number)
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


def test_dialogues_and_documents_in_one_domain_are_refused(tmp_path, tokenizer_path):
    rows = [chat("chat", "a", "b"), document("plain", "a", "chats")]
    with pytest.raises(Failure, match="'chats' holds 1 dialogues and 1 plain documents"):
        bucket(tmp_path, [rows], recipe(tokenizer_path))


def test_a_broken_dialogue_is_named(tmp_path, tokenizer_path):
    broken = chat("the-broken-one", "a", "b")
    broken["parts"][1]["length"] = 10_000
    with pytest.raises(TaskError, match="the-broken-one"):
        bucket(tmp_path, [[broken]], recipe(tokenizer_path))
