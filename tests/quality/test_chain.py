"""The rules of a recipe in order: whom they judge, what they say, what they write."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lc_data.quality import language
from lc_data.quality.chain import FilterChain
from lc_data.quality.language import open_identifier, windows
from lc_data.recipe.errors import RecipeError
from lc_data.recipe.filtering import FilterSection
from lc_data.text.buffers import as_text
from tests.quality.documents import batch_of

ENGLISH = "The committee met on Tuesday to discuss the new library and agreed that it would be built next year. "
CHINESE = "委员会周二开会讨论新图书馆的问题，大家一致同意明年开始建设，并且由市政府负责筹集全部资金。"
FRENCH = "Le comité s'est réuni mardi pour discuter de la nouvelle bibliothèque et a décidé de la construire bientôt. "


def chain(*rules: dict, dialogues: tuple[str, ...] = ()) -> FilterChain:
    return FilterChain(FilterSection.model_validate({"rules": rules}), dialogues)


def test_the_first_rule_that_fails_gives_the_reason_and_the_measure():
    result = chain(
        {"rule": "length", "min_bytes": 3, "max_words": 4}, {"rule": "length", "name": "second", "min_bytes": 9}
    ).apply(batch_of(["ab", "abcd", "one two three", "a b c d e f", "三个汉字啊"]))
    assert result.kept.tolist() == [False, False, True, False, False]
    assert result.dropped[0] == ("length/min_bytes", '{"limit": 3, "measured": 2}')
    assert result.dropped[1][0] == "second/min_bytes"
    assert json.loads(result.dropped[3][1]) == {"limit": 4, "measured": 6}
    assert result.dropped[4][0] == "length/max_words"
    assert result.columns["length/words"].tolist()[2] == 3


def test_rules_keep_to_their_domains_and_languages_and_leave_dialogues_alone():
    batch = batch_of(
        ["a"] * 5, domain=["web", "books", "chats", "chats", "web"], language=["en", "en", "en", "zh", None]
    )
    rule = {"rule": "length", "min_bytes": 2}
    assert chain(rule, dialogues=("chats",)).apply(batch).kept.tolist() == [False, False, True, True, False]
    named = chain({**rule, "domains": ["chats"]}, dialogues=("chats",)).apply(batch)
    assert named.kept.tolist() == [True, True, False, False, True]
    assert chain({**rule, "languages": ["zh"]}).apply(batch).kept.tolist() == [True, True, True, False, True]


def test_language_is_identified_written_and_kept():
    batch = batch_of([ENGLISH * 40, CHINESE * 10, FRENCH * 3, " \n ", CHINESE], language=[None, None, None, None, "en"])
    result = chain({"rule": "language", "keep": ["en", "zh"]}).apply(batch)
    assert result.kept.tolist() == [True, True, False, False, True]
    assert result.documents.column("language").to_pylist() == ["en", "zh", "fr", None, "en"]
    assert result.dropped[2][0] == "language/other_language"
    assert json.loads(result.dropped[2][1])["measured"] == "fr"
    unsure = chain({"rule": "language", "min_score": 1.0}).apply(batch_of([ENGLISH + CHINESE]))
    assert unsure.dropped[0][0] == "language/low_score"


def test_mixed_documents_are_said_to_be_mixed():
    mixed = ENGLISH * 200 + FRENCH * 200
    texts = [mixed, ENGLISH * 400, mixed, FRENCH * 5 + ENGLISH * 900]
    batch = batch_of(texts, language=[None, None, "en", None], metadata=['{"year": 1}', None, None, None])
    result = chain({"rule": "language"}).apply(batch)
    first, *others = result.documents.column("metadata").to_pylist()
    languages = json.loads(first)["lc_data"]["languages"]
    assert json.loads(first)["year"] == 1
    assert languages == pytest.approx({"en": 0.5, "fr": 0.5}, abs=0.02)
    assert next(iter(languages)) == result.documents.column("language")[0].as_py()
    assert others[:2] == [None, None], "a stated language is believed"
    assert json.loads(others[2])["lc_data"]["languages"]["en"] >= 0.7
    dropped = chain({"rule": "language", "min_score": 0.9}).apply(batch).dropped
    assert json.loads(dropped[0][1])["languages"] == languages
    assert not chain({"rule": "language", "mixed_share": 0.5}).apply(batch_of(texts[3:])).notes


def test_a_preface_does_not_name_the_book():
    result = chain({"rule": "language"}).apply(batch_of([FRENCH * 5 + ENGLISH * 500]))
    assert result.documents.column("language").to_pylist() == ["en"]


def test_later_rules_see_the_language_that_an_earlier_one_found():
    result = chain({"rule": "language"}, {"rule": "length", "languages": ["zh"], "min_bytes": 10_000}).apply(
        batch_of([ENGLISH * 3, CHINESE * 3])
    )
    assert result.kept.tolist() == [True, False]


@given(st.text("aé汉🙂 \n", max_size=400), st.integers(1, 5), st.integers(64, 100))
def test_windows_are_whole_characters_of_the_text_from_both_ends(text, count, size):
    found = list(windows(as_text(text), count, size))
    assert len(found) <= count
    assert sum(map(len, found)) <= count * size
    flat = " ".join(text.split())
    for window in found:
        assert window in flat
    if len(text.encode()) <= size:
        assert found == ([flat] if flat else [])


def test_a_missing_language_model_is_a_fault_of_the_recipe(tmp_path):
    with pytest.raises(RecipeError, match="is not a file"):
        open_identifier(str(tmp_path / "none.ftz"))
    wrong = tmp_path / "wrong.ftz"
    wrong.write_bytes(b"not a model")
    with pytest.raises(RecipeError, match="not a fastText model"):
        open_identifier(str(wrong))


def test_a_fasttext_model_is_used_where_the_recipe_names_one(tmp_path, monkeypatch):
    class Model:
        def predict(self, text):
            assert "\n" not in text, "fastText refuses line ends"
            return ("__label__zh-Hant",), [1.00001]

    model = tmp_path / "model.bin"
    model.write_bytes(b"")
    loaded = []
    fake = SimpleNamespace(load_model=lambda path: loaded.append(path) or Model())
    monkeypatch.setitem(sys.modules, "fasttext", fake)
    result = chain({"rule": "language", "model": str(model)}).apply(batch_of([f"{ENGLISH}\n" * 9] * 2))
    assert result.documents.column("language").to_pylist() == ["zh-Hant"] * 2
    assert result.columns["language/score"].tolist() == [1.0, 1.0]
    assert loaded == [str(model)], "a model is loaded once a process"


@pytest.mark.parametrize("shipped", [True, False])
def test_a_model_given_back_after_a_large_text_answers_the_same_afterwards(tmp_path, monkeypatch, shipped):
    loads = []
    if shipped:
        rule, kind = {"rule": "language"}, language._Langid
    else:
        model = tmp_path / "model.bin"
        model.write_bytes(b"")
        answers = SimpleNamespace(predict=lambda text: (("__label__en",), [0.5 + len(text) % 7 / 14]))
        monkeypatch.setitem(sys.modules, "fasttext", SimpleNamespace(load_model=lambda path: answers))
        rule, kind = {"rule": "language", "model": str(model)}, language._FastText
    load = kind._load
    monkeypatch.setattr(kind, "_load", lambda self: loads.append(1) or load(self))
    open_identifier.cache_clear()
    texts = [f"{ENGLISH}\n", f"{ENGLISH}\n" * 30, "Le conseil municipal se réunit ce soir.", f"{ENGLISH}\n"]
    kept = chain(rule).apply(batch_of(texts))
    assert len(loads) == 1
    monkeypatch.setattr(language, "_LARGE_TEXT_BYTES", len(f"{ENGLISH}\n" * 30))
    released = chain(rule).apply(batch_of(texts))
    assert len(loads) == 2, "given back once, and loaded again for the next text"
    assert released.documents.equals(kept.documents)
    assert released.columns["language/score"].tolist() == kept.columns["language/score"].tolist()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"rule": "length", "min_words": 9, "max_words": 3}, "no document can satisfy both"),
        ({"rule": "gopher_repetition", "max_top_ngram_chars": {1: 0.5}}, "n must be from 2 to 32"),
        ({"rule": "gopher"}, "union_tag_invalid|does not match"),
        ({"rule": "length", "min_byte": 3}, "Extra inputs"),
    ],
)
def test_impossible_rules_are_rejected(rule, message):
    with pytest.raises(ValidationError, match=message):
        FilterSection.model_validate({"rules": [rule]})


def test_two_rules_of_one_kind_need_names():
    with pytest.raises(ValidationError, match="called 'length'"):
        FilterSection.model_validate(
            {"rules": [{"rule": "length", "min_bytes": 1}, {"rule": "length", "max_bytes": 9}]}
        )


def test_a_stop_word_of_two_words_is_rejected():
    with pytest.raises(ValueError, match="'两个' is 2 words"):
        chain({"rule": "gopher_quality", "stop_words": ["两个"]}).apply(batch_of(["text"]))
