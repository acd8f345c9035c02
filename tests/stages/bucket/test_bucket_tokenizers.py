"""Tokenizers of a recipe: which counts, how wide its ids are, and which are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lc_data.corpus.tokenized import TokenizedCorpus
from lc_data.engine.backend import SerialBackend
from lc_data.engine.stage import bring_up_to_date
from lc_data.lengths.tokenizer import DocumentTokenizer
from lc_data.recipe.errors import RecipeError
from lc_data.stages.bucket import STAGE, check_tokenizer
from tests.lengths.texts import small_tokenizer
from tests.stages.bucket.documents import bucket, corpus, recipe


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
