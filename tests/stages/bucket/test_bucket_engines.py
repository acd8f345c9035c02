"""Engines: the same shards by each, and what happens where one of them fails."""

from __future__ import annotations

import json

import pytest

from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.engine.task import TaskError
from lc_data.lengths.gigatoken_encoder import EngineError, GigatokenEncoder
from lc_data.recipe.errors import RecipeError
from lc_data.stages.bucket import STAGE, check_tokenizer
from tests.lengths.texts import mixed_text, small_tokenizer
from tests.stages.bucket.documents import bucket, corpus, document, published, recipe


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
