"""The quality classifier: what is learned, fastText's own score of it, windows, draws."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lc_data.quality.chain import FilterChain
from lc_data.quality.classifier import (
    Classifier,
    check_label,
    draw_pareto,
    each_line,
    load_classifier,
    open_classifier,
    separate,
)
from lc_data.quality.classifier_training import measure_auc, train_classifier
from lc_data.recipe.classification import ClassifierRule
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.filtering import FilterSection
from lc_data.text.buffers import as_text
from lc_data.text.reference import list_spaced_words
from tests.quality.documents import batch_of

_LIKED = "the river carried old letters past stone bridges while 老人 在 桥上 读 一封 旧信 and nobody hurried home"
_SOLD = "click here buy now cheap watches 点击 购买 优惠 free shipping !!! subscribe www login password casino"
GOOD, BAD = _LIKED.split(), _SOLD.split()


def lines_of(words: list[str], count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    common = ["with", "from", "that", "一", "的", "this"]
    return [separate(" ".join(rng.choices(words + common, k=rng.randint(15, 60)))) for _ in range(count)]


LINES = [*lines_of(GOOD, 120, 1), *lines_of(BAD, 120, 2)]
POSITIVE = [True] * 120 + [False] * 120


def train(word_ngrams: int = 2, seed: int = 0):
    return train_classifier(LINES, POSITIVE, word_ngrams, 5, seed)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("model") / "quality.bin"
    path.write_bytes(train().to_bytes())
    return str(path)


def rule_of(model: str, **keys) -> ClassifierRule:
    return ClassifierRule.model_validate({"rule": "classifier", "model": model, **keys})


@pytest.mark.parametrize("word_ngrams", [1, 2, 3])
def test_fasttext_gives_our_scores(tmp_path, word_ngrams):
    model = train(word_ngrams)
    path = tmp_path / "model.bin"
    path.write_bytes(model.to_bytes())
    scorer = load_classifier(str(path))
    shown = [
        *LINES[::7],
        *lines_of([*GOOD, *BAD], 20, 3),
        "unseen 詞 w\u00f6rter __labels </s",
        separate("</s> __label__x a"),
    ]
    theirs = [scorer.score(line)["positive"] for line in shown]
    assert model.score(shown) == pytest.approx(theirs, abs=1e-6)
    assert len({round(score, 4) for score in theirs}) > 20


def test_what_was_learned_holds_for_other_lines():
    scores = train().score([*lines_of(GOOD, 50, 8), *lines_of(BAD, 50, 9)])
    wanted = np.arange(100) < 50
    assert ((scores > 0.5) == wanted).mean() > 0.97
    assert measure_auc(scores, wanted) > 0.99


def test_the_same_examples_give_the_same_file_and_the_seed_another():
    assert train().to_bytes() == train().to_bytes()
    assert train(seed=1).to_bytes() != train().to_bytes()


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=30))
def test_auc_is_the_share_of_pairs_in_order(pairs):
    scores, wanted = np.array([score for score, _ in pairs]), np.array([label for _, label in pairs])
    compared = [(a > b) + (a == b) / 2 for a in scores[wanted] for b in scores[~wanted]]
    expected = np.mean(compared) if compared else np.nan
    assert measure_auc(scores, wanted) == pytest.approx(expected, nan_ok=True)


@given(st.text("ab汉字カ \u3000\n\t\u00a0é𠀀"))
def test_a_line_has_the_words_of_the_text(text):
    assert separate(text) == " ".join(list_spaced_words(text))


def test_windows_reach_from_the_first_word_to_the_last():
    text = as_text("first " + "middle " * 5000 + "last")
    some, every = list(each_line(text, 4, 256)), list(each_line(text, None, 256))
    for lines in (some, every):
        assert lines[0].startswith("first")
        assert lines[-1].endswith("last")
    assert len(some) == 4
    assert sum(map(len, every)) >= len(text) - 2 * len(every)


def test_the_whole_of_a_long_document_counts(model_path):
    head = " ".join(lines_of(GOOD, 40, 5))
    body = " ".join(lines_of(BAD, 360, 6))
    scorer = open_classifier(model_path)
    good, mixed, bad = batch_of([head, head + " " + body, body]), batch_of([head + " " + body]), batch_of([body])
    (first, second, third) = Classifier(rule_of(model_path), scorer).judge(good).measures["score"]
    assert first > 0.9
    assert second < 0.3, "nine tenths of it are bad"
    assert third < 0.1
    share = rule_of(model_path, window_score=0.5, min_score=0.5)
    judgement = Classifier(share, scorer).judge(mixed)
    assert judgement.measures["score"][0] == pytest.approx(0.1, abs=0.07)
    assert judgement.failures[0].test == "low_score"
    assert Classifier(rule_of(model_path, label="__label__negative"), scorer).judge(bad).measures["score"][0] > 0.9


def test_the_score_is_written_down_under_the_name_of_the_rule(model_path):
    rule = {"rule": "classifier", "model": model_path, "name": "taste", "min_score": 0.5}
    result = FilterChain(FilterSection.model_validate({"rules": [rule]})).apply(
        batch_of([" ".join(GOOD), " ".join(BAD), " \n"], metadata=['{"year": 1}', None, None])
    )
    assert result.kept.tolist() == [True, False, True], "a text without a word has no score"
    written = json.loads(result.documents["metadata"][0].as_py())
    assert written == {"year": 1, "lc_data": {"taste": result.columns["taste/score"][0]}}
    assert result.dropped[1][0] == "taste/low_score"
    assert [result.documents["metadata"][row].as_py() for row in (1, 2)] == [None, None]


def test_a_pareto_draw_keeps_the_more_the_better_and_depends_on_the_id_alone(model_path):
    class Fixed:
        def score(self, line):
            return {"positive": float(line)}

    for score, expected in ((0.9, 1.1**-9), (0.5, 1.5**-9), (0.0, 2.0**-9), (1.0, 1.0)):
        batch = batch_of([str(score)] * 3000)
        judgement = Classifier(rule_of(model_path, sample="pareto"), Fixed()).judge(batch)
        assert 1 - len(judgement.failures) / 3000 == pytest.approx(expected, abs=0.03)
    half = Classifier(rule_of(model_path, sample="pareto"), Fixed()).judge(batch_of(["0.9"] * 100))
    tail = Classifier(rule_of(model_path, sample="pareto"), Fixed()).judge(batch_of(["0.9"] * 100).slice(60))
    assert set(tail.failures) == {row - 60 for row in half.failures if row >= 60}
    assert draw_pareto("d", 9, 0) != draw_pareto("d", 9, 1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "give either `model`"),
        ({"model": "a", "train": {"positive": {"paths": ["a"]}, "negative": {"paths": ["b"]}}}, "give either `model`"),
        ({"train": {"positive": {"paths": ["a"], "domains": ["b"]}, "negative": {"paths": ["b"]}}}, "either `paths`"),
        ({"train": {"positive": {"paths": ["a"]}, "negative": {"paths": ["b"]}}, "label": "hq"}, "has `positive`"),
        ({"model": "a", "name": "coherence"}, "choose another"),
    ],
)
def test_rules_that_mean_nothing_are_rejected(keys, message):
    with pytest.raises(ValidationError, match=message):
        ClassifierRule.model_validate({"rule": "classifier", **keys})


def test_a_model_that_cannot_be_had_is_named(tmp_path, model_path):
    (tmp_path / "text.bin").write_text("no model")
    with pytest.raises(RecipeError, match="is not a file"):
        open_classifier(str(tmp_path / "none.bin"))
    with pytest.raises(RecipeError, match="is not a fastText model"):
        open_classifier(str(tmp_path / "text.bin"))
    with pytest.raises(RecipeError, match="has no label 'positiv'; did you mean 'positive'"):
        check_label(rule_of(model_path, label="positiv"), open_classifier(model_path))
