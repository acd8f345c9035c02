"""What a bench prints, and the text that it measures with."""

from __future__ import annotations

import itertools
import random

import pytest

from lc_data.bench import NAMES, run_bench
from lc_data.bench.peers import require_peers
from lc_data.bench.result import BenchResult, BenchRow, Work, compare_in_turn, compare_rates, row_without
from lc_data.bench.text import cut_documents, edit, environment_texts, spoil
from lc_data.recipe.errors import RecipeError


def test_the_two_sides_are_called_in_turn_and_the_median_counts():
    called = []
    ticks = itertools.accumulate([0, 1, 0, 10, 0, 2, 0, 20, 0, 9, 0, 30])
    seconds = compare_in_turn(
        lambda: called.append("ours"), lambda: called.append("theirs"), rounds=3, clock=lambda: next(ticks)
    )
    assert called == ["ours", "theirs"] * 3
    assert seconds == (2, 20)


def test_rates_are_per_side_and_the_first_call_is_not_counted(monkeypatch):
    ticks = itertools.accumulate([0, 2, 0, 4])
    monkeypatch.setattr("time.process_time", lambda: next(ticks))
    called = []
    row = compare_rates(
        "reading",
        "others",
        Work(lambda: called.append("ours"), 6_000_000),
        Work(lambda: called.append("theirs"), 1_000_000),
        rounds=1,
    )
    assert called == ["ours", "theirs"] * 2
    assert (row.ours, row.theirs, row.ratio) == (3.0, 0.25, 12.0)


def test_the_json_has_the_promised_shape():
    found = BenchResult("filter", [BenchRow("speed", "MB/s", 20.0, "others", 2.0, 10.0)]).as_json()
    assert set(found) == {"name", "machine", "rows"}
    row = {"what": "speed", "unit": "MB/s", "ours": 20.0, "peer": "others", "theirs": 2.0, "ratio": 10.0}
    assert found["rows"] == [row]


def test_a_bar_is_printed_beside_the_ratio_and_what_is_below_is_said():
    rows = [
        BenchRow(what, "s", 1.0, "others", 2.0, 2.0, bar) for what, bar in (("good", 2.0), ("bad", 3.0), ("free", None))
    ]
    result = BenchResult("stream", [*rows, row_without("gone", "s", "nobody", "it hangs", 1.0)])
    heading, good, bad, free, gone = result.as_text().splitlines()
    assert heading.split() == ["ours", "theirs", "ratio", "bar"]
    assert good.split()[-2:] == ["2", "2"]
    assert bad.split()[-3:] == ["2", "3", "below"]
    assert free.split()[-2:] == ["2", "2"]
    assert gone.startswith("gone [s] vs nobody (it hangs)")
    assert gone.endswith("not measured")
    assert [row.get("bar") for row in result.as_json()["rows"]] == [2.0, 3.0, None, 1.0]


def test_a_wrong_name_or_data_that_is_not_wanted_is_said():
    with pytest.raises(RecipeError, match="did you mean 'sketch'"):
        run_bench("skech")
    with pytest.raises(RecipeError, match="--data and --tokenizer are for"):
        run_bench("sketch", ["documents.jsonl"])


def test_a_missing_peer_names_the_extra():
    with pytest.raises(RecipeError, match=r"compares with no_such_peer, not installed here; .*lc_data\[bench\]"):
        require_peers("filter", "pyarrow", "no_such_peer")


@pytest.mark.parametrize("name", ["filter", "sketch", "chain"])
def test_benches_without_their_peers_do_no_work(monkeypatch, name):
    assert name in NAMES
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    monkeypatch.setattr("lc_data.bench.text.environment_texts", lambda *_: pytest.fail("text was read"))
    with pytest.raises(RecipeError, match="lc_data\\[bench\\]"):
        run_bench(name)


def test_documents_are_cut_to_size_from_the_environment_and_differ():
    documents = cut_documents(2_000, 50, seed=1)
    assert [len(text) for text in documents] == [2_000] * 50
    assert len(set(documents)) == 50
    assert documents == cut_documents(2_000, 50, seed=1) != cut_documents(2_000, 50, seed=2)


def test_texts_of_the_environment_are_there_once():
    texts = environment_texts("licences")
    assert texts
    assert len(set(texts)) == len(texts)


def test_spoiling_and_editing_depend_on_the_seed_alone():
    text = cut_documents(2_000, 1, seed=3)[0]
    assert spoil(text, random.Random(1)) == spoil(text, random.Random(1)) != text
    words, edited = text.split(), edit(text, 0.1, random.Random(1)).split()
    assert len(words) == len(edited)
    assert 0.03 < sum(a != b for a, b in zip(words, edited, strict=True)) / len(words) < 0.2
    assert edit(text, 0.0, random.Random(1)).split() == words
